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

select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 11, p_strict => true)$$,
  'PT402', 'insufficient_credits', 'credits are missing'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'project', 4, p_strict => true)$$,
  'PT402', 'limit_reached', 'the limit is reached'
);
select is(pg_temp.remaining('message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
