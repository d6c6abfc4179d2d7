begin;
\ir ../people.psql
select plan(3);

select is(
  consume_credits(pg_temp.ann(), 'message', 11, null, 'order 7') ->> 'code', 'insufficient_credits',
  'denied at first'
);
select lives_ok($$select grant_credits(pg_temp.ann(), 'message', 5)$$, 'then credits come');
select is(
  consume_credits(pg_temp.ann(), 'message', 11, null, 'order 7') -> 'success', 'true',
  'and the same request succeeds'
);

select * from finish();
rollback;
