begin;
\ir ../people.psql
select plan(4);

create temporary table hold on commit drop as
  select (reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reservation_id')::uuid as id;
select is(
  capture_credits(pg_temp.ann(), (select id from hold), 4) -> 'replayed', 'false',
  'captured'
);
select is(
  capture_credits(pg_temp.ann(), (select id from hold), 4) -> 'replayed', 'true',
  'replayed'
);
select throws_ok(
  $$select capture_credits(pg_temp.ann(), (select id from hold), 5)$$,
  'PT409', 'reservation_closed', 'another amount is too late'
);
select is(pg_temp.remaining('message'), 6::bigint, 'four are gone, once');

select * from finish();
rollback;
