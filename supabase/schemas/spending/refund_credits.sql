create function credits.refund(
  p_account_id uuid, p_user_id uuid, p_operation_id uuid, p_amount bigint, p_reason text,
  p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_credit_type text;
  v_spent_at timestamptz;
  v_refundable bigint;
  v_refund_id uuid := gen_random_uuid();
  v_request jsonb := credits.refund_request(p_user_id, p_operation_id, p_amount, p_reason);
  v_amount bigint;
  v_expired bigint;
  v_returned record;
  v_priced credits.priced_operations;
  v_answer jsonb;
begin
  select o.* into v_priced from credits.priced_operations o
  where o.account_id = p_account_id and o.operation_id = p_operation_id;
  if found then
    return credits.refund_priced(p_account_id, p_user_id, v_priced, p_amount, p_reason,
      p_idempotency_key);
  end if;
  select t.credit_type, t.created_at into v_credit_type, v_spent_at
  from public.credit_transactions t
  where t.account_id = p_account_id and t.operation_id = p_operation_id
    and t.kind in ('consume', 'capture')
  limit 1;
  if not found then
    perform credits.raise_error('operation_not_found',
      jsonb_build_object('operation_id', p_operation_id),
      'This account has no such spend. Pass the operation_id that consume_credits or '
      'capture_credits answered.');
  end if;
  v_balance := credits.lock_balance(p_account_id, v_credit_type);
  -- A row of a metered table is given back by itself, also when its owner has left.
  if v_balance.account_status = 'closed' and p_user_id is not null then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;

  select -sum(t.amount) into v_refundable
  from public.credit_transactions t
  where t.account_id = p_account_id
    and (t.operation_id = p_operation_id and t.kind in ('consume', 'capture')
      or t.related_operation_id = p_operation_id and t.kind = 'refund');
  v_amount := coalesce(p_amount, v_refundable);
  if v_amount > v_refundable or v_amount = 0 then
    perform credits.raise_error('invalid_amount',
      jsonb_build_object('amount', p_amount, 'refundable', v_refundable),
      'More than an operation spent cannot be given back.');
  end if;

  v_returned := credits.return_spent(p_account_id, v_balance, p_user_id, p_operation_id, v_amount,
    v_refund_id, p_reason);
  v_balance := v_returned.p_balance;
  v_expired := v_returned.expired;
  if v_balance.kind = 'limit' or v_spent_at >= v_balance.used_since then
    v_balance.used := greatest(0, v_balance.used - v_amount);
  end if;
  v_balance := credits.align_allowance(p_account_id, v_balance, v_refund_id);
  v_balance := credits.save_balance(p_account_id, v_balance);

  v_answer := credits.answer(v_balance, v_refund_id, v_amount)
    || jsonb_build_object('refunds_operation_id', p_operation_id, 'returned', v_amount - v_expired,
      'expired', v_expired);
  perform credits.remember(p_account_id, p_idempotency_key, v_refund_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.refund(uuid, uuid, uuid, bigint, text, text) is
  'Gives a spend back, once: its credits, or of a priced operation its cost.';
revoke all on function credits.refund(uuid, uuid, uuid, bigint, text, text)
  from public, anon, authenticated, service_role;

create function credits.return_spent(
  p_account_id uuid, inout p_balance credits.balances, p_user_id uuid, p_operation_id uuid,
  p_amount bigint, p_refund_id uuid, p_reason text, out expired bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_left bigint := p_amount;
  v_back bigint;
  v_late bigint := 0;
  v_row record;
begin
  expired := 0;
  if p_balance.has_budgets then
    perform credits.return_spend_to_budgets(p_account_id, p_operation_id, p_amount);
  end if;
  for v_row in
    select t.grant_id, g.expires_at, g.voided_at, -t.amount - coalesce((
      select sum(f.amount) from public.credit_transactions f
      where f.account_id = p_account_id and f.related_operation_id = p_operation_id
        and f.kind = 'refund' and f.grant_id is not distinct from t.grant_id), 0) as refundable
    from public.credit_transactions t
    left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
    where t.account_id = p_account_id and t.operation_id = p_operation_id
      and t.kind in ('consume', 'capture')
    order by t.version desc
  loop
    v_back := least(v_left, v_row.refundable);
    continue when v_back = 0;
    p_balance := credits.return_entry(p_account_id, p_balance, v_row.grant_id,
      v_row.voided_at is not null, p_user_id, p_operation_id, v_back, p_refund_id, p_reason);
    if v_row.voided_at is not null
       or v_row.expires_at <= p_balance.settled_at - interval '24 hours' then
      expired := expired + v_back;
    elsif v_row.expires_at <= p_balance.settled_at then
      v_late := v_late + v_back;
    end if;
    v_left := v_left - v_back;
    exit when v_left = 0;
  end loop;
  p_balance := credits.expire_ended(p_account_id, p_balance, p_refund_id);

  -- Whoever was let down just before the renewal does not lose by it.
  if v_late > 0 then
    p_balance := (select i.p_balance from credits.issue(p_account_id, p_balance, null,
      gen_random_uuid(), 'compensation', v_late, p_balance.settled_at,
      p_balance.settled_at + interval '24 hours', p_refund_id,
      'refund of credits that have since expired', '{}') i);
  end if;
end
$$;
comment on function credits.return_spent(
  uuid, credits.balances, uuid, uuid, bigint, uuid, text) is
  'Gives credits of a spend back into the very grants they came from, the last one first. Into a '
  'grant that has expired within 24 hours they come back as a compensation grant; later they are '
  'booked as refund and expiry, net zero, and counted as expired.';
revoke all on function credits.return_spent(
  uuid, credits.balances, uuid, uuid, bigint, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.return_entry(
  p_account_id uuid, inout p_balance credits.balances, p_grant_id uuid, p_is_voided boolean,
  p_user_id uuid, p_operation_id uuid, p_amount bigint, p_refund_id uuid, p_reason text)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- A voided grant holds nothing but pinned credits, so what comes back to one leaves it in the
  -- same step.
  update public.credit_grants g set spent = g.spent - p_amount,
    remaining = g.remaining + case when p_is_voided then 0 else p_amount end,
    lapsed = g.lapsed + case when p_is_voided then p_amount else 0 end
  where g.account_id = p_account_id and g.id = p_grant_id;
  p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, p_user_id, p_refund_id,
    'refund', p_amount, p_operation_id, p_reason, '{}');
  if p_is_voided then
    p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, null, gen_random_uuid(),
      'void', -p_amount, p_refund_id, 'refunded into a voided grant', '{}');
  end if;
end
$$;
comment on function credits.return_entry(
  uuid, credits.balances, uuid, boolean, uuid, uuid, bigint, uuid, text) is
  'Gives credits back into one grant, or where it was voided through it.';
revoke all on function credits.return_entry(
  uuid, credits.balances, uuid, boolean, uuid, uuid, bigint, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.refund_request(
  p_user_id uuid, p_operation_id uuid, p_amount bigint, p_reason text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('function', 'refund_credits', 'user_id', p_user_id,
    'operation_id', p_operation_id, 'amount', p_amount, 'reason', p_reason);
end
$$;
comment on function credits.refund_request(uuid, uuid, bigint, text) is
  'What makes a refund the same refund under its key.';
revoke all on function credits.refund_request(uuid, uuid, bigint, text)
  from public, anon, authenticated, service_role;

-- edge: result=Refund callers=service_role keyed
--   Give back ``amount`` credits of a spend, None for what is left of it.
--
--   They return to the very grants they came from. Of a priced operation its ``cost`` comes back,
--   and ``amount`` is the whole credits among it. It is also how a limit gets back what was
--   deleted.
--
--   Raises:
--       OperationNotFound: the account has no such spend.
--       InvalidAmount: more than is left to give back; ``details["refundable"]`` says how much.
--       IdempotencyConflict: the key belongs to another request.
create function public.refund_credits(
  p_user_id uuid, p_operation_id uuid, p_amount bigint default null, p_reason text default null,
  p_idempotency_key text default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(coalesce(p_amount, 1), p_reason, p_idempotency_key, null,
    'p_reason');
  return credits.respond(credits.refund(credits.paying_account(p_user_id, p_workspace_id),
    p_user_id, p_operation_id,
    p_amount, p_reason, p_idempotency_key));
end
$$;
comment on function public.refund_credits(uuid, uuid, bigint, text, text, uuid) is
  'Gives back p_amount whole credits of a spend, null for what is left of it. All refunds of an '
  'operation together never exceed it. Answers how much came back (returned) and how much had '
  'expired meanwhile (expired): together they are amount. Of a priced operation its cost comes '
  'back '
  '(cost), and amount is the whole credits among it. Also how a limit gets back what was deleted.';
revoke all on function public.refund_credits(uuid, uuid, bigint, text, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.refund_credits(uuid, uuid, bigint, text, text, uuid)
  to service_role;
