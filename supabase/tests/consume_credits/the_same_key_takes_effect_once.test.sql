begin;
\ir ../people.psql
select plan(4);

select is(
  consume_credits(pg_temp.ann(), 'message', 2, null, 'order 7') -> 'replayed', 'false',
  'the first time it spends'
);
select is(
  consume_credits(pg_temp.ann(), 'message', 2, null, 'order 7') -> 'replayed', 'true',
  'the second time it replays'
);
select is(pg_temp.remaining('message'), 8::bigint, 'two are gone, not four');
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 3, null, 'order 7')$$,
  'PT409', 'idempotency_conflict', 'another request may not have the key'
);

select * from finish();
rollback;
