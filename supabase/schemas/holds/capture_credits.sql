create function credits.lock_reservation(
  p_account_id uuid, p_reservation_id uuid, out p_balance credits.balances, out p_reservation public.credit_reservations)
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
    perform credits.raise_error('reservation_not_found', jsonb_build_object('reservation_id', p_reservation_id));
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
  'Locks the balance that a hold belongs to, then reads the hold: an expired one is closed by then. Raises reservation_not_found.';
revoke all on function credits.lock_reservation(uuid, uuid) from public, anon, authenticated, service_role;

create function credits.spend_slices(
  p_account_id uuid, inout p_balance credits.balances, p_reservation public.credit_reservations, p_amount bigint,
  p_user_id uuid, p_description text, p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_amount;
  v_take bigint;
  v_slice record;
begin
  for v_slice in
    select s.grant_id, s.amount
    from credits.reservation_slices s
    join public.credit_grants g on g.account_id = s.account_id and g.id = s.grant_id
    where s.account_id = p_account_id and s.reservation_id = p_reservation.id
    order by g.priority, g.expires_at, g.starts_at, g.id
  loop
    v_take := least(v_left, v_slice.amount);
    update public.credit_grants g set
      held = g.held - v_slice.amount, remaining = g.remaining - v_take, spent = g.spent + v_take
    where g.account_id = p_account_id and g.id = v_slice.grant_id;
    p_balance.reserved := p_balance.reserved - v_slice.amount;
    if v_take > 0 then
      p_balance := credits.post_entry(p_account_id, p_balance, v_slice.grant_id, p_user_id, p_reservation.operation_id, 'capture',
        -v_take, null, p_description, p_metadata);
    end if;
    v_left := v_left - v_take;
  end loop;
  p_balance.reserved_unlimited := p_balance.reserved_unlimited - p_reservation.unlimited;
  if v_left > 0 then
    p_balance := credits.post_entry(p_account_id, p_balance, null, p_user_id, p_reservation.operation_id, 'capture', -v_left,
      null, p_description, p_metadata);
  end if;
  p_balance.used := p_balance.used + p_amount;
end
$$;
comment on function credits.spend_slices(uuid, credits.balances, public.credit_reservations, bigint, uuid, text, jsonb) is
  'Spends p_amount from the pinned slices in burn order, one ledger row per grant, and what no slice has as unlimited; gives the rest back.';
revoke all on function credits.spend_slices(uuid, credits.balances, public.credit_reservations, bigint, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.capture(
  p_account_id uuid, p_user_id uuid, p_reservation_id uuid, p_amount bigint, p_description text, p_metadata jsonb)
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
  v_wanted bigint;
  v_extra bigint := 0;
  v_unlimited bigint := 0;
  v_captured bigint;
  v_shortfall bigint;
  v_metadata jsonb;
  v_answer jsonb;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_balance := v_locked.p_balance;
  v_hold := v_locked.p_reservation;
  v_wanted := coalesce(p_amount, v_hold.amount);
  if v_hold.status = 'captured' and v_wanted = v_hold.captured + v_hold.shortfall then
    return v_hold.answer || '{"replayed": true}';
  end if;
  if v_hold.status <> 'open' then
    perform credits.raise_error('reservation_closed',
      jsonb_build_object('reservation_id', v_hold.id, 'status', v_hold.status, 'captured', v_hold.captured));
  end if;
  if v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;

  if v_wanted > v_hold.amount then
    v_extra := v_wanted - v_hold.amount;
    if v_balance.allowance is null then
      v_unlimited := v_extra;
    else
      v_extra := least(v_extra, v_balance.balance - v_balance.withheld - v_balance.reserved);
      if v_extra > 0 then
        v_balance := credits.hold_slices(p_account_id, v_balance, v_hold.id, v_extra);
      end if;
    end if;
  end if;
  v_captured := least(v_wanted, v_hold.amount + v_extra);
  v_shortfall := v_wanted - v_captured;
  v_metadata := v_hold.metadata || p_metadata
    || case when v_shortfall > 0 then jsonb_build_object('shortfall', v_shortfall) else '{}' end;

  v_balance := credits.spend_slices(p_account_id, v_balance, v_hold, v_captured, p_user_id,
    coalesce(p_description, v_hold.description), v_metadata);
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
  values (
    p_account_id, p_user_id, v_hold.credit_type, v_captured, 'allowed', coalesce(p_description, v_hold.description),
    v_metadata, v_hold.operation_id, v_balance.settled_at);
  v_balance := credits.expire_ended(p_account_id, v_balance, v_hold.operation_id);
  v_balance := credits.align_allowance(p_account_id, v_balance, v_hold.operation_id);
  v_balance := credits.save_balance(p_account_id, v_balance);

  v_answer := credits.answer(v_balance, v_hold.operation_id, v_captured) || jsonb_build_object(
    'reservation_id', v_hold.id, 'captured', v_captured, 'released', v_hold.amount + v_extra - v_captured,
    'shortfall', v_shortfall);
  update public.credit_reservations r set
    status = 'captured', captured = v_captured, released = v_hold.amount + v_extra - v_captured, extra = v_extra,
    unlimited = r.unlimited + v_unlimited, shortfall = v_shortfall, closed_at = v_balance.settled_at, answer = v_answer
  where r.account_id = p_account_id and r.id = v_hold.id;
  return v_answer;
end
$$;
comment on function credits.capture(uuid, uuid, uuid, bigint, text, jsonb) is
  'Charges a hold, once: up to the held amount from its slices, above it what is available; the rest goes back to its grants.';
revoke all on function credits.capture(uuid, uuid, uuid, bigint, text, jsonb) from public, anon, authenticated, service_role;

-- edge: result=Capture callers=service_role repeatable
--   Charge a hold, once: ``amount`` credits, None for all of it.
--
--   Above the hold, what is available is taken and the answer says the ``shortfall``. The same
--   capture again is answered like the first.
--
--   Raises:
--       ReservationNotFound: the account has no such hold.
--       ReservationClosed: it was released, has expired, or was captured with another amount.
--       AccountFrozen, AccountNotFound, InvalidAmount, InvalidArgument.
create function public.capture_credits(
  p_user_id uuid, p_reservation_id uuid, p_amount bigint default null, p_description text default null,
  p_metadata jsonb default '{}', p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(coalesce(p_amount, 1), p_description, null, p_metadata);
  return credits.respond(credits.capture(credits.paying_account(p_user_id, p_workspace_id), p_user_id, p_reservation_id, p_amount,
    p_description, coalesce(p_metadata, '{}')));
end
$$;
comment on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid) is
  'Charges a hold: p_amount whole credits, null for all of it. Above the hold it takes what is available and answers the shortfall. The same capture again is replayed; anything else on a closed hold raises reservation_closed.';
revoke all on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid) to service_role;
