begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select mark_test_account('00000000-0000-4000-a000-000000000001')$$, 'a clock of its own');
select lives_ok($$select set_test_clock('00000000-0000-4000-a000-000000000001', (select max(period_end) from credit_balances where user_id = '00000000-0000-4000-a000-000000000001'))$$, 'the period is over');
select cmp_ok((reset_monthly_credits() ->> 'accounts')::integer, '>=', 1, 'it is renewed');
select is((select count(*) from credit_grants where account_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message' and source = 'plan'), 2::bigint, 'once');

select * from finish();
rollback;
