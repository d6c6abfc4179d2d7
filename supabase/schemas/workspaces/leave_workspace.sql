create function credits.leave_workspace(p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
begin
  v_role := credits.enter_workspace(
    p_workspace_id, v_user_id, '{owner,admin,member,viewer}');
  if v_role = 'owner' then
    perform credits.keep_an_owner(p_workspace_id, v_user_id);
  end if;
  perform credits.end_membership(p_workspace_id, v_user_id);
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.leave_workspace(uuid, uuid) is
  'What leave_workspace does, after asking who calls.';
revoke all on function credits.leave_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.leave_workspace(uuid, uuid) to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,workspace_id
--   Leave a workspace. What the user holds of it is released.
--
--   Raises:
--       LastOwner: there is no other owner. Make somebody one first, or delete the workspace.
--       AccountNotFound.
create function public.leave_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.leave_workspace(p_user_id, p_workspace_id);
comment on function public.leave_workspace(uuid, uuid) is
  'Takes the acting user out of a workspace, which releases what they hold of it. The last '
  'owner stays: last_owner.';
revoke all on function public.leave_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.leave_workspace(uuid, uuid) to authenticated, service_role;
