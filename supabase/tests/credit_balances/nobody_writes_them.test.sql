begin;
\ir ../people.psql
select plan(4);

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-a000-000000000001", "role": "authenticated"}', true) as claims \gset
select throws_like(
  $$update credit_balances set remaining = 1000000$$, '%permission denied%',
  'not the view'
);
select throws_like(
  $$update credits.balances set balance = 1000000$$, '%permission denied%',
  'not the table behind it'
);
select throws_like(
  $$update credit_grants set remaining = 1000000$$, '%permission denied%',
  'nor the grants'
);
select throws_like(
  $$select grant_credits(pg_temp.ann(), 'message', 1000000)$$, '%permission denied%',
  'nor by a function'
);

reset role;
select * from finish();
rollback;
