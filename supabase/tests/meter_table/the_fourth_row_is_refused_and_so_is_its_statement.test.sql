begin;
\ir ../people.psql
select plan(3);

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
