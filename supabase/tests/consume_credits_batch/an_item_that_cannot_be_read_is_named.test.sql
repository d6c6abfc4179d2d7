begin;
\ir ../people.psql
select plan(5);

select throws_ok(
  $$select consume_credits_batch(pg_temp.ann(), '[]')$$,
  'PT422', 'invalid_argument', 'no item'
);
select throws_ok(
  $$select consume_credits_batch(pg_temp.ann(), '{}')$$,
  'PT422', 'invalid_argument', 'no array'
);
select throws_ok(
  $$select consume_credits_batch(pg_temp.ann(), '[{"credit_type": "message", "color": "red"}]')$$,
  'PT422', 'invalid_argument', 'an unknown key'
);
select throws_ok(
  $$select consume_credits_batch(pg_temp.ann(), '[{"credit_type": "message", "amount": 1.5}]')$$,
  'PT422', 'invalid_amount', 'a fraction'
);
select is(pg_temp.remaining('message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
