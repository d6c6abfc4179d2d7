create function credits.hold_slices(p_account_id uuid, inout p_balance credits.balances,
  p_reservation_id uuid, p_amount bigint)
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
  for v_grant in
    select s.id, s.free
      from credits.spendable_grants(p_account_id, p_balance.credit_type, p_balance.settled_at) s
  loop
    v_take := least(v_left, v_grant.free);
    update public.credit_grants g set held = g.held + v_take where g.account_id = p_account_id
      and g.id = v_grant.id;
    insert into credits.reservation_slices as s (account_id, reservation_id, grant_id, amount)
    values (p_account_id, p_reservation_id, v_grant.id, v_take)
    on conflict (account_id, reservation_id, grant_id) do update
      set amount = s.amount + excluded.amount;
    v_left := v_left - v_take;
    exit when v_left = 0;
  end loop;
  if v_left > 0 then
    perform credits.raise_disagreement(p_account_id, p_balance.credit_type, v_left);
  end if;
  p_balance.reserved := p_balance.reserved + p_amount;
end
$$;
comment on function credits.hold_slices(uuid, credits.balances, uuid, bigint) is
  'Pins slices of the grants in burn order for a hold. The caller has made sure that there is '
  'enough.';
revoke all on function credits.hold_slices(uuid, credits.balances, uuid, bigint)
  from public, anon, authenticated, service_role;

create function credits.reserve(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text,
  p_idempotency_key text,
  p_metadata jsonb, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_operation_id uuid := gen_random_uuid();
  v_reservation_id uuid := gen_random_uuid();
  v_expires_at timestamptz;
  v_request jsonb;
  v_answer jsonb;
  v_budget jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_credit_type);
  if p_user_id <> p_account_id then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;
  v_request := credits.hold_request(p_user_id, p_credit_type, p_amount, p_description, p_metadata,
    p_ttl_seconds);
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  if v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;

  if credits.available(v_balance) < p_amount and v_balance.kind = 'limit' then
    -- Rows that were deleted without the account count no more before a place is denied.
    perform credits.give_deleted_rows_back(p_account_id);
    v_balance := credits.lock_balance(p_account_id, p_credit_type);
  end if;
  if credits.available(v_balance) < p_amount then
    return credits.refuse(p_account_id, v_balance, v_operation_id, p_amount, p_user_id,
      p_description, p_metadata);
  end if;
  if v_balance.has_budgets then
    v_budget := credits.budget_without_room(p_account_id, p_credit_type, p_user_id, p_amount,
      p_metadata,
      v_balance.settled_at, v_balance.period_start, true);
    if v_budget is not null then
      return credits.refuse_by_budget(p_account_id, v_balance, v_operation_id, p_amount, p_user_id,
        p_description,
        p_metadata, v_budget);
    end if;
  end if;

  v_expires_at := v_balance.settled_at + make_interval(secs => p_ttl_seconds);
  insert into public.credit_reservations (
    account_id, id, credit_type, operation_id, user_id, amount, unlimited, description, metadata,
      created_at, expires_at)
  values (
    p_account_id, v_reservation_id, p_credit_type, v_operation_id, p_user_id, p_amount,
    case when v_balance.allowance is null then p_amount else 0 end, p_description, p_metadata,
      v_balance.settled_at, v_expires_at);
  if v_balance.allowance is null then
    v_balance.reserved_unlimited := v_balance.reserved_unlimited + p_amount;
  else
    v_balance := credits.hold_slices(p_account_id, v_balance, v_reservation_id, p_amount);
  end if;
  update credits.balances b set
    version = v_balance.version, balance = v_balance.balance, reserved = v_balance.reserved,
    reserved_unlimited = v_balance.reserved_unlimited,
    due_at = least(b.due_at, v_expires_at), settled_at = v_balance.settled_at
  where b.account_id = p_account_id and b.credit_type = p_credit_type;

  v_answer := credits.answer(v_balance, v_operation_id, p_amount)
    || jsonb_build_object('reservation_id', v_reservation_id, 'expires_at', v_expires_at);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.reserve(uuid, uuid, text, bigint, text, text, jsonb, integer) is
  'Locks the balance, compares, then pins slices of grants: all of the amount or nothing.';
revoke all on function credits.reserve(uuid, uuid, text, bigint, text, text, jsonb, integer)
  from public, anon, authenticated, service_role;

