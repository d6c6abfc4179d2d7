create function credits.revoke_workspace_invitation(
  p_user_id uuid, p_workspace_id uuid, p_invitation_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
  v_invitation public.credit_invitations;
begin
  v_role := credits.enter_workspace(p_workspace_id, v_user_id, '{owner,admin}');
  if p_invitation_id is null then
    perform credits.refuse_argument('p_invitation_id', 'Pass the id of the invitation.');
  end if;
  select * into v_invitation from public.credit_invitations i
  where i.account_id = p_workspace_id and i.id = p_invitation_id;
  if not found then
    perform credits.raise_error('invitation_not_found', jsonb_build_object(
      'invitation_id', p_invitation_id));
  elsif v_invitation.used_at is not null then
    perform credits.raise_error('invitation_used', jsonb_build_object(
      'invitation_id', p_invitation_id));
  elsif v_role = 'admin' and v_invitation.role = 'owner' then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', jsonb_build_array('owner')));
  end if;
  perform credits.end_invitations(p_workspace_id, p_invitation_id, null);
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.revoke_workspace_invitation(uuid, uuid, uuid) is
  'What revoke_workspace_invitation does, after asking who calls.';
revoke all on function credits.revoke_workspace_invitation(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.revoke_workspace_invitation(uuid, uuid, uuid)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role repeatable
-- edge: required=user_id,workspace_id,invitation_id
--   Take an invitation back, before it is accepted.
--
--   Raises:
--       InvitationUsed: it has been accepted.
--       InvitationNotFound, Forbidden, AccountNotFound.
create function public.revoke_workspace_invitation(
  p_user_id uuid default null, p_workspace_id uuid default null,
  p_invitation_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.revoke_workspace_invitation(p_user_id, p_workspace_id, p_invitation_id);
comment on function public.revoke_workspace_invitation(uuid, uuid, uuid) is
  'Takes an invitation back. Raises invitation_used where it was accepted already.';
revoke all on function public.revoke_workspace_invitation(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.revoke_workspace_invitation(uuid, uuid, uuid)
  to authenticated, service_role;

create function credits.end_invitations(p_account_id uuid, p_invitation_id uuid, p_email text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
begin
  update public.credit_invitations i set revoked_at = v_at
  where i.account_id = p_account_id and (i.id = p_invitation_id or i.email = p_email)
    and i.used_at is null and i.revoked_at is null;
end
$$;
comment on function credits.end_invitations(uuid, uuid, text) is
  'Ends an open invitation, or those to an e-mail. Call it with the workspace locked.';
revoke all on function credits.end_invitations(uuid, uuid, text)
  from public, anon, authenticated, service_role;
