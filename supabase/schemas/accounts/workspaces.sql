create table public.workspaces (
  account_id uuid primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  constraint workspaces_name_is_not_empty check (name <> '')
);
comment on table public.workspaces is 'Teams that share one pool of credits. The workspace''s id is the id of its account.';
alter table public.workspaces enable row level security;
revoke all on table public.workspaces from public, anon, authenticated, service_role;
grant select on table public.workspaces to authenticated, service_role;

create table public.workspace_members (
  account_id uuid not null constraint workspace_members_account_id_fkey references public.workspaces (account_id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member',
  created_at timestamptz not null default now(),
  constraint workspace_members_pkey primary key (account_id, user_id),
  constraint workspace_members_role_is_owner_admin_or_member check (role in ('owner', 'admin', 'member'))
);
create index workspace_members_user_id_idx on public.workspace_members (user_id);
comment on table public.workspace_members is 'Who may spend the credits of a workspace.';
comment on column public.workspace_members.account_id is 'The workspace.';
alter table public.workspace_members enable row level security;
revoke all on table public.workspace_members from public, anon, authenticated, service_role;
grant select on table public.workspace_members to authenticated, service_role;

create function credits.readable_accounts()
returns setof uuid
language sql
stable
security definer
set search_path = ''
as $$
  select auth.uid()
  union all
  select m.account_id from public.workspace_members m where m.user_id = auth.uid()
$$;
comment on function credits.readable_accounts() is
  'The accounts whose rows the signed-in user may read: their own and those of their workspaces. Used by the row level security policies.';
revoke all on function credits.readable_accounts() from public, anon, authenticated, service_role;
grant execute on function credits.readable_accounts() to authenticated;

create policy "Members may read their workspaces" on public.workspaces
  for select to authenticated using (account_id in (select credits.readable_accounts()));
create policy "Members may read who else is a member" on public.workspace_members
  for select to authenticated using (account_id in (select credits.readable_accounts()));
