begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(check_credits('00000000-0000-4000-a000-000000000001', 'message', 10) -> 'success', 'true', 'ten can be had');
select is(check_credits('00000000-0000-4000-a000-000000000001', 'message', 11) ->> 'code', 'insufficient_credits', 'eleven cannot');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'nothing is taken');
select is_empty($$select 1 from usage where user_id = '00000000-0000-4000-a000-000000000001'$$, 'and asking is no attempt');

select * from finish();
rollback;
