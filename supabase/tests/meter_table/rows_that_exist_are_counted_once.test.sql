begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create table public.metered (id uuid primary key default gen_random_uuid(), owner_id uuid not null);
insert into public.metered (owner_id) select '00000000-0000-4000-a000-000000000001' from generate_series(1, 4);
select is(credits.meter_table('public.metered', 'project', 'owner_id'), 4::bigint, 'four existed, though three are allowed');
select is(credits.meter_table('public.metered', 'project', 'owner_id'), 0::bigint, 'a second time counts nothing');
select is((select used from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 4::bigint, 'four exist');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 0::bigint, 'and no place is left');

select * from finish();
rollback;
