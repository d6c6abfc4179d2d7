create function credits.delete_workspace(p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_answer jsonb;
begin
  perform credits.enter_workspace(p_workspace_id, v_user_id, '{owner}');
  v_answer := credits.workspace_answer(p_workspace_id, v_user_id);
  delete from public.credit_workspaces w where w.account_id = p_workspace_id;
  -- At once, and not when the transaction ends: what it holds is free when this call answers.
  perform credits.close_account(p_workspace_id);
  return v_answer || '{"role": null, "members": []}';
end
$$;
comment on function credits.delete_workspace(uuid, uuid) is
  'What delete_workspace does, after asking who calls.';
revoke all on function credits.delete_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.delete_workspace(uuid, uuid) to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,workspace_id
--   Delete a workspace: its account is closed, its holds are released, its ledger stays.
--
--   Raises:
--       Forbidden: the user is no owner.
--       AccountNotFound.
create function public.delete_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.delete_workspace(p_user_id, p_workspace_id);
comment on function public.delete_workspace(uuid, uuid) is
  'Deletes a workspace, which only an owner may: its account is closed, its holds are released, '
  'its ledger stays.';
revoke all on function public.delete_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.delete_workspace(uuid, uuid) to authenticated, service_role;
