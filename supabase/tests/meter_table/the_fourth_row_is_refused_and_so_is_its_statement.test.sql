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

create table public.metered (id uuid primary key default gen_random_uuid(), owner_id uuid not null);
select credits.meter_table('public.metered', 'project', 'owner_id') as counted \gset
select throws_ok(
  $$insert into public.metered (owner_id) select pg_temp.ann() from generate_series(1, 4)$$,
  'PT402', 'limit_reached', 'four rows at once'
);
select is_empty('select 1 from public.metered', 'none of them is there');
select is(pg_temp.remaining('project'), 3::bigint, 'and none is counted');

select * from finish();
rollback;
