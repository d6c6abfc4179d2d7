begin;
\ir ../people.psql
select plan(5);

select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 0)$$, 'PT422', 'invalid_amount',
  'not zero'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', -1)$$, 'PT422', 'invalid_amount',
  'not negative'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', null)$$, 'PT422', 'invalid_amount',
  'not null'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 9007199254740993)$$, 'PT422', 'invalid_amount',
  'not above 2^53'
);
select is(pg_temp.remaining('message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
