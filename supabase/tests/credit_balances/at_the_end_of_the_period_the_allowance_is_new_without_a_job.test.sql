begin;
create extension if not exists pgtap with schema extensions;
select plan(6);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 10)$$, 'all is spent');
select lives_ok($$select mark_test_account('00000000-0000-4000-a000-000000000001')$$, 'a clock of its own');
select lives_ok($$select set_test_clock('00000000-0000-4000-a000-000000000001', (select max(period_end) from credit_balances where user_id = '00000000-0000-4000-a000-000000000001') - interval '1 microsecond')$$, 'just before');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 0::bigint, 'nothing');
select lives_ok($$select set_test_clock('00000000-0000-4000-a000-000000000001', (select max(period_end) from credit_balances where user_id = '00000000-0000-4000-a000-000000000001'))$$, 'at the end');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'ten');

select * from finish();
rollback;
