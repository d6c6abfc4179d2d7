begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

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
