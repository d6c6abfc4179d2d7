-- A checkout session has ended: what was ordered is paid, open, or never will be.

create function credits.apply_sale(p_fact jsonb, p_livemode boolean)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders;
  v_buyer uuid := credits.account_of_customer(p_fact ->> 'customer_id');
  v_is_paid boolean := p_fact ->> 'state' in ('paid', 'no_payment_required');
begin
  -- The payment before the order, as refunds do.
  perform credits.lock_payment(
    coalesce(p_fact ->> 'payment_intent', p_fact ->> 'session_id'));
  select o.* into v_order from credits.billing_references r
  join credits.billing_orders o on o.account_id = r.account_id and o.id = r.order_id
  where r.reference_id in (p_fact ->> 'session_id', p_fact ->> 'recovered_from')
  order by r.reference_id = p_fact ->> 'session_id' desc limit 1 for no key update of o;
  if not found and p_fact ->> 'mode' = 'subscription' then
    return credits.apply_subscribed(p_fact);
  elsif not found then
    return credits.sale_without_order(p_fact);
  end if;
  if v_buyer <> v_order.account_id then
    return credits.refuse_payment(v_order, 'the customer belongs to another account');
  elsif (p_fact ->> 'mode', v_order.kind = 'plan')
    not in (('subscription', true), ('payment', false)) then
    return credits.refuse_payment(v_order, 'the session is not of what was ordered');
  elsif v_order.kind = 'plan' then
    return credits.apply_subscribed_by_order(v_order, p_fact, p_livemode);
  end if;
  if (lower(p_fact ->> 'currency'), (p_fact ->> 'amount_subtotal')::bigint)
     is distinct from (v_order.currency, v_order.unit_amount * v_order.quantity) then
    return credits.refuse_payment(v_order, 'currency or amount is not what was ordered');
  end if;
  if not v_is_paid then
    perform credits.set_order_state(v_order.account_id, v_order.id, 'pending');
    return credits.billing_result('applied', 'the payment is on its way');
  end if;
  return credits.apply_paid_session(v_order, p_fact);
end
$$;
comment on function credits.apply_sale(jsonb, boolean) is
  'A checkout session was completed: what was bought is read from our own order, found by the '
  'session''s id.';
revoke all on function credits.apply_sale(jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.sale_without_order(p_fact jsonb)
returns credits.billing_result
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_fact ->> 'recovered_from' is not null then
    return credits.billing_result('needs_attention',
      'the session was recovered from one that is not of ours');
  end if;
  return credits.billing_result('waiting', 'the session belongs to no order of ours',
    'session:' || (p_fact ->> 'session_id'));
end
$$;
comment on function credits.sale_without_order(jsonb) is
  'A paid session that no order of ours names.';
revoke all on function credits.sale_without_order(jsonb)
  from public, anon, authenticated, service_role;

create function credits.apply_paid_session(p_order credits.billing_orders, p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment_id text := coalesce(p_fact ->> 'payment_intent', p_fact ->> 'session_id');
  v_total bigint := coalesce(
    (p_fact ->> 'amount_total')::bigint, (p_fact ->> 'amount_subtotal')::bigint);
  v_result credits.billing_result;
begin
  if p_order.state = 'paid' and not exists (
    select 1 from credits.billing_payments p
    where p.payment_id = v_payment_id and p.account_id = p_order.account_id
      and p.order_id = p_order.id) then
    return credits.billing_result('needs_attention', 'the order was paid twice');
  elsif exists (
    select 1 from credits.billing_payments p
    where p.payment_id = v_payment_id and p.order_id <> p_order.id) then
    return credits.refuse_payment(p_order, 'the payment has paid another order');
  end if;
  v_result := credits.pay(p_order, credits.fact_time(p_fact, 'at'), v_total,
    v_total - coalesce((p_fact ->> 'amount_tax')::bigint, 0));
  if v_result.outcome = 'applied' then
    perform credits.link_payment(
      array[v_payment_id], p_order.account_id, p_order.id, null);
    v_result.effects := v_result.effects
      || credits.settle_order(p_order.account_id, p_order.id);
    perform credits.settle_waiting('payment:' || v_payment_id);
  end if;
  return v_result;
end
$$;
comment on function credits.apply_paid_session(credits.billing_orders, jsonb) is
  'Pays an order by a session, and settles what had been heard of its payment already.';
revoke all on function credits.apply_paid_session(credits.billing_orders, jsonb)
  from public, anon, authenticated, service_role;

create function credits.apply_subscribed(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid := credits.account_of_customer(p_fact ->> 'customer_id');
begin
  if v_account_id is null then
    return credits.wait_for_customer(p_fact);
  end if;
  return credits.billing_result('applied', null, null, credits.follow_billing(v_account_id));
end
$$;
comment on function credits.apply_subscribed(jsonb) is
  'A session for a subscription needs no order of ours: its customer says whose it is.';
revoke all on function credits.apply_subscribed(jsonb)
  from public, anon, authenticated, service_role;

create function credits.apply_subscribed_by_order(
  p_order credits.billing_orders, p_fact jsonb, p_livemode boolean)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_customer_id text := p_fact ->> 'customer_id';
begin
  if v_customer_id is not null and credits.account_of_customer(v_customer_id) is null then
    perform credits.link_customer(p_order.account_id, v_customer_id, p_livemode);
    perform credits.settle_waiting('customer:' || v_customer_id);
  end if;
  if p_fact ->> 'state' in ('paid', 'no_payment_required') then
    update credits.billing_orders o set state = 'paid', paid_at = credits.fact_time(p_fact, 'at'),
      paid_amount = (p_fact ->> 'amount_total')::bigint,
      paid_net = (p_fact ->> 'amount_total')::bigint
        - coalesce((p_fact ->> 'amount_tax')::bigint, 0)
    where o.account_id = p_order.account_id and o.id = p_order.id and o.state <> 'paid';
  else
    perform credits.set_order_state(p_order.account_id, p_order.id, 'pending');
  end if;
  return credits.billing_result('applied', null, null,
    credits.follow_billing(p_order.account_id));
end
$$;
comment on function credits.apply_subscribed_by_order(credits.billing_orders, jsonb, boolean) is
  'A session of our own for a plan: its customer is the account that ordered.';
revoke all on function credits.apply_subscribed_by_order(credits.billing_orders, jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.apply_sale_failed(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_reference credits.billing_references;
begin
  select * into v_reference from credits.billing_references r
  where r.reference_id = p_fact ->> 'session_id';
  if not found then
    return credits.billing_result('ignored', 'a session that bought nothing');
  end if;
  if credits.set_order_state(v_reference.account_id, v_reference.order_id, p_fact ->> 'state')
     and p_fact ->> 'state' = 'failed' then
    perform credits.tell(v_reference.account_id, 'payment.failed',
      jsonb_build_object('order_id', v_reference.order_id), 'order:' || v_reference.order_id);
  end if;
  return credits.billing_result('applied');
end
$$;
comment on function credits.apply_sale_failed(jsonb) is
  'A session has expired, or its payment failed after all: the order ends unpaid.';
revoke all on function credits.apply_sale_failed(jsonb)
  from public, anon, authenticated, service_role;
