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

select lives_ok($$select change_plan(pg_temp.ann(), 'pro')$$, 'five hundred messages');
select is(
  (select count(*) from generate_series(1, 20) where reserve_credits(pg_temp.ann(), 'message', 75) ->> 'success' = 'true'),
  6::bigint, 'of twenty holds of 75 six are granted'
);
select is(pg_temp.remaining('message'), 50::bigint, 'fifty are left');

select * from finish();
rollback;
