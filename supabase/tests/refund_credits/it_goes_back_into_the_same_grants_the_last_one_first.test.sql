begin;
\ir ../people.psql
select plan(3);

select lives_ok(
  $$select grant_credits(pg_temp.ann(), 'message', 5, 'top_up')$$,
  'a top-up, which is spent last'
);
create temporary table spent on commit drop as
  select (consume_credits(pg_temp.ann(), 'message', 12) ->> 'operation_id')::uuid as id;
select is(
  refund_credits(pg_temp.ann(), (select id from spent), 3) ->> 'remaining', '6',
  'three of twelve come back'
);
select results_eq(
  $$select source, remaining from credit_grants where account_id = pg_temp.ann() and credit_type = 'message' order by source$$,
  $$values ('plan', 1::bigint), ('top_up', 5)$$, 'two into the top-up, the rest into the allowance'
);

select * from finish();
rollback;
