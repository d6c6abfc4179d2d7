-- edge: result=PricedCapture callers=service_role keyed reads=quantities:quantities
--   Charge a hold of :meth:`reserve_operation` with what was used, by the prices of the hold.
--
--   ``quantities`` None is the maximum. Above the hold it takes what is available; the answer has
--   the ``shortfall``, and what stays ``unpaid``. With ``final`` false it is a part.
--
--   Raises:
--       ReservationNotFound, ReservationClosed: it is over, or was captured otherwise.
--       InvalidArgument: a quantity without a price, or a hold of :meth:`reserve_credits`.
--       IdempotencyConflict: the key belongs to another request.
--       Forbidden: a viewer captures another one's hold.
--       AccountFrozen.
create function public.capture_operation(
  p_user_id uuid, p_reservation_id uuid, p_quantities jsonb default null,
  p_description text default null, p_metadata jsonb default '{}', p_workspace_id uuid default null,
  p_final boolean default true, p_idempotency_key text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_metadata jsonb := credits.check_request(1, p_description, p_idempotency_key, p_metadata);
  v_quantities jsonb;
begin
  if p_quantities is not null then
    v_quantities := credits.read_quantities(p_quantities);
  end if;
  return credits.respond(credits.capture_priced(
    credits.paying_account(p_user_id, p_workspace_id), p_user_id, p_reservation_id, v_quantities,
    p_description, v_metadata, coalesce(p_final, true), p_idempotency_key));
end
$$;
comment on function public.capture_operation(
  uuid, uuid, jsonb, text, jsonb, uuid, boolean, text) is
  'Charges a hold of reserve_operation with the cost of what was used (null for the maximum), by '
  'the prices that there were when it was made. Answers like capture_credits, with cost, '
  'price_version, and unpaid where hold and balance did not suffice.';
revoke all on function public.capture_operation(uuid, uuid, jsonb, text, jsonb, uuid, boolean, text)
  from public, anon, authenticated, service_role;
grant execute on function public.capture_operation(
  uuid, uuid, jsonb, text, jsonb, uuid, boolean, text) to service_role;

create function credits.capture_priced(
  p_account_id uuid, p_user_id uuid, p_reservation_id uuid, p_quantities jsonb,
  p_description text, p_metadata jsonb, p_is_final boolean, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('function', 'capture_operation', 'user_id', p_user_id,
    'reservation_id', p_reservation_id, 'quantities', p_quantities, 'description', p_description,
    'metadata', p_metadata, 'final', p_is_final);
  v_locked record;
  v_hold credits.priced_holds;
  v_quantities jsonb;
  v_price jsonb;
  v_answer jsonb;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_hold := credits.find_priced_hold(p_account_id, p_reservation_id);
  v_quantities := coalesce(p_quantities, v_hold.quantities);
  v_answer := coalesce(credits.replay(p_account_id, p_idempotency_key, v_request),
    case when p_is_final then
      credits.replay_priced_capture(p_account_id, v_locked.p_reservation, v_quantities) end);
  if v_answer is not null then
    return v_answer;
  elsif (v_locked.p_reservation).status <> 'open' then
    perform credits.raise_error('reservation_closed', jsonb_build_object('reservation_id',
      p_reservation_id, 'status', (v_locked.p_reservation).status,
      'captured', (v_locked.p_reservation).captured));
  elsif (v_locked.p_balance).account_status <> 'active' then
    perform credits.refuse_status(p_account_id, (v_locked.p_balance).account_status);
  elsif p_user_id not in (p_account_id, (v_locked.p_reservation).user_id) then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;
  v_price := credits.price_operation(v_hold.book, v_hold.operation, v_quantities, v_hold.priced_at,
    v_hold.book_version);
  v_answer := credits.take_priced(p_account_id, p_user_id, v_locked.p_balance,
    v_locked.p_reservation, credits.whole_credits((v_price ->> 'cost_nano')::numeric
      - (v_locked.p_balance).prepaid_nano), p_description,
    p_metadata || credits.price_words(v_hold.operation, v_quantities, v_price), p_is_final);
  v_answer := v_answer || credits.post_priced(p_account_id, v_locked.p_balance, p_user_id,
    (v_answer ->> 'operation_id')::uuid, credits.find_price_book(v_hold.book), v_hold.operation,
    v_quantities, v_price, (v_answer ->> 'captured')::bigint, p_reservation_id, v_hold.priced_at);
  update public.credit_reservations r set answer = v_answer
  where r.account_id = p_account_id and r.id = p_reservation_id;
  perform credits.remember(p_account_id, p_idempotency_key, (v_answer ->> 'operation_id')::uuid,
    v_request, v_answer, (v_locked.p_balance).settled_at);
  return v_answer;
end
$$;
comment on function credits.capture_priced(uuid, uuid, uuid, jsonb, text, jsonb, boolean, text) is
  'Charges a priced hold: the remainder pays first, the hold what that lacks, the balance what '
  'that lacks. The rest of the hold goes back with the last part.';
revoke all on function credits.capture_priced(uuid, uuid, uuid, jsonb, text, jsonb, boolean, text)
  from public, anon, authenticated, service_role;

create function credits.find_priced_hold(p_account_id uuid, p_reservation_id uuid)
returns credits.priced_holds
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_hold credits.priced_holds;
begin
  select h.* into v_hold from credits.priced_holds h
  where h.account_id = p_account_id and h.reservation_id = p_reservation_id;
  if not found then
    perform credits.raise_error('invalid_argument', jsonb_build_object(
      'argument', 'p_reservation_id', 'value', p_reservation_id),
      'This hold was made without an operation. Capture it with capture_credits.');
  end if;
  return v_hold;
end
$$;
comment on function credits.find_priced_hold(uuid, uuid) is
  'For which operation a hold was made. Raises invalid_argument where for none.';
revoke all on function credits.find_priced_hold(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.replay_priced_capture(
  p_account_id uuid, p_hold public.credit_reservations, p_quantities jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A hold that the remainder has paid for is released, with an answer all the same.
  return (
    select p_hold.answer || '{"replayed": true}'
    from credits.priced_operations o
    where p_hold.status in ('captured', 'released') and o.account_id = p_account_id
      and o.operation_id = (p_hold.answer ->> 'operation_id')::uuid
      and o.reservation_id = p_hold.id and o.quantities = p_quantities
      and p_hold.answer ->> 'held' = '0' and p_hold.answer ? 'cost');
end
$$;
comment on function credits.replay_priced_capture(uuid, public.credit_reservations, jsonb) is
  'The answer to the last capture of a closed priced hold, when the same quantities are captured '
  'again; else null.';
revoke all on function credits.replay_priced_capture(uuid, public.credit_reservations, jsonb)
  from public, anon, authenticated, service_role;

create function credits.take_priced(
  p_account_id uuid, p_user_id uuid, p_balance credits.balances,
  p_hold public.credit_reservations, p_whole bigint, p_description text, p_metadata jsonb,
  p_is_final boolean)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := p_balance;
  v_operation_id uuid := gen_random_uuid();
  v_left bigint := p_hold.amount + p_hold.extra - p_hold.captured;
begin
  if p_whole > 0 then
    return credits.capture(p_account_id, p_user_id, p_hold.id, p_whole, p_description, p_metadata,
      p_is_final, null);
  end if;
  -- As with any hold: what is captured at once is one operation with it.
  if p_is_final and not exists (select 1 from credits.priced_operations o
      where o.account_id = p_account_id and o.reservation_id = p_hold.id) then
    v_operation_id := p_hold.operation_id;
  end if;
  if p_is_final then
    v_balance := credits.close_hold(p_account_id, v_balance, p_hold, 'the remainder paid for it');
  end if;
  perform credits.log_free_use(p_account_id, v_balance, v_operation_id, p_user_id,
    coalesce(p_description, p_hold.description), p_hold.metadata || p_metadata);
  return credits.answer(v_balance, v_operation_id, 0) || jsonb_build_object(
    'reservation_id', p_hold.id, 'captured', 0,
    'released', case when p_is_final then v_left else 0 end,
    'held', case when p_is_final then 0 else v_left end, 'shortfall', 0);
end
$$;
comment on function credits.take_priced(uuid, uuid, credits.balances, public.credit_reservations,
  bigint, text, jsonb, boolean) is
  'Captures the whole credits that a priced operation takes of its hold, or none, where the '
  'remainder pays for it.';
revoke all on function credits.take_priced(uuid, uuid, credits.balances, public.credit_reservations,
  bigint, text, jsonb, boolean) from public, anon, authenticated, service_role;
