begin;
\ir ../people.psql
select plan(3);

select is(
  consume_credits_batch(pg_temp.ann(), '[{"credit_type": "message", "amount": 2}, {"credit_type": "project", "amount": 4}]') ->> 'code',
  'limit_reached', 'the second item cannot be had'
);
select is(pg_temp.remaining('message'), 10::bigint, 'so the first is not taken either');
select results_eq(
  $$select credit_type, status from usage where user_id = pg_temp.ann()$$,
  $$values ('project', 'denied')$$, 'the denial alone is on record'
);

select * from finish();
rollback;
