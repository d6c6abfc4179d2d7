begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select mark_test_account('00000000-0000-4000-a000-000000000001')$$, 'a clock of its own');
select lives_ok($$select grant_credits('00000000-0000-4000-a000-000000000001', 'message', 5, p_expires_at => clock_timestamp() + interval '1 hour')$$, 'five for an hour');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 15::bigint, 'fifteen now');
select lives_ok($$select set_test_clock('00000000-0000-4000-a000-000000000001', clock_timestamp() + interval '2 hours')$$, 'two hours later');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'ten');

select * from finish();
rollback;
