begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select throws_ok(
  $$select consume_credits_batch('00000000-0000-4000-a000-000000000001', '[]')$$,
  'PT422', 'invalid_argument', 'no item'
);
select throws_ok(
  $$select consume_credits_batch('00000000-0000-4000-a000-000000000001', '{}')$$,
  'PT422', 'invalid_argument', 'no array'
);
select throws_ok(
  $$select consume_credits_batch('00000000-0000-4000-a000-000000000001', '[{"credit_type": "message", "color": "red"}]')$$,
  'PT422', 'invalid_argument', 'an unknown key'
);
select throws_ok(
  $$select consume_credits_batch('00000000-0000-4000-a000-000000000001', '[{"credit_type": "message", "amount": 1.5}]')$$,
  'PT422', 'invalid_amount', 'a fraction'
);
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
