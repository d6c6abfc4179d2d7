create function credits.get_workspace(p_user_id uuid, p_workspace_id uuid)
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
  if p_workspace_id is null then
    perform credits.refuse_argument('p_workspace_id', 'Pass the id of the workspace.');
  end if;
  v_role := credits.require_standing(p_workspace_id, v_user_id, '{owner,admin,member,viewer}');
  return credits.workspace_answer(p_workspace_id, v_user_id) || jsonb_build_object(
    'invitations', case when v_role in ('owner', 'admin') then
      credits.open_invitations(p_workspace_id) else '[]' end);
end
$$;
comment on function credits.get_workspace(uuid, uuid) is
  'What get_workspace does, after asking who calls.';
revoke all on function credits.get_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.get_workspace(uuid, uuid) to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role repeatable
-- edge: required=user_id,workspace_id
--   A workspace, its members, and for owners and admins its open invitations.
--
--   Raises:
--       AccountNotFound: there is no such workspace, or the user is not in it.
create function public.get_workspace(p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.get_workspace(p_user_id, p_workspace_id);
comment on function public.get_workspace(uuid, uuid) is
  'A workspace that the acting user is in: its name, their role, its members, and for owners '
  'and admins its open invitations.';
revoke all on function public.get_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_workspace(uuid, uuid) to authenticated, service_role;
