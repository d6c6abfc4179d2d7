create function credits.accept_workspace_invitation(p_user_id uuid, p_token text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid := credits.account_of_token(p_token, 'inv');
  v_invitation public.credit_invitations;
  v_joins boolean;
begin
  if p_token is null then
    perform credits.refuse_argument('p_token', 'Pass the token of the invitation.');
  end if;
  perform credits.lock_workspace(v_account_id);
  select i.* into v_invitation
  from credits.invitation_secrets s
  join public.credit_invitations i on i.account_id = s.account_id and i.id = s.invitation_id
  where s.account_id = v_account_id and s.token_hash = credits.hash_token(p_token);
  if not found then
    perform credits.raise_error('invitation_not_found');
  end if;
  v_joins := credits.check_acceptance(v_account_id, v_invitation, v_user_id);
  if v_joins then
    perform credits.use_invitation(v_account_id, v_invitation, v_user_id);
  end if;
  return credits.workspace_answer(v_account_id, v_user_id)
    || jsonb_build_object('replayed', not v_joins);
end
$$;
comment on function credits.accept_workspace_invitation(uuid, text) is
  'What accept_workspace_invitation does, after asking who calls.';
revoke all on function credits.accept_workspace_invitation(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function credits.accept_workspace_invitation(uuid, text)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role repeatable required=user_id,token
--   Join a workspace by the token of an invitation to one's own e-mail.
--
--   Raises:
--       Forbidden: it was sent to another e-mail, or the e-mail was never confirmed.
--       InvitationUsed: somebody has used it, or the user was removed since.
--       InvitationExpired: its time is over, it was taken back, or its sender may invite no more.
--       InvitationNotFound, AccountNotFound, InvalidArgument.
create function public.accept_workspace_invitation(
  p_user_id uuid default null, p_token text default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.accept_workspace_invitation(p_user_id, p_token);
comment on function public.accept_workspace_invitation(uuid, text) is
  'Takes the acting user into a workspace by the token of an invitation to their e-mail, once. '
  'The same person again is answered the same; raises forbidden for another e-mail, '
  'invitation_used, invitation_expired.';
revoke all on function public.accept_workspace_invitation(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.accept_workspace_invitation(uuid, text)
  to authenticated, service_role;

create function credits.check_acceptance(
  p_account_id uuid, p_invitation public.credit_invitations, p_user_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_about jsonb := jsonb_build_object('workspace_id', p_account_id);
  v_inviter text := credits.standing_of(p_account_id, p_invitation.user_id);
begin
  if p_invitation.used_by = p_user_id
     and credits.standing_of(p_account_id, p_user_id) is not null then
    return false;
  elsif p_invitation.used_at is not null then
    perform credits.raise_error('invitation_used', v_about);
  elsif lower(credits.confirmed_email(p_user_id)) is distinct from p_invitation.email then
    perform credits.raise_error('forbidden', '{}',
      'This invitation was sent to another e-mail. Sign in with that one, and confirm it.');
  -- An invitation is worth what its sender may do now, or one could keep a door open for oneself.
  elsif p_invitation.revoked_at is not null or p_invitation.expires_at <= credits.clock()
    or coalesce(v_inviter not in ('owner', 'admin'), true)
    or p_invitation.role = 'owner' and v_inviter <> 'owner' then
    perform credits.raise_error('invitation_expired', v_about);
  end if;
  return true;
end
$$;
comment on function credits.check_acceptance(uuid, public.credit_invitations, uuid) is
  'Whether an invitation takes a person in; false when it has done so before. Raises why it does '
  'not. Call it with the workspace locked.';
revoke all on function credits.check_acceptance(uuid, public.credit_invitations, uuid)
  from public, anon, authenticated, service_role;

create function credits.use_invitation(
  p_account_id uuid, p_invitation public.credit_invitations, p_user_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
begin
  update public.credit_invitations i set used_at = v_at, used_by = p_user_id
  where i.account_id = p_account_id and i.id = p_invitation.id and i.used_at is null;
  -- A member keeps the role that they have.
  insert into public.credit_workspace_members (account_id, user_id, role)
  values (p_account_id, p_user_id, p_invitation.role)
  on conflict (account_id, user_id) do nothing;
end
$$;
comment on function credits.use_invitation(uuid, public.credit_invitations, uuid) is
  'Uses an invitation up and takes the person in.';
revoke all on function credits.use_invitation(uuid, public.credit_invitations, uuid)
  from public, anon, authenticated, service_role;

create function credits.confirmed_email(p_user_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Auth notes when it has asked for a confirmation. Without one asked for, the e-mail came from
  -- whoever made the user: the project's own backend.
  return (
    select u.email from auth.users u
    where u.id = p_user_id and u.deleted_at is null and (
      u.email_confirmed_at is not null or to_jsonb(u) ->> 'confirmation_sent_at' is null
        and coalesce(u.raw_user_meta_data ->> 'email_verified', 'true') <> 'false'));
end
$$;
comment on function credits.confirmed_email(uuid) is
  'The e-mail of a user; null while Auth waits for its confirmation.';
revoke all on function credits.confirmed_email(uuid)
  from public, anon, authenticated, service_role;
