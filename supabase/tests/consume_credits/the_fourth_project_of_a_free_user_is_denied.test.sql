begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(consume_credits('00000000-0000-4000-a000-000000000001', 'project') -> 'success', 'true', 'project 1');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'project') -> 'success', 'true', 'project 2');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'project') -> 'success', 'true', 'project 3');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'project') ->> 'code', 'limit_reached', 'project 4');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 0::bigint, 'no place is left');

select * from finish();
rollback;
