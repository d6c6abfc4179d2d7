-- Demo data for a local database: a table of projects that is metered, and two users. `supabase db reset` and
-- `sonas up` run it; run again, it changes nothing. The users have no password and cannot sign in by themselves.

create table if not exists public.projects (
  id uuid not null default gen_random_uuid() constraint projects_pkey primary key,
  owner_id uuid not null default auth.uid(),
  name text not null,
  files jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index if not exists projects_owner_id_idx on public.projects (owner_id);
comment on table public.projects is 'What the demo app makes. A new row costs its owner a project, a deleted one gives it back.';
alter table public.projects enable row level security;
revoke all on table public.projects from public, anon, authenticated, service_role;
grant select, insert, update (name, files), delete on table public.projects to authenticated;
grant select, insert, update, delete on table public.projects to service_role;

drop policy if exists "Owners may read their projects" on public.projects;
create policy "Owners may read their projects" on public.projects
  for select to authenticated using (owner_id = (select auth.uid()));
drop policy if exists "Users may create projects of their own" on public.projects;
create policy "Users may create projects of their own" on public.projects
  for insert to authenticated with check (owner_id = (select auth.uid()));
drop policy if exists "Owners may change their projects" on public.projects;
create policy "Owners may change their projects" on public.projects
  for update to authenticated using (owner_id = (select auth.uid())) with check (owner_id = (select auth.uid()));
drop policy if exists "Owners may delete their projects" on public.projects;
create policy "Owners may delete their projects" on public.projects
  for delete to authenticated using (owner_id = (select auth.uid()));

select credits.meter_table('public.projects', 'project', 'owner_id');

insert into auth.users (id, instance_id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data)
values
  ('00000000-0000-4000-8000-000000000001', '00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated',
    'free@example.com', now(), '{"provider": "email", "providers": ["email"]}', '{}'),
  ('00000000-0000-4000-8000-000000000002', '00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated',
    'pro@example.com', now(), '{"provider": "email", "providers": ["email"]}', '{}')
on conflict (id) do nothing;

-- Supabase Auth cannot read a user whose tokens are null. Its table has these columns, the local stack's has not.
do $$
declare
  v_column text;
begin
  for v_column in
    select a.attname from pg_catalog.pg_attribute a
    where a.attrelid = 'auth.users'::regclass and a.attnum > 0 and not a.attisdropped
      and a.attname in ('confirmation_token', 'recovery_token', 'email_change', 'email_change_token_new')
  loop
    execute format('update auth.users set %1$I = '''' where %1$I is null and id in (%2$L, %3$L)', v_column,
      '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002');
  end loop;
end
$$;

select public.change_plan('00000000-0000-4000-8000-000000000002', 'pro', 'now', 'seed');
