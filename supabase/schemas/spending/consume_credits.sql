-- A spend takes one of two roads. The fast one is two statements: charge the balance, which locks
-- it, then take from the first grant, post, log and keep the key. The careful one does what the
-- fast one cannot: book what has fallen due, replay, deny, take from several grants, and spend what
-- is unlimited.

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
  p_idempotency_key text default null, p_metadata jsonb default '{}',
  p_workspace_id uuid default null,
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
  -- A person who has the balance is the common case and costs no look-up; every other one is sorted
  -- out below.
  if p_workspace_id is null then
    v_answer := credits.consume(p_user_id, p_user_id, p_credit_type, p_amount, p_description,
      p_idempotency_key,
      v_metadata);
    if v_answer ->> 'code' = 'ok' and current_setting('response.status', true) is distinct
      from '402' then
      return v_answer;
    end if;
  end if;
  if v_answer is null then
    v_answer := credits.consume(credits.paying_account(p_user_id, p_workspace_id,
      coalesce(p_credit_type, '')), p_user_id,
      p_credit_type, p_amount, p_description, p_idempotency_key, v_metadata);
  end if;
  return credits.respond(v_answer, p_strict);
end
$$;
comment on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean) is
  'Spends p_amount whole credits, all or nothing. Answers a JSON object; running out is an answer '
  '(success false, HTTP 402) and is on record in usage, unless p_strict raises it. The same '
  'p_idempotency_key takes effect once.';
revoke all on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid,
  boolean) to service_role;

create function credits.consume(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text,
  p_idempotency_key text,
  p_metadata jsonb, p_forced boolean default false)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid;
  v_version bigint;
  v_balance bigint;
  v_remaining bigint;
  v_allowance bigint;
  v_used bigint;
  v_reserved bigint;
  v_period_end timestamptz;
  v_at timestamptz;
  v_reaches_level boolean;
  v_has_budgets boolean;
  v_common_budgets smallint;
  v_period_start timestamptz;
