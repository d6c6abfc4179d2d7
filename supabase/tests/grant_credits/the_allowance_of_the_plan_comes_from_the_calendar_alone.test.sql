begin;
\ir ../people.psql
select plan(2);

select throws_ok(
  $$select grant_credits(pg_temp.ann(), 'message', 5, 'plan')$$,
  'PT422', 'invalid_argument', 'no allowance by hand'
);
select throws_ok(
  $$select grant_credits(pg_temp.ann(), 'message', 5, 'gift')$$,
  'PT422', 'invalid_argument', 'no unknown source'
);

select * from finish();
rollback;
