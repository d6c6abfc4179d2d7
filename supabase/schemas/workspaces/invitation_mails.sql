-- Invitations by mail. An invitation waits on a channel of its own, for its receiver need not be a
-- user. Its token is stored nowhere, so whoever mails it is handed one more, made for this mail.

create function credits.queue_invitation(
  p_account_id uuid, p_user_id uuid, p_invitation public.credit_invitations)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_day timestamptz := v_now - interval '1 day';
  v_message_id uuid;
begin
  -- A workspace is no means to fill the mailbox of a stranger, or of many.
  if not (select s.mail_invitations from credits.settings s) or (
    select count(*) > 100 or count(*) filter (where i.email = p_invitation.email) > 3
    from public.credit_invitations i
    where i.account_id = p_account_id and i.created_at > v_day) then
    return;
  end if;
  insert into credits.outbox (account_id, kind, user_id, data, created_at, routed_at)
  values (p_account_id, 'invitation', p_user_id, jsonb_build_object('account_id', p_account_id,
    'invitation_id', p_invitation.id, 'role', p_invitation.role, 'expires_at',
    p_invitation.expires_at), v_now, v_now)
  returning id into v_message_id;
  perform credits.queue_delivery(
    p_account_id, 'invitation', p_invitation.id, v_message_id, v_now);
end
$$;
comment on function credits.queue_invitation(uuid, uuid, public.credit_invitations) is
  'Lets a worker mail an invitation: three a day to one address, a hundred a day for a workspace. '
  'What is beyond can still be sent by the person who invites.';
revoke all on function credits.queue_invitation(uuid, uuid, public.credit_invitations)
  from public, anon, authenticated, service_role;

create function credits.invitee_of(p_account_id uuid, p_invitation_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_invitation public.credit_invitations;
  v_now timestamptz := clock_timestamp();
  v_token text := credits.new_token(p_account_id, 'inv');
begin
  select * into v_invitation from public.credit_invitations i
  where i.account_id = p_account_id and i.id = p_invitation_id and i.used_at is null
    and i.revoked_at is null and i.expires_at > v_now
    and i.created_at > v_now - interval '3 days'
    and credits.standing_of(p_account_id, i.user_id) in ('owner', 'admin');
  if not found then
    return null;
  end if;
  insert into credits.invitation_secrets (account_id, token_hash, invitation_id)
  values (p_account_id, credits.hash_token(v_token), p_invitation_id);
  return jsonb_build_object('email', v_invitation.email, 'wanted', true, 'token', v_token,
    'invited_by', credits.confirmed_email(v_invitation.user_id), 'workspace', (
      select w.name from public.credit_workspaces w where w.account_id = p_account_id));
end
$$;
comment on function credits.invitee_of(uuid, uuid) is
  'To whom an invitation is mailed, with a token made for this mail; null where it can no longer '
  'be accepted, or is older than three days.';
revoke all on function credits.invitee_of(uuid, uuid)
  from public, anon, authenticated, service_role;
