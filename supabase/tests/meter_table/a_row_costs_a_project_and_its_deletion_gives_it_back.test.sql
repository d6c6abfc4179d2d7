begin;
\ir ../people.psql
select plan(4);

create table public.metered (id uuid primary key default gen_random_uuid(), owner_id uuid not null);
select credits.meter_table('public.metered', 'project', 'owner_id') as counted \gset
select lives_ok(
  $$insert into public.metered (owner_id) values (pg_temp.ann()), (pg_temp.ann())$$,
  'two rows'
);
select is(pg_temp.remaining('project'), 1::bigint, 'one place is left');
select lives_ok($$delete from public.metered$$, 'deleted');
select is(pg_temp.remaining('project'), 3::bigint, 'three places are left');

select * from finish();
rollback;
