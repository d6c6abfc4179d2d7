begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001'), ('00000000-0000-4000-a000-000000000002');

select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 10), consume_credits('00000000-0000-4000-a000-000000000002', 'message', 10)$$, 'both have spent all');
select lives_ok($$select mark_test_account('00000000-0000-4000-a000-000000000001')$$, 'one is marked');
select lives_ok($$select set_test_clock('00000000-0000-4000-a000-000000000001', clock_timestamp() + interval '32 days')$$, 'a month later for it');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'it has ten');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000002' and credit_type = 'message'), 0::bigint, 'the other has none');

select * from finish();
rollback;
