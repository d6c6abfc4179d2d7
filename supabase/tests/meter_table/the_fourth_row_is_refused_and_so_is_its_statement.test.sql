begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create table public.metered (id uuid primary key default gen_random_uuid(), owner_id uuid not null);
select credits.meter_table('public.metered', 'project', 'owner_id') as counted \gset
select throws_ok(
  $$insert into public.metered (owner_id) select '00000000-0000-4000-a000-000000000001' from generate_series(1, 4)$$,
  'PT402', 'limit_reached', 'four rows at once'
);
select is_empty('select 1 from public.metered', 'none of them is there');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 3::bigint, 'and none is counted');

select * from finish();
rollback;
