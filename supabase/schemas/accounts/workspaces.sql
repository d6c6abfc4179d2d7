create table public.credit_workspaces (
  account_id uuid primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  constraint credit_workspaces_name_is_not_empty check (name <> '')
);
comment on table public.credit_workspaces is 'Teams that share one pool of credits. The workspace''s id is the id of its account.';
alter table public.credit_workspaces enable row level security;
revoke all on table public.credit_workspaces from public, anon, authenticated, service_role;
grant select on table public.credit_workspaces to authenticated, service_role;

create table public.credit_workspace_members (
  account_id uuid not null constraint credit_workspace_members_account_id_fkey references public.credit_workspaces (account_id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member',
  created_at timestamptz not null default now(),
  constraint credit_workspace_members_pkey primary key (account_id, user_id),
  constraint credit_workspace_members_role_is_known check (role in ('owner', 'admin', 'member', 'viewer'))
);
create index credit_workspace_members_user_id_idx on public.credit_workspace_members (user_id);
comment on table public.credit_workspace_members is 'Who may spend the credits of a workspace.';
comment on column public.credit_workspace_members.account_id is 'The workspace.';
alter table public.credit_workspace_members enable row level security;
revoke all on table public.credit_workspace_members from public, anon, authenticated, service_role;
grant select on table public.credit_workspace_members to authenticated, service_role;

create function credits.readable_ids()
returns uuid[]
language sql
stable
security definer
set search_path = ''
as $$
  select array(
    select auth.uid()
    union all
    select m.account_id from public.credit_workspace_members m where m.user_id = auth.uid())
$$;
comment on function credits.readable_ids() is
  'The accounts whose rows the signed-in user may read: their own and those of their workspaces. The row level security policies compare with it as an array, so that it is an index condition.';
revoke all on function credits.readable_ids() from public, anon, authenticated, service_role;
grant execute on function credits.readable_ids() to authenticated;

create policy "Members may read their workspaces" on public.credit_workspaces
  for select to authenticated using (account_id = any (credits.readable_ids()));
create policy "Members may read who else is a member" on public.credit_workspace_members
  for select to authenticated using (account_id = any (credits.readable_ids()));
