create table credits.idempotency_keys (
  account_id uuid not null,
  operation_id uuid not null,
  allowance bigint,
  period_end timestamptz,
  created_at timestamptz,
  idempotency_key text not null,
  request jsonb,
  answer jsonb,
  constraint idempotency_keys_pkey primary key (account_id, idempotency_key)
);
comment on table credits.idempotency_keys is
  'Requests that took effect under a key of the caller, with their first answer. Kept as long as '
  'the ledger. A denial leaves no row. Of a spend the row has only what the ledger does not tell: '
  'request and answer are made again from both.';
comment on column credits.idempotency_keys.allowance is
  'Of a spend: the allowance then; null when it was unlimited.';
comment on column credits.idempotency_keys.period_end is
  'Of a spend: the end of the period that it was made in.';
comment on column credits.idempotency_keys.request is
  'The request of anything but a spend; null for a spend.';
comment on column credits.idempotency_keys.answer is
  'The answer to anything but a spend; of a spend only the figures that neither ledger nor '
  'allowance tell (credits.untold_figures), mostly none.';
comment on column credits.idempotency_keys.created_at is
  'When anything but a spend took effect; of a spend the ledger says it.';
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
  v_key record;
  v_differs_in jsonb;
begin
  if p_idempotency_key is null then
    return null;
  end if;
  select k.operation_id, k.request, k.answer into v_key
  from credits.idempotency_keys k
  where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key;
  if not found then
    return null;
  end if;
  if v_key.request is null then
    select r.request, r.answer into v_key.request, v_key.answer
    from credits.read_spend_of_key(p_account_id, p_idempotency_key) r;
  end if;
  v_differs_in := credits.differences(v_key.request, p_request);
  if v_differs_in <> '[]' then
    perform credits.raise_error('idempotency_conflict',
      jsonb_build_object('idempotency_key', p_idempotency_key, 'differs_in', v_differs_in));
  end if;
  return v_key.answer || '{"replayed": true}';
end
$$;
comment on function credits.replay(uuid, text, jsonb) is
  'The first answer to this request under this key, marked as replayed; null when the key is new. '
  'Raises idempotency_conflict for another request. Call it with the balance locked.';
