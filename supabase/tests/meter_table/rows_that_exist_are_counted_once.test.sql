begin;
\ir ../people.psql
select plan(4);

create table public.metered (id uuid primary key default gen_random_uuid(), owner_id uuid not null);
insert into public.metered (owner_id) select pg_temp.ann() from generate_series(1, 4);
select is(
  credits.meter_table('public.metered', 'project', 'owner_id'), 4::bigint,
  'four existed, though three are allowed'
);
select is(
  credits.meter_table('public.metered', 'project', 'owner_id'), 0::bigint,
  'a second time counts nothing'
);
select is(
  (select used
    from credit_balances where user_id = pg_temp.ann() and credit_type = 'project'), 4::bigint,
  'four exist'
);
select is(pg_temp.remaining('project'), 0::bigint, 'and no place is left');

select * from finish();
rollback;
