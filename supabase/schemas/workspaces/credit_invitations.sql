create table public.credit_invitations (
  account_id uuid not null constraint credit_invitations_account_id_fkey
    references public.credit_workspaces (account_id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  email text not null,
  role text not null,
  user_id uuid not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  used_by uuid,
  revoked_at timestamptz,
  constraint credit_invitations_pkey primary key (account_id, id),
  constraint credit_invitations_role_is_known
    check (role in ('owner', 'admin', 'member', 'viewer')),
  constraint credit_invitations_used_has_a_user check ((used_at is null) = (used_by is null)),
  constraint credit_invitations_are_used_or_revoked check (used_at is null or revoked_at is null),
  constraint credit_invitations_expire_after_they_start check (expires_at > created_at)
);
comment on table public.credit_invitations is
  'Who was invited into a workspace, by e-mail and for a while. Owners and admins read them. The '
  'secret of an invitation is nowhere; its hash is in credits.invitation_secrets.';
comment on column public.credit_invitations.user_id is 'Who invited.';
comment on column public.credit_invitations.revoked_at is
  'When it was taken back, or replaced by a later one for the same e-mail.';
alter table public.credit_invitations enable row level security;
revoke all on table public.credit_invitations from public, anon, authenticated, service_role;
grant select on table public.credit_invitations to authenticated, service_role;
create policy "Owners and admins may read the invitations of their workspaces"
  on public.credit_invitations for select to authenticated using (
    (account_id = any (credits.readable_ids())) and account_id = any (credits.overseen_ids()));

create table credits.invitation_secrets (
  account_id uuid not null,
  token_hash text not null,
  invitation_id uuid not null,
  constraint invitation_secrets_pkey primary key (account_id, token_hash),
  constraint invitation_secrets_invitation_fkey foreign key (account_id, invitation_id)
    references public.credit_invitations (account_id, id) on delete cascade
);
comment on table credits.invitation_secrets is
  'The SHA-256 of the token of each invitation. The token itself is answered once, to the person '
  'who invites.';
alter table credits.invitation_secrets enable row level security;
revoke all on table credits.invitation_secrets from public, anon, authenticated, service_role;

create function credits.hash_token(p_token text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select encode(sha256(convert_to(p_token, 'UTF8')), 'hex')
$$;
comment on function credits.hash_token(text) is
  'What is stored of a secret that somebody else keeps.';
revoke all on function credits.hash_token(text) from public, anon, authenticated, service_role;

create function credits.account_of_token(p_token text, p_kind text)
returns uuid
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  -- The account stands in front of the secret, so that one account's rows are looked at.
  return case when p_token ~ ('^' || p_kind || '_[0-9a-f]{96}$')
    then substr(p_token, length(p_kind) + 2, 32)::uuid end;
end
$$;
comment on function credits.account_of_token(text, text) is
  'The account that a token is about; null for what is none of this kind.';
revoke all on function credits.account_of_token(text, text)
  from public, anon, authenticated, service_role;

create function credits.new_token(p_account_id uuid, p_kind text)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return p_kind || '_' || replace(p_account_id::text || gen_random_uuid() || gen_random_uuid(),
    '-', '');
end
$$;
comment on function credits.new_token(uuid, text) is
  'A secret with 244 random bits, and the account that it is for.';
revoke all on function credits.new_token(uuid, text)
  from public, anon, authenticated, service_role;
