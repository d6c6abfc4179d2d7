begin;
\ir ../people.psql
select plan(2);

insert into auth.users (id) values (pg_temp.bob());

create temporary table hold on commit drop as
  select (reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reservation_id')::uuid as id;
select throws_ok(
  $$select capture_credits(pg_temp.bob(), (select id from hold))$$,
  'PT404', 'reservation_not_found', 'it is not theirs'
);
select is(
  (select status from credit_reservations where account_id = pg_temp.ann()), 'open',
  'and it stays open'
);

select * from finish();
rollback;
