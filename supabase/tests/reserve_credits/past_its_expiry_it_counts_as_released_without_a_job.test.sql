begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select mark_test_account('00000000-0000-4000-a000-000000000001')$$, 'a clock of its own');
select lives_ok($$select reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7, p_ttl_seconds => 60)$$, 'seven are held');
select lives_ok($$select set_test_clock('00000000-0000-4000-a000-000000000001', clock_timestamp() + interval '61 seconds')$$, 'a minute later');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'all are there again');
select is((select status from credit_reservations where account_id = '00000000-0000-4000-a000-000000000001'), 'open', 'though nothing has booked it');

select * from finish();
rollback;
