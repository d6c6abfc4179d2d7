begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.remaining(p_credit_type text) returns bigint language sql as $$
  select b.remaining from credit_balances b
  where b.user_id = pg_temp.ann() and b.credit_type = p_credit_type
$$;
insert into auth.users (id) values (pg_temp.ann());

select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 7)$$, 'seven are spent');
select is(change_plan(pg_temp.ann(), 'starter') ->> 'plan', 'starter', 'upgraded');
select is(pg_temp.remaining('message'), 100::bigint, 'a hundred');
select is(pg_temp.remaining('integration'), 2000::bigint, 'two thousand');
select is(pg_temp.remaining('project'), null::bigint, 'and projects without limit');

select * from finish();
rollback;
