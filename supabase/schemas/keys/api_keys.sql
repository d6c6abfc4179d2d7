-- A key lets a program act for a person on one account: their own, or a workspace. It can do what
-- the person may do there, and nothing once they may not.

create table credits.api_keys (
  account_id uuid not null constraint api_keys_account_id_fkey
    references credits.accounts (account_id),
  id uuid not null default gen_random_uuid(),
  key_hash text not null,
  name text not null,
  user_id uuid not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  constraint api_keys_pkey primary key (account_id, id),
  constraint api_keys_hash_key unique (account_id, key_hash),
  constraint api_keys_expire_after_they_start check (expires_at > created_at)
);
create unique index api_keys_name_key on credits.api_keys (account_id, name)
  where revoked_at is null;
comment on table credits.api_keys is
  'Keys of programs: the SHA-256 alone, the key itself is answered once.';
comment on column credits.api_keys.name is
  'What the ledger has as metadata.actor of what is done with it; one living key per name.';
comment on column credits.api_keys.user_id is 'Who made it, and for whom it acts.';
comment on column credits.api_keys.last_used_at is 'To the minute.';
alter table credits.api_keys enable row level security;
revoke all on table credits.api_keys from public, anon, authenticated, service_role;

create function credits.key_state(p_key credits.api_keys)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('key_id', p_key.id, 'name', p_key.name, 'user_id', p_key.user_id,
    'created_at', p_key.created_at, 'expires_at', p_key.expires_at,
    'last_used_at', p_key.last_used_at);
end
$$;
comment on function credits.key_state(credits.api_keys) is 'What is shown of a key.';
revoke all on function credits.key_state(credits.api_keys)
  from public, anon, authenticated, service_role;
