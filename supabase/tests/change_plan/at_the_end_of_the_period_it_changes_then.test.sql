begin;
create extension if not exists pgtap with schema extensions;
select plan(6);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select mark_test_account('00000000-0000-4000-a000-000000000001')$$, 'a clock of its own');
select lives_ok($$select change_plan('00000000-0000-4000-a000-000000000001', 'pro')$$, 'pro');
select is(change_plan('00000000-0000-4000-a000-000000000001', 'free', 'period_end') ->> 'pending_plan', 'free', 'cancelled');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 500::bigint, 'nothing changes until then');
select lives_ok($$select set_test_clock('00000000-0000-4000-a000-000000000001', (select max(period_end) from credit_balances where user_id = '00000000-0000-4000-a000-000000000001'))$$, 'then');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'it is free');

select * from finish();
rollback;
