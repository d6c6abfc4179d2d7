create table public.credit_workspaces (
  account_id uuid primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  constraint credit_workspaces_name_is_not_empty check (name <> '')
);
comment on table public.credit_workspaces is
  'Teams that share one pool of credits. The workspace''s id is the id of its account.';
alter table public.credit_workspaces enable row level security;
revoke all on table public.credit_workspaces from public, anon, authenticated, service_role;
grant select on table public.credit_workspaces to authenticated, service_role;

create table public.credit_workspace_members (
  account_id uuid not null constraint credit_workspace_members_account_id_fkey
    references public.credit_workspaces (account_id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member',
  created_at timestamptz not null default now(),
  constraint credit_workspace_members_pkey primary key (account_id, user_id),
  constraint credit_workspace_members_role_is_known check (role in ('owner', 'admin', 'member',
    'viewer'))
);
create index credit_workspace_members_user_id_idx on public.credit_workspace_members (user_id);
comment on table public.credit_workspace_members is
  'Who is in a workspace, and as what: a viewer reads, a member spends, an admin and an owner '
  'oversee it.';
comment on column public.credit_workspace_members.account_id is 'The workspace.';
alter table public.credit_workspace_members enable row level security;
revoke all on table public.credit_workspace_members from public, anon, authenticated, service_role;
grant select on table public.credit_workspace_members to authenticated, service_role;

-- Every policy compares the account with this array, which makes it an index condition, asked for
-- once. The cost says that it is dear, so that no plan reads other people's rows in some order and
-- asks for each. What follows is asked for each row of a workspace, so it is PL/pgSQL, whose plans
-- outlive a call; ask_policies_once() puts it into sub-selects.
create function credits.reader_id()
returns uuid
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return auth.uid();
end
$$;
comment on function credits.reader_id() is
  'The signed-in user, for the row level security policies.';
revoke all on function credits.reader_id() from public, anon, authenticated, service_role;
grant execute on function credits.reader_id() to authenticated;

create function credits.readable_ids()
returns uuid[]
language plpgsql
stable
security definer
cost 10000
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
begin
  return array(
    select v_user_id
    union all
    select m.account_id from public.credit_workspace_members m where m.user_id = v_user_id);
end
$$;
comment on function credits.readable_ids() is
  'The accounts whose plan and balance the signed-in user may read: their own and those of their '
  'workspaces.';
revoke all on function credits.readable_ids() from public, anon, authenticated, service_role;
grant execute on function credits.readable_ids() to authenticated;

create function credits.overseen_ids()
returns uuid[]
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
begin
  return array(
    select v_user_id
    union all
    select m.account_id from public.credit_workspace_members m
    where m.user_id = v_user_id and m.role in ('owner', 'admin'));
end
$$;
comment on function credits.overseen_ids() is
  'The accounts of which the signed-in user may read what everybody did: their own, and the '
  'workspaces that they own or administer.';
revoke all on function credits.overseen_ids() from public, anon, authenticated, service_role;
grant execute on function credits.overseen_ids() to authenticated;

create function credits.only_actor(p_account_id uuid, p_user_id uuid)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_user_id = p_account_id or exists (
    select 1 from public.credit_workspace_members m
    where m.account_id = p_account_id and m.user_id = p_user_id
      and m.role in ('owner', 'admin')) then
    return null;
  end if;
  return p_user_id;
end
$$;
comment on function credits.only_actor(uuid, uuid) is
  'Whose acts on an account a reader sees: null for everybody''s, where they oversee it, else the '
  'reader''s own.';
revoke all on function credits.only_actor(uuid, uuid) from public, anon, authenticated,
  service_role;

create policy "Members may read their workspaces" on public.credit_workspaces
  for select to authenticated using (account_id = any (credits.readable_ids()));
create policy "Members may read who else is a member" on public.credit_workspace_members
  for select to authenticated using (account_id = any (credits.readable_ids()));
