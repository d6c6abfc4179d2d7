begin;
\ir ../people.psql
select plan(3);

select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 11, p_strict => true)$$,
  'PT402', 'insufficient_credits', 'credits are missing'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'project', 4, p_strict => true)$$,
  'PT402', 'limit_reached', 'the limit is reached'
);
select is(pg_temp.remaining('message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
