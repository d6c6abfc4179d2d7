begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.bob() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000002'::uuid $$;
insert into auth.users (id) values (pg_temp.ann()), (pg_temp.bob());

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
