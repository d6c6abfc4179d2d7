create table credits.idempotency_keys (
  account_id uuid not null,
  idempotency_key text not null,
  operation_id uuid not null,
  request jsonb not null,
  answer jsonb not null,
  created_at timestamptz not null,
  constraint idempotency_keys_pkey primary key (account_id, idempotency_key)
);
comment on table credits.idempotency_keys is
  'Requests that took effect under a key of the caller, with their first answer. Kept as long as the ledger. A denial leaves no row.';
alter table credits.idempotency_keys enable row level security;
revoke all on table credits.idempotency_keys from public, anon, authenticated, service_role;

create function credits.replay(p_account_id uuid, p_idempotency_key text, p_request jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_request jsonb;
  v_answer jsonb;
begin
  if p_idempotency_key is null then
    return null;
  end if;
  select k.request, k.answer into v_request, v_answer
  from credits.idempotency_keys k
  where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key;
  if not found then
    return null;
  end if;
  if v_request <> p_request then
    perform credits.raise_error('idempotency_conflict', jsonb_build_object('idempotency_key', p_idempotency_key, 'differs_in', (
      select jsonb_agg(coalesce(a.key, b.key) order by coalesce(a.key, b.key))
      from jsonb_each(v_request) a full join jsonb_each(p_request) b on a.key = b.key
      where a.value is distinct from b.value)));
  end if;
  return v_answer || '{"replayed": true}';
end
$$;
comment on function credits.replay(uuid, text, jsonb) is
  'The first answer to this request under this key, marked as replayed; null when the key is new. Raises idempotency_conflict for another request. Call it with the balance locked.';
revoke all on function credits.replay(uuid, text, jsonb) from public, anon, authenticated, service_role;

create function credits.remember(
  p_account_id uuid, p_idempotency_key text, p_operation_id uuid, p_request jsonb, p_answer jsonb, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_idempotency_key is null then
    return;
  end if;
  -- Requests for the same balance wait for its lock, so only a request for another one can be first here.
  insert into credits.idempotency_keys (account_id, idempotency_key, operation_id, request, answer, created_at)
  values (p_account_id, p_idempotency_key, p_operation_id, p_request, p_answer, p_at)
  on conflict (account_id, idempotency_key) do nothing;
  if not found then
    perform credits.raise_error('idempotency_conflict', jsonb_build_object('idempotency_key', p_idempotency_key));
  end if;
end
$$;
comment on function credits.remember(uuid, text, uuid, jsonb, jsonb, timestamptz) is
  'Keeps the answer to a request that took effect, so that the same request is answered alike and takes effect once.';
revoke all on function credits.remember(uuid, text, uuid, jsonb, jsonb, timestamptz) from public, anon, authenticated, service_role;
