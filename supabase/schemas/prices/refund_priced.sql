create function credits.refund_priced(
  p_account_id uuid, p_user_id uuid, p_operation credits.priced_operations, p_amount bigint,
  p_reason text, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_request jsonb := credits.refund_request(p_user_id, p_operation.operation_id, p_amount,
    p_reason);
  v_refund_id uuid := gen_random_uuid();
  v_balance credits.balances;
  v_left bigint;
  v_cost bigint;
  v_whole bigint;
  v_returned record;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_operation.credit_type);
  if v_balance.account_status = 'closed' and p_user_id is not null then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  v_left := p_operation.cost_nano - (
    select coalesce(sum(f.cost_nano), 0) from credits.priced_refunds f
    where f.account_id = p_account_id and f.operation_id = p_operation.operation_id);
  if v_left = 0 or p_amount > credits.whole_credits(v_left) then
    perform credits.raise_error('invalid_amount', jsonb_build_object('amount', p_amount,
      'refundable', credits.whole_credits(v_left), 'refundable_cost', credits.credits_text(v_left)),
      'More than an operation cost cannot be given back.');
  end if;
  v_cost := least(v_left, coalesce(p_amount * 1000000000::numeric, v_left));
  v_whole := div(v_balance.prepaid_nano::numeric + v_cost, 1000000000);
  insert into credits.priced_refunds (account_id, refund_id, operation_id, credit_type, user_id,
    cost_nano, whole, prepaid_before, prepaid_after, created_at)
  values (p_account_id, v_refund_id, p_operation.operation_id, p_operation.credit_type, p_user_id,
    v_cost, v_whole, v_balance.prepaid_nano,
    v_balance.prepaid_nano::numeric + v_cost - v_whole * 1000000000::numeric, v_balance.settled_at);
  update credits.balances b
  set prepaid_nano = v_balance.prepaid_nano::numeric + v_cost - v_whole * 1000000000::numeric
  where b.account_id = p_account_id and b.credit_type = p_operation.credit_type;
  v_returned := credits.return_whole(p_account_id, v_balance, p_user_id, p_operation, v_whole,
    v_refund_id, p_reason);
  v_balance := credits.save_balance(p_account_id, v_returned.p_balance);
  v_answer := credits.answer(v_balance, v_refund_id, v_whole) || jsonb_build_object(
    'refunds_operation_id', p_operation.operation_id, 'returned', v_whole - v_returned.expired,
    'expired', v_returned.expired, 'cost', credits.credits_text(v_cost),
    'price_version', p_operation.price_version);
  perform credits.remember(p_account_id, p_idempotency_key, v_refund_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.refund_priced(
  uuid, uuid, credits.priced_operations, bigint, text, text) is
  'Gives the cost of a priced operation back, all that is left of it or p_amount credits of it: '
  'into the remainder, and what lifts that to a credit or more as whole credits.';
revoke all on function credits.refund_priced(
  uuid, uuid, credits.priced_operations, bigint, text, text)
  from public, anon, authenticated, service_role;

create function credits.return_whole(
  p_account_id uuid, inout p_balance credits.balances, p_user_id uuid,
  p_operation credits.priced_operations, p_amount bigint, p_refund_id uuid, p_reason text,
  out expired bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_source record;
  v_back bigint;
  v_left bigint := p_amount;
  v_returned record;
begin
  expired := 0;
  -- Parts of several operations may add up to a credit that an earlier one took: the latest comes
  -- first.
  for v_source in
    select o.operation_id, o.whole - o.returned as refundable, o.created_at
    from credits.priced_operations o
    where o.account_id = p_account_id and o.credit_type = p_operation.credit_type
      and o.returned < o.whole and p_amount > 0
    order by o.operation_id = p_operation.operation_id desc, o.created_at desc, o.operation_id
  loop
    exit when v_left = 0;
    v_back := least(v_left, v_source.refundable);
    v_returned := credits.return_spent(p_account_id, p_balance, p_user_id, v_source.operation_id,
      v_back, p_refund_id, p_reason);
    p_balance := v_returned.p_balance;
    expired := expired + v_returned.expired;
    update credits.priced_operations o set returned = o.returned + v_back
    where o.account_id = p_account_id and o.operation_id = v_source.operation_id;
    if v_source.created_at >= p_balance.used_since then
      p_balance.used := greatest(0, p_balance.used - v_back);
    end if;
    v_left := v_left - v_back;
  end loop;
  if v_left > 0 then
    perform credits.raise_disagreement(p_account_id, p_operation.credit_type, v_left);
  end if;
end
$$;
comment on function credits.return_whole(
  uuid, credits.balances, uuid, credits.priced_operations, bigint, uuid, text) is
  'Gives whole credits back into the grants of a priced operation, then into those of the '
  'operations before it: together they have taken every credit that the remainder is of.';
revoke all on function credits.return_whole(
  uuid, credits.balances, uuid, credits.priced_operations, bigint, uuid, text)
  from public, anon, authenticated, service_role;
