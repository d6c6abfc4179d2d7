create function credits.transfer_workspace(p_user_id uuid, p_workspace_id uuid, p_member_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
begin
  perform credits.enter_workspace(p_workspace_id, v_user_id, '{owner}');
  perform credits.role_of_member(p_workspace_id, p_member_id);
  if p_member_id = v_user_id then
    perform credits.refuse_argument(
      'p_member_id', 'Pass another member: this one owns it already.');
  end if;
  if credits.standing_of(p_workspace_id, p_member_id) is null then
    perform credits.raise_error('member_not_found', jsonb_build_object('member_id', p_member_id));
  end if;
  perform credits.change_role(p_workspace_id, p_member_id, 'owner');
  perform credits.change_role(p_workspace_id, v_user_id, 'admin');
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.transfer_workspace(uuid, uuid, uuid) is
  'What transfer_workspace does, after asking who calls.';
revoke all on function credits.transfer_workspace(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.transfer_workspace(uuid, uuid, uuid)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,workspace_id,member_id
--   Make another member the owner; the acting owner becomes an admin.
--
--   The e-mail of the workspace at the payment provider is not moved.
--
--   Raises:
--       Forbidden: the user is no owner.
--       MemberNotFound, AccountNotFound, InvalidArgument.
create function public.transfer_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null, p_member_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.transfer_workspace(p_user_id, p_workspace_id, p_member_id);
comment on function public.transfer_workspace(uuid, uuid, uuid) is
  'Makes another member the owner in the place of the acting one, who becomes an admin. The '
  'e-mail of the workspace at the payment provider is not moved.';
revoke all on function public.transfer_workspace(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.transfer_workspace(uuid, uuid, uuid)
  to authenticated, service_role;