begin
  -- A caller that waits here for the lock compares anew with what the one before left.
  update credits.balances b set
    version = b.version + 1, balance = b.balance - p_amount, used = b.used + p_amount,
    settled_at = greatest(b.settled_at,
      least(coalesce(b.test_now, clock_timestamp()), b.due_at - interval '1 microsecond'))
  where b.account_id = p_account_id and b.credit_type = p_credit_type
    and b.account_status = 'active'
    and (b.user_id is not null or p_user_id is distinct from p_account_id)
    and b.due_at > greatest(b.settled_at, coalesce(b.test_now, clock_timestamp()))
    and b.allowance is not null and b.balance - b.withheld - b.reserved >= p_amount
  returning gen_random_uuid(), b.version, b.balance, b.balance - b.withheld - b.reserved,
    b.allowance, b.used,
      b.reserved + b.reserved_unlimited, b.period_end, b.settled_at, b.has_budgets,
      b.common_budgets, b.period_start,
      -- As credits.reaches_level says.
      100::numeric * b.used >= b.alert_percent::numeric
        * (b.used + b.balance - b.withheld - b.reserved)
        or b.balance - b.withheld - b.reserved <= b.alert_amount
    into v_operation_id, v_version, v_balance, v_remaining, v_allowance, v_used, v_reserved,
      v_period_end, v_at,
      v_has_budgets, v_common_budgets, v_period_start, v_reaches_level;
  if not found then
    return credits.consume_with_care(p_account_id, p_user_id, p_credit_type, p_amount,
      p_description, p_idempotency_key,
      p_metadata, p_forced);
  end if;
  if p_user_id <> p_account_id then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;
  if v_has_budgets
    and not credits.take_from_budgets(p_account_id, p_credit_type, p_user_id, p_amount, p_metadata,
    v_at,
      v_period_start, v_reserved, v_common_budgets, p_forced) then
    update credits.balances b set version = b.version - 1, balance = b.balance + p_amount,
      used = b.used - p_amount
    where b.account_id = p_account_id and b.credit_type = p_credit_type;
    return credits.consume_with_care(p_account_id, p_user_id, p_credit_type, p_amount,
      p_description, p_idempotency_key,
      p_metadata, p_forced);
  end if;

  -- The balance was locked in the statement before, so this one sees what everybody else has left.
  -- It spends nothing when the account is gone, the key is known, or the first grant (see
  -- spendable_grants) does not have it all. A request for another balance, which has not waited for
  -- this lock, may be about to keep the same key: then this one waits for it, and finds it known.
  if p_idempotency_key is null then
    with spent as (
      update public.credit_grants g set remaining = g.remaining - p_amount,
        spent = g.spent + p_amount
      where g.account_id = p_account_id and g.remaining - g.held >= p_amount
        and exists (select 1 from credits.living_accounts l where l.account_id = p_account_id)
        and g.id = (
        select f.id from public.credit_grants f
        where f.account_id = p_account_id and f.credit_type = p_credit_type and f.is_open
          and f.remaining > f.held
          and f.starts_at <= v_at and (f.expires_at is null or f.expires_at > v_at)
          and f.frozen_at is null
        order by f.priority, f.expires_at, f.starts_at, f.id
        limit 1)
      returning g.id
    ), posted as (
      insert into public.credit_transactions (
        account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount,
          balance_after, description,
        metadata, created_at)
      select p_account_id, p_credit_type, v_version, v_operation_id, s.id, p_user_id, 'consume',
        -p_amount, v_balance,
        p_description, p_metadata, v_at
      from spent s
    )
    insert into public.usage (
      account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id,
        created_at)
    select p_account_id, p_user_id, p_credit_type, p_amount, 'allowed', p_description, p_metadata,
      v_operation_id, v_at
    from spent s;
  else
    with kept as (
      insert into credits.idempotency_keys (
        account_id, idempotency_key, operation_id, allowance, period_end, answer)
      values (p_account_id, p_idempotency_key, v_operation_id, v_allowance, v_period_end,
        case when v_remaining <> v_balance or v_used <> v_allowance - v_balance or v_reserved > 0
          then credits.untold_figures(v_balance, v_allowance, v_remaining, v_used, v_reserved) end)
      on conflict (account_id, idempotency_key) do nothing
      returning account_id
    ), spent as (
      update public.credit_grants g set remaining = g.remaining - p_amount,
        spent = g.spent + p_amount
      where g.account_id = p_account_id and g.remaining - g.held >= p_amount
        and exists (select 1 from credits.living_accounts l where l.account_id = p_account_id)
        and g.id = (
        select f.id from public.credit_grants f
        where f.account_id = p_account_id and f.credit_type = p_credit_type and f.is_open
          and f.remaining > f.held
          and f.starts_at <= v_at and (f.expires_at is null or f.expires_at > v_at)
          and f.frozen_at is null
        order by f.priority, f.expires_at, f.starts_at, f.id
        limit 1)
        and exists (select 1 from kept)
      returning g.id
    ), posted as (
      insert into public.credit_transactions (
        account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount,
          balance_after, description,
        metadata, created_at)
      select p_account_id, p_credit_type, v_version, v_operation_id, s.id, p_user_id, 'consume',
        -p_amount, v_balance,
        p_description, p_metadata, v_at
      from spent s
    )
    insert into public.usage (
      account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id,
        created_at)
    select p_account_id, p_user_id, p_credit_type, p_amount, 'allowed', p_description, p_metadata,
      v_operation_id, v_at
    from spent s;
  end if;
  if found then
    if v_reaches_level then
      perform credits.notice_levels(p_account_id, p_credit_type);
    end if;
    return jsonb_build_object(
      'success', true, 'code', 'ok', 'operation_id', v_operation_id, 'credit_type', p_credit_type,
      'amount', p_amount,
      'remaining', v_remaining, 'limit', v_allowance, 'used', v_used, 'reserved', v_reserved,
      'unlimited', false,
      'period_end', v_period_end, 'replayed', false);
  end if;

  -- Undone, and done with care, which answers from a key that is known.
  delete from credits.idempotency_keys k
  where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key
    and k.operation_id = v_operation_id;
  if v_has_budgets then
    perform credits.return_to_budgets(p_account_id, p_credit_type, p_user_id, p_amount, p_metadata,
      v_at);
  end if;
  update credits.balances b set version = b.version - 1, balance = b.balance + p_amount,
    used = b.used - p_amount
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  return credits.consume_with_care(p_account_id, p_user_id, p_credit_type, p_amount, p_description,
    p_idempotency_key,
    p_metadata, p_forced);
end
$$;
comment on function credits.consume(uuid, uuid, text, bigint, text, text, jsonb, boolean) is
  'Spends all of the amount or nothing. Null when there is no such balance, or when it is a '
  'workspace''s and nobody acts for it. p_forced counts what existed before a limit was metered, '
  'however many.';
