begin;
\ir ../people.psql
select plan(5);

create temporary table spent on commit drop as
  select (consume_credits(pg_temp.ann(), 'message', 7) ->> 'operation_id')::uuid as id;
select lives_ok(
  $$select refund_credits(pg_temp.ann(), (select id from spent), 5)$$,
  'five of seven'
);
select throws_ok(
  $$select refund_credits(pg_temp.ann(), (select id from spent), 3)$$, 'PT422', 'invalid_amount',
  'three more are too many'
);
select is(
  refund_credits(pg_temp.ann(), (select id from spent)) ->> 'amount', '2',
  'what is left are two'
);
select throws_ok(
  $$select refund_credits(pg_temp.ann(), (select id from spent))$$, 'PT422', 'invalid_amount',
  'then nothing is'
);
select is(pg_temp.remaining('message'), 10::bigint, 'ten are there');

select * from finish();
rollback;
