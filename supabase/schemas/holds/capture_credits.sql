create function credits.lock_reservation(
  p_account_id uuid, p_reservation_id uuid, out p_balance credits.balances,
  out p_reservation public.credit_reservations)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_credit_type text;
begin
  select r.credit_type into v_credit_type from public.credit_reservations r
  where r.account_id = p_account_id and r.id = p_reservation_id;
  if not found then
    perform credits.raise_error('reservation_not_found',
      jsonb_build_object('reservation_id', p_reservation_id));
  end if;
  p_balance := credits.lock_balance(p_account_id, v_credit_type);
  if p_balance.account_status = 'closed' then
    perform credits.refuse_status(p_account_id, p_balance.account_status);
  end if;
  select * into p_reservation from public.credit_reservations r
  where r.account_id = p_account_id and r.id = p_reservation_id;
end
$$;
comment on function credits.lock_reservation(uuid, uuid) is
  'Locks the balance that a hold belongs to, then reads the hold: an expired one is closed by '
  'then. Raises reservation_not_found.';
revoke all on function credits.lock_reservation(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.spend_slices(
  p_account_id uuid, inout p_balance credits.balances, p_hold public.credit_reservations,
  p_amount bigint, p_is_final boolean,
  p_user_id uuid, p_operation_id uuid, p_description text, p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_related_id uuid := nullif(p_hold.operation_id, p_operation_id);
  v_unlimited bigint := p_hold.unlimited - p_hold.unlimited_captured;
  v_left bigint := p_amount;
  v_take bigint;
  v_free bigint;
  v_slice record;
begin
  for v_slice in
    select s.grant_id, s.amount - s.captured as amount
    from credits.reservation_slices s
    join public.credit_grants g on g.account_id = s.account_id and g.id = s.grant_id
    where s.account_id = p_account_id and s.reservation_id = p_hold.id and s.amount > s.captured
    order by g.priority, g.expires_at, g.starts_at, g.id
  loop
    v_take := least(v_left, v_slice.amount);
    v_free := case when p_is_final then v_slice.amount else v_take end;
    continue when v_free = 0;
    update public.credit_grants g set held = g.held - v_free, remaining = g.remaining - v_take,
      spent = g.spent + v_take
    where g.account_id = p_account_id and g.id = v_slice.grant_id;
    p_balance.reserved := p_balance.reserved - v_free;
    if v_take > 0 then
      update credits.reservation_slices s set captured = s.captured + v_take
      where s.account_id = p_account_id and s.reservation_id = p_hold.id
        and s.grant_id = v_slice.grant_id;
      p_balance := credits.post_entry(p_account_id, p_balance, v_slice.grant_id, p_user_id,
        p_operation_id, 'capture',
        -v_take, v_related_id, p_description, p_metadata);
    end if;
    v_left := v_left - v_take;
  end loop;
  p_balance.reserved_unlimited := p_balance.reserved_unlimited
    - case when p_is_final then v_unlimited else least(v_left, v_unlimited) end;
  if v_left > 0 then
    p_balance := credits.post_entry(p_account_id, p_balance, null, p_user_id, p_operation_id,
      'capture', -v_left,
      v_related_id, p_description, p_metadata);
  end if;
  p_balance.used := p_balance.used + p_amount;
end
$$;
comment on function credits.spend_slices(uuid, credits.balances, public.credit_reservations, bigint,
  boolean, uuid, uuid, text, jsonb) is
  'Spends p_amount from the pinned slices in burn order, one ledger row per grant, and what no '
  'slice has as unlimited. The last part gives the rest back.';
revoke all on function credits.spend_slices(uuid, credits.balances, public.credit_reservations,
  bigint, boolean, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.capture(
  p_account_id uuid, p_user_id uuid, p_reservation_id uuid, p_amount bigint, p_description text,
  p_metadata jsonb,
  p_is_final boolean, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_locked record;
  v_balance credits.balances;
  v_hold public.credit_reservations;
  v_request jsonb := credits.capture_request(p_user_id, p_reservation_id, p_amount, p_description,
    p_metadata, p_is_final);
  v_left bigint;
  v_wanted bigint;
  v_captured bigint;
  v_shortfall bigint;
  v_extra bigint := 0;
  v_unlimited bigint := 0;
  v_operation_id uuid := gen_random_uuid();
  v_metadata jsonb;
  v_answer jsonb;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_balance := v_locked.p_balance;
  v_hold := v_locked.p_reservation;
  v_answer := coalesce(credits.replay(p_account_id, p_idempotency_key, v_request),
    case when p_is_final then credits.replay_capture(v_hold, p_amount) end);
  if v_answer is not null then
    return v_answer;
  elsif v_hold.status <> 'open' then
    perform credits.raise_error('reservation_closed',
      jsonb_build_object('reservation_id', v_hold.id, 'status', v_hold.status, 'captured',
        v_hold.captured));
  elsif v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  elsif p_user_id not in (p_account_id, v_hold.user_id) then
    -- Whoever held it is charged for the work, whatever their role is by now.
    perform credits.require_spender(p_account_id, p_user_id);
  end if;

  v_left := v_hold.amount + v_hold.extra - v_hold.captured;
  v_wanted := coalesce(p_amount, v_left);
  if v_wanted = 0 and not p_is_final then
    perform credits.raise_error('invalid_amount', '{"amount": 0}',
      'Nothing of this hold is left to capture.');
  end if;
  if v_wanted > v_left then
    v_extra := least(v_wanted - v_left, coalesce(credits.available(v_balance), v_wanted - v_left));
    if v_balance.has_budgets then
      v_extra := least(v_extra, credits.room_for_extra(p_account_id, v_balance, p_user_id, v_hold,
        v_hold.metadata || p_metadata));
    end if;
    v_unlimited := case when v_balance.allowance is null then v_extra else 0 end;
    if v_extra > v_unlimited then
      v_balance := credits.hold_slices(p_account_id, v_balance, v_hold.id, v_extra);
    end if;
  end if;
  v_captured := least(v_wanted, v_left + v_extra);
  v_shortfall := v_wanted - v_captured;
  v_metadata := v_hold.metadata || p_metadata
    || case when v_shortfall > 0 then jsonb_build_object('shortfall', v_shortfall) else '{}' end;
  -- A hold that is captured at once is one operation with its capture; each part is one of its own.
  if p_is_final and v_hold.captured = 0 then
    v_operation_id := v_hold.operation_id;
  end if;

  if v_balance.has_budgets then
    perform credits.take_from_budgets(p_account_id, v_hold.credit_type, p_user_id, v_captured,
      v_metadata,
      v_balance.settled_at, v_balance.period_start, 0, null, p_is_forced => true);
  end if;
  v_balance := credits.spend_slices(p_account_id, v_balance, v_hold, v_captured, p_is_final,
    p_user_id, v_operation_id,
    coalesce(p_description, v_hold.description), v_metadata);
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id,
      created_at)
  select p_account_id, p_user_id, v_hold.credit_type, v_captured, 'allowed',
    coalesce(p_description, v_hold.description),
    v_metadata, v_operation_id, v_balance.settled_at
  where v_captured > 0;
  v_balance := credits.expire_ended(p_account_id, v_balance, v_operation_id);
  v_balance := credits.align_allowance(p_account_id, v_balance, v_operation_id);
  v_balance := credits.save_balance(p_account_id, v_balance);
  perform credits.notice_levels(p_account_id, v_hold.credit_type);

  v_left := v_left + v_extra - v_captured;
  v_answer := credits.answer(v_balance, v_operation_id, v_captured) || jsonb_build_object(
    'reservation_id', v_hold.id, 'captured', v_captured, 'released', case when p_is_final
      then v_left else 0 end,
    'held', case when p_is_final then 0 else v_left end, 'shortfall', v_shortfall);
  update public.credit_reservations r set
    captured = r.captured + v_captured, extra = r.extra + v_extra,
      unlimited = r.unlimited + v_unlimited,
    unlimited_captured = v_hold.captured + v_captured - (
      select coalesce(sum(s.captured), 0) from credits.reservation_slices s
      where s.account_id = p_account_id and s.reservation_id = v_hold.id),
    shortfall = r.shortfall + v_shortfall,
    status = case when p_is_final then 'captured' else 'open' end,
    released = case when p_is_final then v_left else 0 end,
    closed_at = case when p_is_final then v_balance.settled_at end, answer = v_answer
  where r.account_id = p_account_id and r.id = v_hold.id;
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.capture(uuid, uuid, uuid, bigint, text, jsonb, boolean, text) is
  'Charges a hold, all at once or in parts: what is held from its slices, above it what is '
  'available. The last part gives the rest back to its grants.';
revoke all on function credits.capture(uuid, uuid, uuid, bigint, text, jsonb, boolean, text)
  from public, anon, authenticated, service_role;

create function credits.replay_capture(p_hold public.credit_reservations, p_amount bigint)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_captured bigint := (p_hold.answer ->> 'captured')::bigint;
  v_shortfall bigint := (p_hold.answer ->> 'shortfall')::bigint;
begin
  if p_hold.status = 'captured' and (p_amount = v_captured + v_shortfall
    or p_amount is null and p_hold.released + v_shortfall = 0 and v_captured <= p_hold.amount) then
    return p_hold.answer || '{"replayed": true}';
  end if;
  return null;
end
$$;
comment on function credits.replay_capture(public.credit_reservations, bigint) is
  'The answer to the last capture of a closed hold, when the same amount is captured again; else '
  'null.';
revoke all on function credits.replay_capture(public.credit_reservations, bigint)
  from public, anon, authenticated, service_role;

create function credits.capture_at_once(
  p_account_id uuid, p_user_id uuid, p_reservation_id uuid, p_amount bigint, p_description text,
  p_metadata jsonb,
  p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
  v_operation_id uuid;
  v_held bigint;
  v_captured bigint;
  v_version bigint;
  v_balance bigint;
  v_remaining bigint;
  v_allowance bigint;
  v_used bigint;
  v_reserved bigint;
  v_period_end timestamptz;
  v_at timestamptz;
  v_reaches_level boolean;
  v_answer jsonb;
begin
  update credits.balances b set
    version = b.version + 1, reserved = b.reserved - r.amount,
      balance = b.balance - coalesce(p_amount, r.amount),
    used = b.used + coalesce(p_amount, r.amount),
    settled_at = greatest(b.settled_at,
      least(coalesce(b.test_now, clock_timestamp()), b.due_at - interval '1 microsecond'))
  from public.credit_reservations r
  where b.account_id = p_account_id and r.account_id = p_account_id and r.id = p_reservation_id
    and b.credit_type = r.credit_type and b.account_status = 'active' and b.allowance is not null
    and (b.user_id is not null or p_user_id is distinct from p_account_id) and not b.has_budgets
    and b.due_at > greatest(b.settled_at, coalesce(b.test_now, clock_timestamp()))
    and r.status = 'open' and r.captured = 0 and r.unlimited = 0 and b.reserved >= r.amount
    and (coalesce(p_amount, r.amount) = r.amount or p_amount < r.amount and b.kind = 'credit')
  returning b.credit_type, r.operation_id, r.amount, coalesce(p_amount, r.amount), b.version,
    b.balance,
      b.balance - b.withheld - b.reserved, b.allowance, b.used, b.reserved + b.reserved_unlimited,
        b.period_end, b.settled_at,
      -- As credits.reaches_level says.
      100::numeric * b.used >= b.alert_percent::numeric
        * (b.used + b.balance - b.withheld - b.reserved)
        or b.balance - b.withheld - b.reserved <= b.alert_amount
    into v_credit_type, v_operation_id, v_held, v_captured, v_version, v_balance, v_remaining,
      v_allowance, v_used,
      v_reserved, v_period_end, v_at, v_reaches_level;
  if not found then
    return null;
  end if;
  v_answer := jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', v_operation_id, 'credit_type', v_credit_type,
    'amount', v_captured,
    'remaining', v_remaining, 'limit', v_allowance, 'used', v_used, 'reserved', v_reserved,
    'unlimited', false,
    'period_end', v_period_end, 'replayed', false, 'reservation_id', p_reservation_id, 'captured',
    v_captured,
    'released', v_held - v_captured, 'held', 0, 'shortfall', 0);
  -- The hold was read before the lock, so it is asked again here: still open, with one slice, whose
  -- rest may go back.
  with spent as (
    update public.credit_grants g set
      held = g.held - v_held, remaining = g.remaining - v_captured, spent = g.spent + v_captured
    from credits.reservation_slices s, public.credit_reservations r
    where g.account_id = p_account_id and s.account_id = p_account_id
      and s.reservation_id = p_reservation_id
      and exists (select 1 from credits.living_accounts l where l.account_id = p_account_id)
      and g.id = s.grant_id and s.amount = v_held and s.captured = 0
      and r.account_id = p_account_id and r.id = p_reservation_id and r.status = 'open'
      and r.captured = 0
      and (v_captured = v_held or g.voided_at is null and g.frozen_at is null
      and (g.expires_at is null or g.expires_at > v_at))
      and (p_idempotency_key is null or not exists (
        select 1 from credits.idempotency_keys k
        where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key))
    returning g.id, coalesce(p_description, r.description) as description,
      r.metadata || p_metadata as metadata
  ), sliced as (
    update credits.reservation_slices s set captured = v_captured from spent
    where s.account_id = p_account_id and s.reservation_id = p_reservation_id
      and s.grant_id = spent.id
  ), closed as (
    update public.credit_reservations r set
      status = 'captured', captured = v_captured, released = v_held - v_captured, closed_at = v_at,
        answer = v_answer
    from spent where r.account_id = p_account_id and r.id = p_reservation_id
  ), posted as (
    insert into public.credit_transactions (
      account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount,
        balance_after, description, metadata,
      created_at)
    select p_account_id, v_credit_type, v_version, v_operation_id, s.id, p_user_id, 'capture',
      -v_captured, v_balance,
      s.description, s.metadata, v_at
    from spent s
  )
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id,
      created_at)
  select p_account_id, p_user_id, v_credit_type, v_captured, 'allowed', s.description, s.metadata,
    v_operation_id, v_at
  from spent s;
  if not found then
    -- Undone, and done with care.
    update credits.balances b set
      version = b.version - 1, reserved = b.reserved + v_held, balance = b.balance + v_captured,
        used = b.used - v_captured
    where b.account_id = p_account_id and b.credit_type = v_credit_type;
    return null;
  end if;
  if p_idempotency_key is not null then
    perform credits.remember(p_account_id, p_idempotency_key, v_operation_id,
      credits.capture_request(p_user_id, p_reservation_id, p_amount, p_description, p_metadata,
        true), v_answer, v_at);
  end if;
  if v_reaches_level then
    perform credits.notice_levels(p_account_id, v_credit_type);
  end if;
  return v_answer;
end
$$;
comment on function credits.capture_at_once(uuid, uuid, uuid, bigint, text, jsonb, text) is
  'The fast road of capture: all of a hold in one go, from its one slice. Null when that cannot '
  'be done at once; then nothing has changed.';
revoke all on function credits.capture_at_once(uuid, uuid, uuid, bigint, text, jsonb, text)
  from public, anon, authenticated, service_role;

create function credits.capture_request(
  p_user_id uuid, p_reservation_id uuid, p_amount bigint, p_description text, p_metadata jsonb,
  p_is_final boolean)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('function', 'capture_credits', 'user_id', p_user_id, 'reservation_id',
    p_reservation_id,
    'amount', p_amount, 'description', p_description, 'metadata', p_metadata, 'final', p_is_final);
end
$$;
comment on function credits.capture_request(uuid, uuid, bigint, text, jsonb, boolean) is
  'What makes a capture the same capture under its key.';
revoke all on function credits.capture_request(uuid, uuid, bigint, text, jsonb, boolean)
  from public, anon, authenticated, service_role;

-- edge: result=Capture callers=service_role keyed
--   Charge a hold: ``amount`` credits, None for all of it. The rest goes back.
--
--   Above the hold it takes what is available; the answer has the ``shortfall``. With ``final``
--   false it is a part: it is charged at once, and what is ``held`` stays so until the last part,
--   or until the hold expires. A part is known again by its key alone; the last one also by its
--   amount.
--
--   Raises:
--       ReservationNotFound, ReservationClosed: it had been released, or had expired, or captured
--           otherwise.
--       IdempotencyConflict: the key belongs to another request.
--       Forbidden: a viewer captures another one's hold.
--       AccountFrozen, InvalidAmount, InvalidArgument.
create function public.capture_credits(
  p_user_id uuid, p_reservation_id uuid, p_amount bigint default null,
  p_description text default null,
  p_metadata jsonb default '{}', p_workspace_id uuid default null, p_final boolean default true,
  p_idempotency_key text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_answer jsonb;
begin
  perform credits.check_request(coalesce(p_amount, 1), p_description, p_idempotency_key,
    p_metadata);
  if p_workspace_id is null and p_final then
    v_answer := credits.capture_at_once(p_user_id, p_user_id, p_reservation_id, p_amount,
      p_description,
      coalesce(p_metadata, '{}'), p_idempotency_key);
  end if;
  if v_answer is null then
    v_answer := credits.capture(credits.paying_account(p_user_id, p_workspace_id), p_user_id,
      p_reservation_id, p_amount,
      p_description, coalesce(p_metadata, '{}'), coalesce(p_final, true), p_idempotency_key);
  end if;
  return credits.respond(v_answer);
end
$$;
comment on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid, boolean, text) is
  'Charges a hold: p_amount whole credits, null for what is left of it. Above the hold it takes '
  'what is available and answers the shortfall. p_final false charges a part and keeps the rest '
  'held; a part is recognised as a repeat by its key alone. The same last capture again is '
  'replayed; anything else on a closed hold raises reservation_closed.';
revoke all on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid, boolean, text)
  from public, anon, authenticated, service_role;
grant execute on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid, boolean,
  text) to service_role;
