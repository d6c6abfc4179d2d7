create type credits.grant_order as (
  credit_type text,
  amount bigint,
  source text,
  description text,
  starts_at timestamptz,
  expires_at timestamptz,
  priority integer,
  paid_amount bigint,
  currency text,
  metadata jsonb
);
comment on type credits.grant_order is 'What a caller of grant_credits asks for.';

create function credits.check_grant_order(p_order credits.grant_order)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text;
  v_hint text;
begin
  if not exists (
    select 1 from credits.grant_sources s where s.id = p_order.source and s.may_be_granted) then
    perform credits.raise_error('invalid_argument', jsonb_build_object(
      'argument', 'p_source', 'value', p_order.source, 'known', (
        select jsonb_agg(s.id order by s.id) from credits.grant_sources s where s.may_be_granted)),
      'The source says where the credits come from; the plan''s allowance is granted by the '
      'calendar alone.');
  end if;
  if not coalesce(isfinite(p_order.starts_at), true) then
    v_argument := 'p_starts_at';
    v_hint := 'A grant starts at an instant, or now (null).';
  elsif not coalesce(isfinite(p_order.expires_at), true) then
    v_argument := 'p_expires_at';
    v_hint := 'A grant expires in the future, or never (null).';
  elsif p_order.expires_at <= p_order.starts_at then
    v_argument := 'p_starts_at';
    v_hint := 'A grant starts before it expires.';
  elsif p_order.priority not between 0 and 1000 then
    v_argument := 'p_priority';
    v_hint := 'A priority is a number from 0 to 1000; the lowest is spent first.';
  elsif p_order.paid_amount not between 0 and 9007199254740992
        or (p_order.paid_amount is null and p_order.currency is not null) then
    v_argument := 'p_paid_amount';
    v_hint := 'What was paid is a whole number in the smallest unit of p_currency, from 0.';
  elsif p_order.paid_amount is not null
        and not coalesce(p_order.currency ~ '^[a-z]{3}$', false) then
    v_argument := 'p_currency';
    v_hint := 'A currency is its ISO 4217 code, such as usd. What was paid has one.';
  end if;
  if v_argument is not null then
    perform credits.raise_error(
      'invalid_argument', jsonb_build_object('argument', v_argument), v_hint);
  end if;
end
$$;
comment on function credits.check_grant_order(credits.grant_order) is
  'Raises invalid_argument for what no grant can be.';
revoke all on function credits.check_grant_order(credits.grant_order)
  from public, anon, authenticated, service_role;

create function credits.grant_request(p_user_id uuid, p_order credits.grant_order)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'function', 'grant_credits', 'user_id', p_user_id, 'credit_type', p_order.credit_type,
    'amount', p_order.amount, 'source', p_order.source, 'description', p_order.description,
    'starts_at', p_order.starts_at, 'expires_at', p_order.expires_at, 'priority', p_order.priority,
    'paid_amount', p_order.paid_amount, 'currency', p_order.currency,
    'metadata', p_order.metadata);
end
$$;
comment on function credits.grant_request(uuid, credits.grant_order) is
  'What is compared when a grant is sent again under its key.';
revoke all on function credits.grant_request(uuid, credits.grant_order)
  from public, anon, authenticated, service_role;

create function credits.grant_to(
  p_account_id uuid, p_user_id uuid, p_order credits.grant_order, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_operation_id uuid := gen_random_uuid();
  v_issued record;
  v_paid record;
  v_debt_paid bigint := 0;
  v_request jsonb := credits.grant_request(p_user_id, p_order);
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_order.credit_type);
  if v_balance.account_status = 'closed' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  if p_order.expires_at <= v_balance.settled_at then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_expires_at', 'now', v_balance.settled_at),
      'A grant expires in the future, or never (null).');
  end if;
  if v_balance.kind = 'limit' and p_order.expires_at is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_expires_at'),
      'A limit counts what exists, so what is granted to it never expires.');
  end if;

  v_issued := credits.issue(p_account_id, v_balance, p_user_id, v_operation_id, p_order.source,
    p_order.amount, coalesce(p_order.starts_at, v_balance.settled_at), p_order.expires_at, null,
    p_order.description, p_order.metadata);
  v_balance := v_issued.p_balance;
  update public.credit_grants g set
    priority = coalesce(p_order.priority, g.priority), paid_amount = p_order.paid_amount,
    currency = p_order.currency
  where g.account_id = p_account_id and g.id = v_issued.p_grant_id
    and (p_order.priority is not null or p_order.paid_amount is not null);
  if p_order.source = 'top_up' then
    v_paid := credits.pay_debts(
      p_account_id, v_balance, v_issued.p_grant_id, p_order.amount, v_operation_id);
    v_balance := v_paid.p_balance;
    v_debt_paid := v_paid.p_paid;
  end if;
  -- Settled, for what is frozen now freezes what comes in, too.
  v_balance := credits.apply_due(p_account_id, v_balance);
  perform credits.rearm_levels(p_account_id, p_order.credit_type);
  v_answer := credits.answer(v_balance, v_operation_id, p_order.amount)
    || jsonb_build_object('grant_id', v_issued.p_grant_id, 'debt_paid', v_debt_paid);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.grant_to(uuid, uuid, credits.grant_order, text) is
  'Issues a grant beside the plan''s allowance. A purchase pays first what the account owes.';
revoke all on function credits.grant_to(uuid, uuid, credits.grant_order, text)
  from public, anon, authenticated, service_role;

-- edge: result=Grant callers=service_role keyed
--   Give ``amount`` credits beside the allowance, from ``starts_at`` (None: now) until
--   ``expires_at`` (None: for ever).
--
--   ``source`` is rollover, trial, promotion, compensation, top_up or goodwill, and decides the
--   order of spending, unless ``priority`` does (0 to 1000, the lowest first). A ``top_up`` is a
--   purchase: it pays first what the account owes. ``paid_amount`` is what it cost, in the smallest
--   unit of ``currency``.
--
--   Raises:
--       InvalidArgument: another source, or an ``expires_at`` that is past or for a limit.
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound, UnknownCreditType, InvalidAmount.
create function public.grant_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_source text default 'promotion',
  p_description text default null, p_expires_at timestamptz default null,
  p_idempotency_key text default null, p_metadata jsonb default '{}',
  p_workspace_id uuid default null, p_starts_at timestamptz default null,
  p_priority integer default null, p_paid_amount bigint default null,
  p_currency text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_order credits.grant_order := row(
    p_credit_type, p_amount, p_source, p_description, p_starts_at, p_expires_at, p_priority,
    p_paid_amount, lower(p_currency), coalesce(p_metadata, '{}'));
begin
  perform credits.check_request(p_amount, p_description, p_idempotency_key, p_metadata);
  perform credits.check_grant_order(v_order);
  return credits.respond(credits.grant_to(
    credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, '')), p_user_id,
    v_order, p_idempotency_key));
end
$$;
comment on function public.grant_credits(
  uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid, timestamptz, integer, bigint,
  text) is
  'Gives an account p_amount whole credits beside its allowance, from p_starts_at (null: now) '
  'until p_expires_at (null: for ever). Answers grant_id. p_source: rollover, trial, promotion, '
  'compensation, top_up or goodwill; it decides the order of spending unless p_priority does. A '
  'top_up pays first what the account owes (debt_paid).';
revoke all on function public.grant_credits(
  uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid, timestamptz, integer, bigint,
  text) from public, anon, authenticated, service_role;
grant execute on function public.grant_credits(
  uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid, timestamptz, integer, bigint,
  text) to service_role;