create function credits.reserve_at_once(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text,
  p_idempotency_key text,
  p_metadata jsonb, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid;
  v_reservation_id uuid;
  v_remaining bigint;
  v_allowance bigint;
  v_used bigint;
  v_reserved bigint;
  v_period_end timestamptz;
  v_at timestamptz;
  v_expires_at timestamptz;
  v_answer jsonb;
begin
  update credits.balances b set
    reserved = b.reserved + p_amount,
    settled_at = greatest(b.settled_at,
      least(coalesce(b.test_now, clock_timestamp()), b.due_at - interval '1 microsecond')),
    due_at = least(b.due_at, greatest(b.settled_at, least(coalesce(b.test_now, clock_timestamp()),
      b.due_at - interval '1 microsecond')) + make_interval(secs => p_ttl_seconds))
  where b.account_id = p_account_id and b.credit_type = p_credit_type
    and b.account_status = 'active'
    and (b.user_id is not null or p_user_id is distinct from p_account_id)
    and b.due_at > greatest(b.settled_at, coalesce(b.test_now, clock_timestamp()))
    and b.allowance is not null and b.balance - b.withheld - b.reserved >= p_amount
    and not b.has_budgets
  returning gen_random_uuid(), gen_random_uuid(), b.balance - b.withheld - b.reserved, b.allowance,
    b.used,
      b.reserved + b.reserved_unlimited, b.period_end, b.settled_at,
        b.settled_at + make_interval(secs => p_ttl_seconds)
    into v_operation_id, v_reservation_id, v_remaining, v_allowance, v_used, v_reserved,
      v_period_end, v_at, v_expires_at;
  if not found then
    return null;
  end if;
  with held as (
    update public.credit_grants g set held = g.held + p_amount
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
      and (p_idempotency_key is null or not exists (
        select 1 from credits.idempotency_keys k
        where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key))
    returning g.id
  ), made as (
    insert into public.credit_reservations (
      account_id, id, credit_type, operation_id, user_id, amount, description, metadata, created_at,
        expires_at)
    select p_account_id, v_reservation_id, p_credit_type, v_operation_id, p_user_id, p_amount,
      p_description, p_metadata, v_at,
      v_expires_at
    from held h
  )
  insert into credits.reservation_slices (account_id, reservation_id, grant_id, amount)
  select p_account_id, v_reservation_id, h.id, p_amount from held h;
  if not found then
    -- Undone, and done with care.
    update credits.balances b set reserved = b.reserved - p_amount
    where b.account_id = p_account_id and b.credit_type = p_credit_type;
    return null;
  end if;
  v_answer := jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', v_operation_id, 'credit_type', p_credit_type,
    'amount', p_amount,
    'remaining', v_remaining, 'limit', v_allowance, 'used', v_used, 'reserved', v_reserved,
    'unlimited', false,
    'period_end', v_period_end, 'replayed', false, 'reservation_id', v_reservation_id, 'expires_at',
    v_expires_at);
  if p_idempotency_key is not null then
    perform credits.remember(p_account_id, p_idempotency_key, v_operation_id,
      credits.hold_request(p_user_id, p_credit_type, p_amount, p_description, p_metadata,
        p_ttl_seconds), v_answer, v_at);
  end if;
  return v_answer;
end
$$;
comment on function credits.reserve_at_once(uuid, uuid, text, bigint, text, text, jsonb, integer) is
  'The fast road of reserve, as that of consume: pins one slice of the first grant in burn order. '
  'Null when that cannot be done at once; then nothing has changed.';
revoke all on function credits.reserve_at_once(uuid, uuid, text, bigint, text, text, jsonb, integer)
  from public, anon, authenticated, service_role;

create function credits.hold_request(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_metadata jsonb,
  p_ttl_seconds integer)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('function', 'reserve_credits', 'user_id', p_user_id, 'credit_type',
    p_credit_type,
    'amount', p_amount, 'description', p_description, 'metadata', p_metadata, 'ttl_seconds',
    p_ttl_seconds);
end
$$;
comment on function credits.hold_request(uuid, text, bigint, text, jsonb, integer) is
  'What makes a hold the same hold under its key.';
revoke all on function credits.hold_request(uuid, text, bigint, text, jsonb, integer)
  from public, anon, authenticated, service_role;

-- edge: result=Reservation callers=service_role keyed denies
--   Hold ``amount`` credits for 1 to 86400 seconds, all or nothing.
--
--   Capture it, release it, or let it expire: then it cost nothing. :meth:`reserve` does this for a
--   block.
--
--   Raises:
--       InsufficientCredits: there is not enough (also LimitReached, MemberCapReached).
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, AccountNotFound, UnknownCreditType, InvalidAmount, InvalidArgument.
create function public.reserve_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint default 1, p_description text default null,
  p_idempotency_key text default null, p_metadata jsonb default '{}',
  p_ttl_seconds integer default 900,
  p_workspace_id uuid default null, p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_answer jsonb;
begin
  perform credits.check_request(p_amount, p_description, p_idempotency_key, p_metadata);
  perform credits.check_ttl(p_ttl_seconds);
  if p_workspace_id is null then
    v_answer := credits.reserve_at_once(p_user_id, p_user_id, p_credit_type, p_amount,
      p_description, p_idempotency_key,
      coalesce(p_metadata, '{}'), p_ttl_seconds);
  end if;
  if v_answer is null then
    v_answer := credits.reserve(credits.paying_account(p_user_id, p_workspace_id,
      coalesce(p_credit_type, '')), p_user_id,
      p_credit_type, p_amount, p_description, p_idempotency_key, coalesce(p_metadata, '{}'),
      p_ttl_seconds);
  end if;
  return credits.respond(v_answer, p_strict);
end
$$;
comment on function public.reserve_credits(uuid, text, bigint, text, text, jsonb, integer, uuid,
  boolean) is
  'Holds p_amount whole credits for p_ttl_seconds (1 second to 24 hours), all or nothing. Answers '
  'reservation_id and expires_at. Capture it, release it, or let it expire: then it cost nothing.';
revoke all on function public.reserve_credits(uuid, text, bigint, text, text, jsonb, integer, uuid,
  boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.reserve_credits(uuid, text, bigint, text, text, jsonb, integer,
  uuid, boolean) to service_role;
