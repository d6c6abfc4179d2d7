create table public.credit_webhooks (
  account_id uuid not null,
  id uuid not null default gen_random_uuid(),
  url text not null,
  kinds text[],
  created_at timestamptz not null default now(),
  disabled_at timestamptz,
  disabled_reason text,
  constraint credit_webhooks_pkey primary key (account_id, id),
  constraint credit_webhooks_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id),
  constraint credit_webhooks_are_disabled_for_a_reason
    check ((disabled_at is null) = (disabled_reason is null))
);
comment on table public.credit_webhooks is
  'Where messages about an account are sent, signed after Standard Webhooks.';
comment on column public.credit_webhooks.kinds is 'Which kinds of message; null is all.';
comment on column public.credit_webhooks.disabled_at is
  'When it was given up, because the receiver said that it is gone (410).';
alter table public.credit_webhooks enable row level security;
revoke all on table public.credit_webhooks from public, anon, authenticated, service_role;
grant select on table public.credit_webhooks to authenticated, service_role;
create policy "Overseers may read where messages are sent" on public.credit_webhooks
  for select to authenticated using (
    account_id = any (credits.readable_ids()) and account_id = any (credits.overseen_ids()));

create table credits.webhook_secrets (
  account_id uuid not null,
  endpoint_id uuid not null,
  id uuid not null default gen_random_uuid(),
  inner_key bytea not null,
  outer_key bytea not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  constraint webhook_secrets_pkey primary key (account_id, endpoint_id, id),
  constraint webhook_secrets_endpoint_fkey foreign key (account_id, endpoint_id)
    references public.credit_webhooks (account_id, id) on delete cascade
);
comment on table credits.webhook_secrets is
  'What signs the messages to an endpoint, as the two blocks of HMAC-SHA256: a secret is told when '
  'it is made, and cannot be read afterwards.';
comment on column credits.webhook_secrets.expires_at is
  'Until when a secret that was rotated signs beside the new one.';
alter table credits.webhook_secrets enable row level security;
revoke all on table credits.webhook_secrets from public, anon, authenticated, service_role;

create function credits.make_webhook_secret(p_account_id uuid, p_endpoint_id uuid)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_key bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    || uuid_send(gen_random_uuid());
  v_inner bytea := decode(repeat('36', 64), 'hex');
  v_outer bytea := decode(repeat('5c', 64), 'hex');
begin
  for n in 0 .. length(v_key) - 1 loop
    v_inner := set_byte(v_inner, n, get_byte(v_inner, n) # get_byte(v_key, n));
    v_outer := set_byte(v_outer, n, get_byte(v_outer, n) # get_byte(v_key, n));
  end loop;
  insert into credits.webhook_secrets (account_id, endpoint_id, inner_key, outer_key, created_at)
  values (p_account_id, p_endpoint_id, v_inner, v_outer, v_now);
  return 'whsec_' || encode(v_key, 'base64');
end
$$;
comment on function credits.make_webhook_secret(uuid, uuid) is
  'Makes a secret for an endpoint, and answers it: the only time that it can be read.';
revoke all on function credits.make_webhook_secret(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.sign_webhook(p_account_id uuid, p_endpoint_id uuid, p_content text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_content bytea := convert_to(p_content, 'UTF8');
  v_now timestamptz := credits.clock();
begin
  return (
    select string_agg('v1,' || encode(
        sha256(s.outer_key || sha256(s.inner_key || v_content)), 'base64'), ' '
      order by s.created_at desc)
    from credits.webhook_secrets s
    where s.account_id = p_account_id and s.endpoint_id = p_endpoint_id
      and (s.expires_at is null or s.expires_at > v_now));
end
$$;
comment on function credits.sign_webhook(uuid, uuid, text) is
  'The signatures of what is sent to an endpoint: one for each secret that is in force.';
revoke all on function credits.sign_webhook(uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.endpoint_of(p_account_id uuid, p_endpoint_id uuid)
returns public.credit_webhooks
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_endpoint public.credit_webhooks;
begin
  select * into v_endpoint from public.credit_webhooks w
  where w.account_id = p_account_id and w.id = p_endpoint_id for no key update;
  if not found then
    perform credits.raise_error('endpoint_not_found', jsonb_build_object(
      'endpoint_id', p_endpoint_id));
  end if;
  return v_endpoint;
end
$$;
comment on function credits.endpoint_of(uuid, uuid) is
  'An endpoint of an account, locked. Raises endpoint_not_found.';
revoke all on function credits.endpoint_of(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.overseen_account(p_user_id uuid, p_workspace_id uuid)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
begin
  if p_workspace_id is null then
    return v_user_id;
  end if;
  perform credits.require_standing(p_workspace_id, v_user_id, '{owner,admin}');
  return credits.paying_account(v_user_id, p_workspace_id);
end
$$;
comment on function credits.overseen_account(uuid, uuid) is
  'The account of the acting person, or the workspace that they oversee. Raises forbidden for '
  'other members, account_not_found for outsiders.';
revoke all on function credits.overseen_account(uuid, uuid)
  from public, anon, authenticated, service_role;
