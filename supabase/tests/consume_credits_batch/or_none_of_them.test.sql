begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(
  consume_credits_batch('00000000-0000-4000-a000-000000000001', '[{"credit_type": "message", "amount": 2}, {"credit_type": "project", "amount": 4}]') ->> 'code',
  'limit_reached', 'the second item cannot be had'
);
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'so the first is not taken either');
select results_eq(
  $$select credit_type, status from usage where user_id = '00000000-0000-4000-a000-000000000001'$$,
  $$values ('project', 'denied')$$, 'the denial alone is on record'
);

select * from finish();
rollback;
