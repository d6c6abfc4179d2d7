-- What everybody in a workspace may do. A viewer reads; a member spends; an admin also invites,
-- removes and sets roles up to admin, never an owner's; an owner does everything.
--
-- Whoever changes members holds the row of the workspace, so that two of them count the same
-- owners. Balances are locked after it.

create function credits.acting_user(p_user_id uuid)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_user_id uuid := credits.reading_user(p_user_id);
begin
  if v_user_id is null then
    perform credits.refuse_argument('p_user_id', 'Pass the id of the acting user.');
  end if;
  return credits.paying_account(v_user_id);
end
$$;
comment on function credits.acting_user(uuid) is
  'Who acts: any user for the service role, themselves for a signed-in user. Opens an account that '
  'is missing; raises account_not_found for somebody else''s id and for one that is gone.';
revoke all on function credits.acting_user(uuid) from public, anon, authenticated, service_role;

create function credits.refuse_argument(p_argument text, p_hint text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  perform credits.raise_error(
    'invalid_argument', jsonb_build_object('argument', p_argument), p_hint);
end
$$;
comment on function credits.refuse_argument(text, text) is
  'Raises invalid_argument, with the name of the argument.';
revoke all on function credits.refuse_argument(text, text)
  from public, anon, authenticated, service_role;

create function credits.standing_of(p_account_id uuid, p_user_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A member whose own account is gone is one no longer.
  return (
    select m.role from public.credit_workspace_members m
    where m.account_id = p_account_id and m.user_id = p_user_id
      and credits.is_living(p_account_id)
      and (credits.is_living(p_user_id) or not exists (
        select 1 from credits.accounts a where a.account_id = p_user_id)));
end
$$;
comment on function credits.standing_of(uuid, uuid) is
  'The role of a person in a workspace that exists; null for an outsider.';
revoke all on function credits.standing_of(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.require_standing(p_account_id uuid, p_user_id uuid, p_roles text[])
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_role text := credits.standing_of(p_account_id, p_user_id);
begin
  if v_role is null then
    perform credits.raise_error('account_not_found', jsonb_build_object(
      'user_id', p_user_id, 'workspace_id', p_account_id));
  elsif v_role <> all (p_roles) then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', to_jsonb(p_roles)));
  end if;
  return v_role;
end
$$;
comment on function credits.require_standing(uuid, uuid, text[]) is
  'The role of a member, when it is one of these. Raises account_not_found for an outsider, '
  'forbidden for a member with another role.';
revoke all on function credits.require_standing(uuid, uuid, text[])
  from public, anon, authenticated, service_role;

create function credits.enter_workspace(p_account_id uuid, p_user_id uuid, p_roles text[])
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_account_id is null then
    perform credits.refuse_argument('p_workspace_id', 'Pass the id of the workspace.');
  end if;
  -- Asked before, so that an outsider keeps nobody waiting, and again of what is true by then.
  perform credits.require_standing(p_account_id, p_user_id, p_roles);
  perform credits.lock_workspace(p_account_id);
  return credits.require_standing(p_account_id, p_user_id, p_roles);
end
$$;
comment on function credits.enter_workspace(uuid, uuid, text[]) is
  'Locks a workspace for a change of who is in it, and answers the role of the person who acts.';
revoke all on function credits.enter_workspace(uuid, uuid, text[])
  from public, anon, authenticated, service_role;

create function credits.lock_workspace(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform 1 from public.credit_workspaces w
  where w.account_id = p_account_id for no key update;
end
$$;
comment on function credits.lock_workspace(uuid) is
  'Locks the row of a workspace, which comes before all that belongs to it.';
revoke all on function credits.lock_workspace(uuid) from public, anon, authenticated, service_role;

create function credits.keep_an_owner(p_account_id uuid, p_user_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if not exists (
    select 1 from public.credit_workspace_members m
    where m.account_id = p_account_id and m.role = 'owner' and m.user_id <> p_user_id
      and credits.standing_of(p_account_id, m.user_id) is not null) then
    perform credits.raise_error('last_owner', jsonb_build_object(
      'workspace_id', p_account_id, 'user_id', p_user_id));
  end if;
end
$$;
comment on function credits.keep_an_owner(uuid, uuid) is
  'Raises last_owner when a workspace has no other owner than this one. Call it with the '
  'workspace locked.';
revoke all on function credits.keep_an_owner(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.members_of(p_account_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'user_id', m.user_id, 'role', m.role, 'email', u.email, 'joined_at', m.created_at)
      order by array_position('{owner,admin,member,viewer}'::text[], m.role), m.created_at,
        m.user_id), '[]')
    from public.credit_workspace_members m
    left join auth.users u on u.id = m.user_id
    where m.account_id = p_account_id);
end
$$;
comment on function credits.members_of(uuid) is
  'Who is in a workspace, as what, and under which e-mail; owners first.';
revoke all on function credits.members_of(uuid) from public, anon, authenticated, service_role;

create function credits.workspace_answer(p_account_id uuid, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'workspace_id', p_account_id,
    'name', (select w.name from public.credit_workspaces w where w.account_id = p_account_id),
    'role', credits.standing_of(p_account_id, p_user_id), 'replayed', false,
    'members', credits.members_of(p_account_id)));
end
$$;
comment on function credits.workspace_answer(uuid, uuid) is
  'The answer of an operation on a workspace: its name, the role of the person who acts (null when '
  'they are out of it), and its members.';
revoke all on function credits.workspace_answer(uuid, uuid)
  from public, anon, authenticated, service_role;
