begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.remaining(p_credit_type text) returns bigint language sql as $$
  select b.remaining from credit_balances b
  where b.user_id = pg_temp.ann() and b.credit_type = p_credit_type
$$;
insert into auth.users (id) values (pg_temp.ann());

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
