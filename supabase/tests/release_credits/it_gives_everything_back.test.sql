begin;
\ir ../people.psql
select plan(3);

create temporary table hold on commit drop as
  select (reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reservation_id')::uuid as id;
select is(
  release_credits(pg_temp.ann(), (select id from hold), 'not needed') ->> 'released', '7',
  'seven go back'
);
select is(pg_temp.remaining('message'), 10::bigint, 'ten are there');
select results_eq(
  $$select status, close_reason from credit_reservations where account_id = pg_temp.ann()$$,
  $$values ('released', 'not needed')$$, 'and it says why'
);

select * from finish();
rollback;
