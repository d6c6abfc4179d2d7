begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7) ->> 'reserved', '7', 'seven are held');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 3::bigint, 'three are left');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'message', 4) ->> 'code', 'insufficient_credits', 'four cannot be spent');
select is(reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 4) ->> 'code', 'insufficient_credits', 'nor held');

select * from finish();
rollback;
