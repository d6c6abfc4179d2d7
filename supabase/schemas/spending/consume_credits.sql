create function credits.spend(
  p_account_id uuid, inout p_balance credits.balances, p_amount bigint, p_operation_id uuid, p_user_id uuid,
  p_description text, p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_amount;
  v_take bigint;
  v_grant record;
begin
  -- The charge has counted one ledger row already.
  p_balance.version := p_balance.version - 1;
  for v_grant in
    select g.id, g.remaining - g.held as free
    from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open and g.remaining > g.held
      and g.starts_at <= p_balance.settled_at and (g.expires_at is null or g.expires_at > p_balance.settled_at)
      and g.frozen_at is null
    order by g.priority, g.expires_at, g.starts_at, g.id
  loop
    v_take := least(v_left, v_grant.free);
    v_left := v_left - v_take;
    p_balance.version := p_balance.version + 1;
    update public.credit_grants g set remaining = g.remaining - v_take, spent = g.spent + v_take
    where g.account_id = p_account_id and g.id = v_grant.id;
    insert into public.credit_transactions (
      account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, description, metadata,
      created_at)
    values (
      p_account_id, p_balance.credit_type, p_balance.version, p_operation_id, v_grant.id, p_user_id, 'consume', -v_take,
      p_balance.balance + v_left, p_description, p_metadata, p_balance.settled_at);
    exit when v_left = 0;
  end loop;
  if v_left > 0 then
    raise exception 'the books of account % disagree: % % credits are missing', p_account_id, v_left, p_balance.credit_type
      using hint = 'Run `sonas verify`. Nothing has been changed.';
  end if;
  update credits.balances b set version = p_balance.version
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
  values (
    p_account_id, p_user_id, p_balance.credit_type, p_amount, 'allowed', p_description, p_metadata, p_operation_id,
    p_balance.settled_at);
end
$$;
comment on function credits.spend(uuid, credits.balances, bigint, uuid, uuid, text, jsonb) is
  'Spends from the grants in burn order what has been charged to the balance: one ledger row per grant, and one row of usage.';
revoke all on function credits.spend(uuid, credits.balances, bigint, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.spend_unlimited(
  p_account_id uuid, p_balance credits.balances, p_amount bigint, p_operation_id uuid, p_user_id uuid, p_description text,
  p_metadata jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into public.credit_transactions (
    account_id, credit_type, version, operation_id, user_id, kind, amount, description, metadata, created_at)
  values (
    p_account_id, p_balance.credit_type, p_balance.version, p_operation_id, p_user_id, 'consume', -p_amount, p_description,
    p_metadata, p_balance.settled_at);
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
  values (
    p_account_id, p_user_id, p_balance.credit_type, p_amount, 'allowed', p_description, p_metadata, p_operation_id,
    p_balance.settled_at);
end
$$;
comment on function credits.spend_unlimited(uuid, credits.balances, bigint, uuid, uuid, text, jsonb) is
  'Writes down what was spent of an unlimited type: one row of the ledger, of no grant, and one of usage.';
revoke all on function credits.spend_unlimited(uuid, credits.balances, bigint, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.charge(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_idempotency_key text, p_request jsonb,
  p_forced boolean, out p_balance credits.balances, out p_replayed jsonb, out p_is_enough boolean)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_lacking bigint;
begin
  p_balance := credits.lock_balance(p_account_id, p_credit_type);
  if p_balance.account_id is null or p_balance.account_status = 'closed'
     or (p_balance.user_id is null and p_user_id = p_account_id) then
    p_balance := null;
    return;
  end if;
  if p_idempotency_key is not null then
    p_replayed := credits.replay(p_account_id, p_idempotency_key, p_request);
    if p_replayed is not null then
      return;
    end if;
  end if;
  if p_balance.account_status <> 'active' then
    perform credits.raise_error('account_frozen');
  end if;

  v_lacking := p_amount - (p_balance.balance - p_balance.withheld - p_balance.reserved);
  if p_balance.allowance is not null and v_lacking > 0 then
    if not p_forced then
      p_is_enough := false;
      return;
    end if;
    p_balance := (select i.p_balance from credits.issue_allowance(p_account_id, p_balance, v_lacking, null, null,
      gen_random_uuid(), 'existed before it was metered') i);
  end if;

  p_is_enough := true;
  update credits.balances b set
    version = p_balance.version + 1,
    balance = p_balance.balance - case when p_balance.allowance is null then 0 else p_amount end,
    used = p_balance.used + p_amount, settled_at = p_balance.settled_at
  where b.account_id = p_account_id and b.credit_type = p_credit_type
  returning b.version, b.balance, b.used into p_balance.version, p_balance.balance, p_balance.used;
end
$$;
comment on function credits.charge(uuid, uuid, text, bigint, text, jsonb, boolean) is
  'Locks the balance, books what has fallen due, compares, then takes the amount off the balance, not yet off a grant. The balance is null when there is none, or when it is a workspace''s and nobody acts for it.';
revoke all on function credits.charge(uuid, uuid, text, bigint, text, jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.consume(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_idempotency_key text,
  p_metadata jsonb, p_forced boolean default false)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_operation_id uuid := gen_random_uuid();
  v_request jsonb;
  v_charged record;
  v_answer jsonb;
begin
  if p_idempotency_key is null then
    -- What charge comes to when nothing is due and there is enough, in one statement. Whoever waits in it for the lock
    -- compares anew with what the one before left.
    update credits.balances b set
      version = b.version + 1, balance = b.balance - p_amount, used = b.used + p_amount,
      settled_at = greatest(b.settled_at, least(coalesce(b.test_now, clock_timestamp()), b.due_at - interval '1 microsecond'))
    where b.account_id = p_account_id and b.credit_type = p_credit_type and b.account_status = 'active'
      and (b.user_id is not null or p_user_id is distinct from p_account_id)
      and b.due_at > greatest(b.settled_at, coalesce(b.test_now, clock_timestamp()))
      and b.allowance is not null and b.balance - b.withheld - b.reserved >= p_amount
    returning b.* into v_balance;
  else
    v_request := jsonb_build_object('function', 'consume_credits', 'user_id', p_user_id, 'credit_type', p_credit_type,
      'amount', p_amount, 'description', p_description, 'metadata', p_metadata);
  end if;
  if v_balance.account_id is null then
    v_charged := credits.charge(p_account_id, p_user_id, p_credit_type, p_amount, p_idempotency_key, v_request, p_forced);
    v_balance := v_charged.p_balance;
    if v_balance.account_id is null or v_charged.p_replayed is not null then
      return v_charged.p_replayed;
    elsif not v_charged.p_is_enough then
      return credits.refuse(p_account_id, v_balance, v_operation_id, p_amount, p_user_id, p_description, p_metadata);
    end if;
  end if;

  if v_balance.allowance is null then
    perform credits.spend_unlimited(p_account_id, v_balance, p_amount, v_operation_id, p_user_id, p_description, p_metadata);
  else
    -- What spend comes to when the first grant in burn order has it all, in one statement. The balance was locked in the one
    -- before, so this one sees what everybody else has left.
    with spent as (
      update public.credit_grants g set remaining = g.remaining - p_amount, spent = g.spent + p_amount
      where g.account_id = p_account_id and g.remaining - g.held >= p_amount and g.id = (
        select f.id from public.credit_grants f
        where f.account_id = p_account_id and f.credit_type = p_credit_type and f.is_open and f.remaining > f.held
          and f.starts_at <= v_balance.settled_at and (f.expires_at is null or f.expires_at > v_balance.settled_at)
          and f.frozen_at is null
        order by f.priority, f.expires_at, f.starts_at, f.id
        limit 1)
      returning g.id
    ), booked as (
      insert into public.credit_transactions (
        account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, description, metadata,
        created_at)
      select p_account_id, p_credit_type, v_balance.version, v_operation_id, s.id, p_user_id, 'consume', -p_amount,
        v_balance.balance, p_description, p_metadata, v_balance.settled_at
      from spent s
    )
    insert into public.usage (
      account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
    select p_account_id, p_user_id, p_credit_type, p_amount, 'allowed', p_description, p_metadata, v_operation_id,
      v_balance.settled_at
    from spent s;
    if not found then
      v_balance := credits.spend(p_account_id, v_balance, p_amount, v_operation_id, p_user_id, p_description, p_metadata);
    end if;
  end if;

  v_answer := credits.answer(v_balance, v_operation_id, p_amount);
  if p_idempotency_key is not null then
    perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer, v_balance.settled_at);
  end if;
  return v_answer;
end
$$;
comment on function credits.consume(uuid, uuid, text, bigint, text, text, jsonb, boolean) is
  'Locks the balance, compares, then spends: all of the amount or nothing. Null when there is no such balance, or when it is a workspace''s and nobody acts for it. p_forced counts what existed before a limit was metered, however many.';
revoke all on function credits.consume(uuid, uuid, text, bigint, text, text, jsonb, boolean)
  from public, anon, authenticated, service_role;

-- edge: result=Answer callers=service_role keyed denies
--   Spend ``amount`` credits, all or nothing.
--
--   The same ``idempotency_key`` takes effect once. ``strict`` keeps a denial off the record in
--   ``usage``, and off what else the transaction has done.
--
--   Raises:
--       InsufficientCredits: there is not enough (also LimitReached, MemberCapReached).
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, AccountNotFound, UnknownCreditType, InvalidAmount, InvalidArgument.
create function public.consume_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint default 1, p_description text default null,
  p_idempotency_key text default null, p_metadata jsonb default '{}', p_workspace_id uuid default null,
  p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_metadata jsonb;
  v_answer jsonb;
begin
  v_metadata := credits.check_request(p_amount, p_description, p_idempotency_key, p_metadata);
  -- A person who has the balance is the common case and costs no look-up; every other one is sorted out below.
  if p_workspace_id is null then
    v_answer := credits.consume(p_user_id, p_user_id, p_credit_type, p_amount, p_description, p_idempotency_key,
      v_metadata);
  end if;
  if v_answer is null then
    v_answer := credits.consume(credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, '')), p_user_id,
      p_credit_type, p_amount, p_description, p_idempotency_key, v_metadata);
  end if;
  if v_answer ->> 'code' <> 'ok' then
    return credits.deny(v_answer, p_strict);
  end if;
  return v_answer;
end
$$;
comment on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean) is
  'Spends p_amount whole credits, all or nothing. Answers a JSON object; running out is an answer (success false, HTTP 402) and is on record in usage, unless p_strict raises it. The same p_idempotency_key takes effect once.';
revoke all on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean) to service_role;
