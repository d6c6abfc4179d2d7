begin;
\ir ../people.psql
select plan(4);

create temporary table given on commit drop as
  select (grant_credits(pg_temp.ann(), 'message', 5) ->> 'grant_id')::uuid as id;
select lives_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 2)$$,
  'two of the five are spent'
);
select is(
  revoke_grant(pg_temp.ann(), (select id from given), 'a mistake') ->> 'amount', '3',
  'three are taken back'
);
select is(pg_temp.remaining('message'), 10::bigint, 'the allowance is untouched');
select is(
  revoke_grant(pg_temp.ann(), (select id from given)) -> 'replayed', 'true',
  'a second time changes nothing'
);

select * from finish();
rollback;
