create function credits.remove_from_workspace(p_user_id uuid, p_workspace_id uuid, p_member_id uuid)
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
  v_before := credits.role_of_member(p_workspace_id, p_member_id);
  if v_role = 'admin' and v_before = 'owner' then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', jsonb_build_array('owner')), 'Only an owner removes an owner.');
  end if;
  if v_before = 'owner' then
    perform credits.keep_an_owner(p_workspace_id, p_member_id);
  end if;
  perform credits.end_membership(p_workspace_id, p_member_id);
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.remove_from_workspace(uuid, uuid, uuid) is
  'What remove_from_workspace does, after asking who calls.';
revoke all on function credits.remove_from_workspace(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.remove_from_workspace(uuid, uuid, uuid)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,workspace_id,member_id
--   Take a member out of a workspace. Their access ends at once, and their holds are released.
--
--   Raises:
--       Forbidden: the user is neither owner nor admin, or an admin and the member an owner.
--       LastOwner: there is no other owner.
--       MemberNotFound, AccountNotFound, InvalidArgument.
create function public.remove_from_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null, p_member_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.remove_from_workspace(p_user_id, p_workspace_id, p_member_id);
comment on function public.remove_from_workspace(uuid, uuid, uuid) is
  'Takes a member out of a workspace. Their access ends at once, with tokens that are still '
  'valid, and what they hold of it is released.';
revoke all on function public.remove_from_workspace(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.remove_from_workspace(uuid, uuid, uuid)
  to authenticated, service_role;

create function credits.end_membership(p_account_id uuid, p_member_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- A trigger releases what the member holds (release_holds_of_removed_member).
  delete from public.credit_workspace_members m
  where m.account_id = p_account_id and m.user_id = p_member_id;
end
$$;
comment on function credits.end_membership(uuid, uuid) is
  'Takes a person out of a workspace. Call it with the workspace locked.';
revoke all on function credits.end_membership(uuid, uuid)
  from public, anon, authenticated, service_role;
