begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create table public.metered (id uuid primary key default gen_random_uuid(), owner_id uuid not null);
select credits.meter_table('public.metered', 'project', 'owner_id') as counted \gset
select lives_ok($$insert into public.metered (owner_id) values ('00000000-0000-4000-a000-000000000001'), ('00000000-0000-4000-a000-000000000001')$$, 'two rows');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 1::bigint, 'one place is left');
select lives_ok($$delete from public.metered$$, 'deleted');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 3::bigint, 'three places are left');

select * from finish();
rollback;
