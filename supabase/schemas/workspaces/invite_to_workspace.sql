create function credits.invite_to_workspace(
  p_user_id uuid, p_workspace_id uuid, p_email text, p_role text, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
  v_invitation jsonb;
begin
  v_role := credits.enter_workspace(p_workspace_id, v_user_id, '{owner,admin}');
  perform credits.check_invitation(p_workspace_id, p_email, p_role, p_ttl_seconds);
  if v_role = 'admin' and p_role = 'owner' then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', jsonb_build_array('owner')), 'Only an owner invites an owner.');
  end if;
  v_invitation := credits.invite(p_workspace_id, v_user_id, lower(btrim(p_email)), p_role,
    p_ttl_seconds);
  return credits.workspace_answer(p_workspace_id, v_user_id) || v_invitation;
end
$$;
comment on function credits.invite_to_workspace(uuid, uuid, text, text, integer) is
  'What invite_to_workspace does, after asking who calls.';
revoke all on function credits.invite_to_workspace(uuid, uuid, text, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function credits.invite_to_workspace(uuid, uuid, text, text, integer)
  to authenticated, service_role;

-- edge: result=Invitation callers=authenticated,service_role required=user_id,workspace_id,email
--   Invite an e-mail into a workspace. The ``token`` is answered once: send it to that e-mail,
--   unless ``sonas worker`` does.
--
--   An earlier invitation of the same e-mail ends.
--
--   Raises:
--       Forbidden: the user is neither owner nor admin, or an admin who invites an owner.
--       AccountNotFound, InvalidArgument.
create function public.invite_to_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null, p_email text default null,
  p_role text default 'member', p_ttl_seconds integer default 604800)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.invite_to_workspace(p_user_id, p_workspace_id, p_email, p_role, p_ttl_seconds);
comment on function public.invite_to_workspace(uuid, uuid, text, text, integer) is
  'Invites an e-mail into a workspace, for p_ttl_seconds (1 second to 30 days). Answers the '
  'token once; whoever proves the e-mail may use it once. An earlier invitation of the same '
  'e-mail ends.';
revoke all on function public.invite_to_workspace(uuid, uuid, text, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.invite_to_workspace(uuid, uuid, text, text, integer)
  to authenticated, service_role;

create function credits.check_invitation(
  p_account_id uuid, p_email text, p_role text, p_ttl_seconds integer)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if coalesce(btrim(p_email) !~ '^[^@[:space:]]+@[^@[:space:]]+$' or length(p_email) > 320, true)
  then
    perform credits.refuse_argument('p_email', 'Pass the e-mail of the person to invite.');
  end if;
  perform credits.check_role(p_role);
  if coalesce(p_ttl_seconds not between 1 and 2592000, true) then
    perform credits.refuse_argument('p_ttl_seconds',
      'An invitation is open for 1 second to 30 days (2592000 seconds).');
  end if;
  if exists (
    select 1 from public.credit_workspace_members m
    join auth.users u on u.id = m.user_id
    where m.account_id = p_account_id and lower(u.email) = lower(btrim(p_email))) then
    perform credits.refuse_argument('p_email', 'This person is in the workspace already.');
  end if;
  if (select count(*) from public.credit_invitations i
      where i.account_id = p_account_id and i.used_at is null and i.revoked_at is null
        and i.expires_at > statement_timestamp()) >= 500 then
    perform credits.raise_error('forbidden', '{"most": 500}',
      'A workspace has at most 500 open invitations. Take some back first.');
  end if;
end
$$;
comment on function credits.check_invitation(uuid, text, text, integer) is
  'Raises what is wrong with an invitation before it is made.';
revoke all on function credits.check_invitation(uuid, text, text, integer)
  from public, anon, authenticated, service_role;

create function credits.invite(
  p_account_id uuid, p_user_id uuid, p_email text, p_role text, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
  v_token text := credits.new_token(p_account_id, 'inv');
  v_invitation public.credit_invitations;
  v_expires_at timestamptz := v_at + make_interval(secs => p_ttl_seconds);
begin
  perform credits.end_invitations(p_account_id, null, p_email);
  insert into public.credit_invitations (
    account_id, email, role, user_id, created_at, expires_at)
  values (p_account_id, p_email, p_role, p_user_id, v_at, v_expires_at)
  returning * into v_invitation;
  insert into credits.invitation_secrets (account_id, token_hash, invitation_id)
  values (p_account_id, credits.hash_token(v_token), v_invitation.id);
  perform credits.queue_invitation(p_account_id, p_user_id, v_invitation);
  return jsonb_build_object('invitation_id', v_invitation.id, 'token', v_token, 'email', p_email,
    'invited_as', p_role, 'expires_at', v_expires_at);
end
$$;
comment on function credits.invite(uuid, uuid, text, text, integer) is
  'Makes an invitation and its token, which is kept as a hash only, and lets a worker mail it.';
revoke all on function credits.invite(uuid, uuid, text, text, integer)
  from public, anon, authenticated, service_role;

create function credits.open_invitations(p_account_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'invitation_id', i.id, 'email', i.email, 'role', i.role, 'invited_by', i.user_id,
      'created_at', i.created_at, 'expires_at', i.expires_at) order by i.created_at, i.id), '[]')
    from public.credit_invitations i
    where i.account_id = p_account_id and i.used_at is null and i.revoked_at is null
      and i.expires_at > statement_timestamp());
end
$$;
comment on function credits.open_invitations(uuid) is
  'The invitations of a workspace that can still be accepted.';
revoke all on function credits.open_invitations(uuid)
  from public, anon, authenticated, service_role;
