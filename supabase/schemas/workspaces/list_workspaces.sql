create function credits.list_workspaces(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
begin
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'workspace_id', null, 'workspaces', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'workspace_id', w.account_id, 'name', w.name, 'role', m.role, 'members', (
          select count(*) from public.credit_workspace_members o
          where o.account_id = w.account_id),
        'created_at', w.created_at) order by w.name, w.account_id), '[]')
      from public.credit_workspace_members m
      join public.credit_workspaces w on w.account_id = m.account_id
      where m.user_id = v_user_id)));
end
$$;
comment on function credits.list_workspaces(uuid) is
  'What list_workspaces does, after asking who calls.';
revoke all on function credits.list_workspaces(uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.list_workspaces(uuid) to authenticated, service_role;

-- edge: result=WorkspaceList callers=authenticated,service_role repeatable required=user_id
--   The workspaces that the user is in.
--
--   Raises:
--       AccountNotFound.
create function public.list_workspaces(p_user_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.list_workspaces(p_user_id);
comment on function public.list_workspaces(uuid) is
  'The workspaces that the acting user is in, with their role and how many members each has.';
revoke all on function public.list_workspaces(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.list_workspaces(uuid) to authenticated, service_role;