revoke all on function credits.consume(uuid, uuid, text, bigint, text, text, jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.consume_with_care(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text,
  p_idempotency_key text,
  p_metadata jsonb, p_forced boolean)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid := gen_random_uuid();
  v_balance credits.balances;
  v_lacking bigint;
  v_answer jsonb;
  v_budget jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_credit_type);
  if v_balance.account_id is null or v_balance.account_status = 'closed'
     or (v_balance.user_id is null and p_user_id = p_account_id) then
    return null;
  end if;
  if p_user_id <> p_account_id then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key,
    credits.spend_request(p_user_id, p_credit_type, p_amount, p_description, p_metadata));
  if v_answer is not null then
    return v_answer;
  end if;
  if v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;

  -- Nothing is lacking while it is unlimited.
  v_lacking := greatest(0, p_amount - credits.available(v_balance));
  -- Rows that were deleted without the account, with their table perhaps, count no more before a
  -- place is denied.
  if v_lacking > 0 and v_balance.kind = 'limit'
    and credits.give_deleted_rows_back(p_account_id) > 0 then
    v_balance := credits.lock_balance(p_account_id, p_credit_type);
    v_lacking := greatest(0, p_amount - credits.available(v_balance));
  end if;
  if v_lacking > 0 and not p_forced then
    return credits.refuse(p_account_id, v_balance, v_operation_id, p_amount, p_user_id,
      p_description, p_metadata);
  elsif v_lacking > 0 then
    v_balance := (select i.p_balance
      from credits.issue_allowance(p_account_id, v_balance, v_lacking, null, null,
      gen_random_uuid(), 'existed before it was metered') i);
  end if;
  if v_balance.has_budgets
    and not credits.take_from_budgets(p_account_id, p_credit_type, p_user_id, p_amount, p_metadata,
      v_balance.settled_at, v_balance.period_start,
        v_balance.reserved + v_balance.reserved_unlimited, v_balance.common_budgets,
        p_forced) then
    v_budget := credits.budget_without_room(p_account_id, p_credit_type, p_user_id, p_amount,
      p_metadata,
      v_balance.settled_at, v_balance.period_start);
    return credits.refuse_by_budget(p_account_id, v_balance, v_operation_id, p_amount, p_user_id,
      p_description,
      p_metadata, v_budget);
  end if;
  v_balance := credits.spend(p_account_id, v_balance, p_amount, v_operation_id, p_user_id,
    p_description, p_metadata);
  perform credits.remember_spend(p_account_id, p_idempotency_key, v_operation_id, v_balance);
  return credits.answer(v_balance, v_operation_id, p_amount);
end
$$;
comment on function credits.consume_with_care(uuid, uuid, text, bigint, text, text, jsonb,
  boolean) is
  'What consume does when its fast road ends: locks the balance, books what has fallen due, '
  'replays, compares, then spends.';
revoke all on function credits.consume_with_care(uuid, uuid, text, bigint, text, text, jsonb,
  boolean)
  from public, anon, authenticated, service_role;

create function credits.spend(
  p_account_id uuid, inout p_balance credits.balances, p_amount bigint, p_operation_id uuid,
  p_user_id uuid,
  p_description text, p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_left bigint := case when p_balance.allowance is not null then p_amount else 0 end;
  v_take bigint;
  v_grant record;
begin
  for v_grant in select *
    from credits.spendable_grants(p_account_id, p_balance.credit_type, p_balance.settled_at) loop
    exit when v_left = 0;
    v_take := least(v_left, v_grant.free);
    update public.credit_grants g set remaining = g.remaining - v_take, spent = g.spent + v_take
    where g.account_id = p_account_id and g.id = v_grant.id;
    p_balance := credits.post_entry(p_account_id, p_balance, v_grant.id, p_user_id, p_operation_id,
      'consume', -v_take, null,
      p_description, p_metadata);
    v_left := v_left - v_take;
  end loop;
  if v_left > 0 then
    perform credits.raise_disagreement(p_account_id, p_balance.credit_type, v_left);
  end if;
  if p_balance.allowance is null then
    p_balance := credits.post_entry(p_account_id, p_balance, null, p_user_id, p_operation_id,
      'consume', -p_amount, null,
      p_description, p_metadata);
  end if;
  p_balance.used := p_balance.used + p_amount;
  update credits.balances b set
    version = p_balance.version, balance = p_balance.balance, used = p_balance.used,
      settled_at = p_balance.settled_at
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id,
      created_at)
  values (
    p_account_id, p_user_id, p_balance.credit_type, p_amount, 'allowed', p_description, p_metadata,
    p_operation_id,
    p_balance.settled_at);
  perform credits.notice_levels(p_account_id, p_balance.credit_type);
end
$$;
comment on function credits.spend(uuid, credits.balances, bigint, uuid, uuid, text, jsonb) is
  'Takes an amount that is there from the grants in burn order, one ledger row each, or from none '
  'while the type is unlimited: one row. Logs it in usage.';
revoke all on function credits.spend(uuid, credits.balances, bigint, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.raise_disagreement(p_account_id uuid, p_credit_type text, p_missing bigint)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  raise exception 'the books of account % disagree: % % credits are missing', p_account_id,
    p_missing, p_credit_type
    using hint = 'Run `sonas verify`. Nothing has been changed.';
end
$$;
comment on function credits.raise_disagreement(uuid, text, bigint) is
  'Raises that the grants have less than the balance says, which no operation leaves behind.';
revoke all on function credits.raise_disagreement(uuid, text, bigint)
  from public, anon, authenticated, service_role;
