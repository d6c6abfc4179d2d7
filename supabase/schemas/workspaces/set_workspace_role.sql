create function credits.set_workspace_role(
  p_user_id uuid, p_workspace_id uuid, p_member_id uuid, p_role text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
  v_before text;
begin
  v_role := credits.enter_workspace(p_workspace_id, v_user_id, '{owner,admin}');
  perform credits.check_role(p_role);
  v_before := credits.role_of_member(p_workspace_id, p_member_id);
  if v_role = 'admin' and 'owner' in (v_before, p_role) then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', jsonb_build_array('owner')),
      'Only an owner makes an owner, or takes that away.');
  end if;
  if v_before = 'owner' and p_role <> 'owner' then
    perform credits.keep_an_owner(p_workspace_id, p_member_id);
  end if;
  perform credits.change_role(p_workspace_id, p_member_id, p_role);
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.set_workspace_role(uuid, uuid, uuid, text) is
  'What set_workspace_role does, after asking who calls.';
revoke all on function credits.set_workspace_role(uuid, uuid, uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function credits.set_workspace_role(uuid, uuid, uuid, text)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role repeatable
-- edge: required=user_id,workspace_id,member_id,role
--   Give a member the role ``owner``, ``admin``, ``member`` or ``viewer``.
--
--   Raises:
--       Forbidden: the user is neither owner nor admin, or an admin and it is about an owner.
--       LastOwner: it would leave the workspace without an owner.
--       MemberNotFound, AccountNotFound, InvalidArgument.
create function public.set_workspace_role(
  p_user_id uuid default null, p_workspace_id uuid default null, p_member_id uuid default null,
  p_role text default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.set_workspace_role(p_user_id, p_workspace_id, p_member_id, p_role);
comment on function public.set_workspace_role(uuid, uuid, uuid, text) is
  'Gives a member another role: owner, admin, member or viewer. An admin sets roles up to '
  'admin, and never an owner''s.';
revoke all on function public.set_workspace_role(uuid, uuid, uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.set_workspace_role(uuid, uuid, uuid, text)
  to authenticated, service_role;

create function credits.check_role(p_role text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if coalesce(p_role not in ('owner', 'admin', 'member', 'viewer'), true) then
    perform credits.refuse_argument('p_role', 'A role is owner, admin, member or viewer.');
  end if;
end
$$;
comment on function credits.check_role(text) is 'Raises invalid_argument for what is no role.';
revoke all on function credits.check_role(text) from public, anon, authenticated, service_role;

create function credits.role_of_member(p_account_id uuid, p_member_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_role text;
begin
  if p_member_id is null then
    perform credits.refuse_argument('p_member_id', 'Pass the id of the member.');
  end if;
  select m.role into v_role from public.credit_workspace_members m
  where m.account_id = p_account_id and m.user_id = p_member_id;
  if not found then
    perform credits.raise_error('member_not_found', jsonb_build_object('member_id', p_member_id));
  end if;
  return v_role;
end
$$;
comment on function credits.role_of_member(uuid, uuid) is
  'The role of a member, also of one whose own account is gone. Raises member_not_found.';
revoke all on function credits.role_of_member(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.change_role(p_account_id uuid, p_member_id uuid, p_role text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.credit_workspace_members m set role = p_role
  where m.account_id = p_account_id and m.user_id = p_member_id and m.role <> p_role;
end
$$;
comment on function credits.change_role(uuid, uuid, text) is
  'Writes the role of a member. Call it with the workspace locked.';
revoke all on function credits.change_role(uuid, uuid, text)
  from public, anon, authenticated, service_role;
