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

select lives_ok($$select change_plan(pg_temp.ann(), 'elite')$$, 'the largest plan');
select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 1200)$$, 'all of it is spent');
select lives_ok(
  $$select change_plan(pg_temp.ann(), p) from generate_series(1, 25), unnest(array['starter', 'elite']) as p$$,
  'fifty switches'
);
select is(pg_temp.remaining('message'), 0::bigint, 'nothing has come');

select * from finish();
rollback;