revoke all on function credits.replay(uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.differences(p_request jsonb, p_other jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Times are instants, however the session that wrote them down spells them.
  return (
    select coalesce(jsonb_agg(coalesce(a.key, b.key) order by coalesce(a.key, b.key) collate "C"),
      '[]')
    from jsonb_each(p_request) a full join jsonb_each(p_other) b on a.key = b.key
    where a.value is distinct from b.value
      and not coalesce(case when a.key ~ '(^|_)at$'
          and jsonb_typeof(a.value) = 'string' and jsonb_typeof(b.value) = 'string'
        then (a.value #>> '{}')::timestamptz = (b.value #>> '{}')::timestamptz end, false));
end
$$;
comment on function credits.differences(jsonb, jsonb) is
  'In which arguments two requests differ. What ends in at is a time, and compared as an instant: '
  'a key means the same in every session.';
revoke all on function credits.differences(jsonb, jsonb)
  from public, anon, authenticated, service_role;

create function credits.spend_request(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_metadata jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('function', 'consume_credits', 'user_id', p_user_id, 'credit_type',
    p_credit_type,
    'amount', p_amount, 'description', p_description, 'metadata', p_metadata);
end
$$;
comment on function credits.spend_request(uuid, text, bigint, text, jsonb) is
  'What makes a spend the same spend under its key, alone or in a batch.';
revoke all on function credits.spend_request(uuid, text, bigint, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.read_spend_of_key(p_account_id uuid, p_idempotency_key text,
  out request jsonb, out answer jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select credits.spend_request(s.user_id, s.credit_type, s.amount, s.description, s.metadata),
    jsonb_build_object(
      'success', true, 'code', 'ok', 'operation_id', k.operation_id, 'credit_type', s.credit_type,
      'amount', s.amount,
      'remaining', f.remaining, 'limit', k.allowance,
      'used', coalesce((k.answer ->> 'used')::bigint, k.allowance - f.remaining),
      'reserved', coalesce((k.answer ->> 'reserved')::bigint, 0),
      'unlimited', k.allowance is null, 'period_end', k.period_end, 'replayed', false)
    into request, answer
  from credits.idempotency_keys k
  cross join lateral (
    select t.user_id, t.credit_type, (-sum(t.amount))::bigint as amount, t.description, t.metadata,
      (array_agg(t.balance_after order by t.version desc))[1] as balance_after
    from public.credit_transactions t
    where t.account_id = k.account_id and t.operation_id = k.operation_id and t.kind = 'consume'
    group by t.user_id, t.credit_type, t.description, t.metadata) s
  cross join lateral (
    select coalesce((k.answer ->> 'remaining')::bigint, s.balance_after) as remaining) f
  where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key;
end
$$;
comment on function credits.read_spend_of_key(uuid, text) is
  'The request and the first answer of a spend under a key, made again from the ledger and from '
  'what the key remembers.';
revoke all on function credits.read_spend_of_key(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.untold_figures(
  p_balance bigint, p_allowance bigint, p_remaining bigint, p_used bigint, p_reserved bigint)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return nullif(jsonb_strip_nulls(jsonb_build_object(
    'remaining', nullif(p_remaining, p_balance), 'used', nullif(p_used, p_allowance - p_remaining),
    'reserved', nullif(p_reserved, 0))), '{}');
end
$$;
comment on function credits.untold_figures(bigint, bigint, bigint, bigint, bigint) is
  'What of the answer to a spend its key has to remember: what is left where it is not the balance '
  'that the ledger tells, what is used where it is not the rest of the allowance, what is held '
  'where something is. Null is none of them. The fast road of a spend and a batch compare first.';
revoke all on function credits.untold_figures(bigint, bigint, bigint, bigint, bigint)
  from public, anon, authenticated, service_role;

create function credits.remember_spend(
  p_account_id uuid, p_idempotency_key text, p_operation_id uuid, p_balance credits.balances)
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
  insert into credits.idempotency_keys (
    account_id, idempotency_key, operation_id, allowance, period_end, answer)
  values (
    p_account_id, p_idempotency_key, p_operation_id, p_balance.allowance, p_balance.period_end,
    credits.untold_figures(p_balance.balance, p_balance.allowance, credits.available(p_balance),
      p_balance.used, p_balance.reserved + p_balance.reserved_unlimited))
  on conflict (account_id, idempotency_key) do nothing;
  if not found then
    perform credits.raise_error('idempotency_conflict',
      jsonb_build_object('idempotency_key', p_idempotency_key));
  end if;
end
$$;
comment on function credits.remember_spend(uuid, text, uuid, credits.balances) is
  'Keeps what the ledger does not tell of the answer to a spend. Its fast road and a batch do the '
  'same in the statement that posts.';
revoke all on function credits.remember_spend(uuid, text, uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.remember(
  p_account_id uuid, p_idempotency_key text, p_operation_id uuid, p_request jsonb, p_answer jsonb,
  p_at timestamptz)
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
  -- Requests for the same balance wait for its lock, so only a request for another one can be first
  -- here.
  insert into credits.idempotency_keys (account_id, idempotency_key, operation_id, request, answer,
    created_at)
  values (p_account_id, p_idempotency_key, p_operation_id, p_request, p_answer, p_at)
  on conflict (account_id, idempotency_key) do nothing;
  if not found then
    perform credits.raise_error('idempotency_conflict',
      jsonb_build_object('idempotency_key', p_idempotency_key));
  end if;
end
$$;
comment on function credits.remember(uuid, text, uuid, jsonb, jsonb, timestamptz) is
  'Keeps the answer to a request that took effect, so that the same request is answered alike and '
  'takes effect once.';
revoke all on function credits.remember(uuid, text, uuid, jsonb, jsonb, timestamptz)
  from public, anon, authenticated, service_role;
