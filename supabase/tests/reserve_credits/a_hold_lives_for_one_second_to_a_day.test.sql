begin;
\ir ../people.psql
select plan(4);

select throws_ok(
  $$select reserve_credits(pg_temp.ann(), 'message', 1, p_ttl_seconds => 0)$$,
  'PT422', 'invalid_argument', 'not for no time'
);
select throws_ok(
  $$select reserve_credits(pg_temp.ann(), 'message', 1, p_ttl_seconds => 86401)$$,
  'PT422', 'invalid_argument', 'not for longer'
);
select throws_ok(
  $$select reserve_credits(pg_temp.ann(), 'message', 1, p_ttl_seconds => null)$$,
  'PT422', 'invalid_argument', 'not for ever'
);
select is(
  reserve_credits(pg_temp.ann(), 'message', 1, p_ttl_seconds => 86400) -> 'success', 'true',
  'a whole day is fine'
);

select * from finish();
rollback;
