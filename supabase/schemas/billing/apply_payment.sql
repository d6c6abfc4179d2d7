-- What is told of a payment: it was not collected, or which invoice it paid.

create function credits.apply_payment_failed(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid := credits.account_of_customer(p_fact ->> 'customer_id');
  v_is_new boolean := credits.keep_failure(p_fact);
  v_order credits.billing_orders;
begin
  v_order := credits.order_of_failure(p_fact);
  if v_order.id is not null then
    return credits.fail_order(v_order, p_fact);
  elsif p_fact ->> 'subscription_id' is null then
    return credits.billing_result('ignored', 'a payment of something else');
  elsif v_account_id is null then
    return credits.wait_for_customer(p_fact);
  end if;
  if v_is_new and p_fact ->> 'state' in ('failed', 'action_required') then
    perform credits.tell(v_account_id, 'payment.failed', jsonb_strip_nulls(jsonb_build_object(
      'url', p_fact ->> 'url', 'next_attempt_at', p_fact ->> 'next_attempt_at',
      'action_required', p_fact ->> 'state' = 'action_required')), 'in:' || concat_ws(':',
      p_fact ->> 'invoice_id', p_fact ->> 'state', p_fact ->> 'attempt'));
  end if;
  if p_fact ->> 'state' = 'not_finalized' then
    return credits.billing_result('needs_attention',
      'the invoice could not be finalized: ' || coalesce(p_fact ->> 'reason', 'no reason given'));
  end if;
  return credits.billing_result('applied', null, null, credits.follow_billing(v_account_id));
end
$$;
comment on function credits.apply_payment_failed(jsonb) is
  'A payment was not collected: starts the grace of a period that is not covered, or stops an '
  'automatic top-up.';
revoke all on function credits.apply_payment_failed(jsonb)
  from public, anon, authenticated, service_role;

create function credits.order_of_failure(p_fact jsonb)
returns credits.billing_orders
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders;
begin
  select o.* into v_order from credits.billing_references r
  join credits.billing_orders o on o.account_id = r.account_id and o.id = r.order_id
  where r.reference_id = p_fact ->> 'invoice_id';
  if not found then
    select o.* into v_order from credits.billing_payments p
    join credits.billing_orders o on o.account_id = p.account_id and o.id = p.order_id
    where p.payment_id = p_fact ->> 'payment_intent';
  end if;
  return v_order;
end
$$;
comment on function credits.order_of_failure(jsonb) is
  'The order that a failed payment was for; null where it is not of ours.';
revoke all on function credits.order_of_failure(jsonb)
  from public, anon, authenticated, service_role;

create function credits.fail_order(p_order credits.billing_orders, p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_reason text := coalesce(p_fact ->> 'reason', p_fact ->> 'state', 'declined');
begin
  if p_order.kind <> 'auto_top_up' then
    return credits.billing_result('applied', 'the buyer may try again');
  end if;
  perform credits.set_order_state(p_order.account_id, p_order.id, 'failed', left(v_reason, 500));
  if credits.stop_top_up(p_order.account_id, p_order.id, credits.fact_time(p_fact, 'at'),
    left(v_reason, 500)) then
    perform credits.tell(p_order.account_id, 'top_up.stopped', jsonb_strip_nulls(
      jsonb_build_object('credit_type', p_order.credit_type, 'reason', v_reason,
        'url', p_fact ->> 'url')), 'order:' || p_order.id);
  end if;
  return credits.billing_result('applied');
end
$$;
comment on function credits.fail_order(credits.billing_orders, jsonb) is
  'An automatic top-up was declined: stops it. A buyer who is present may try again.';
revoke all on function credits.fail_order(credits.billing_orders, jsonb)
  from public, anon, authenticated, service_role;

create function credits.apply_payment_linked(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_effects jsonb;
begin
  perform credits.link_invoice_payments(jsonb_build_object('invoice_id', p_fact ->> 'invoice_id',
    'payments', jsonb_build_array(p_fact)));
  v_effects := credits.settle_payment(
    coalesce(p_fact ->> 'payment_intent', p_fact ->> 'charge'));
  return credits.billing_result('applied', null, null, coalesce(v_effects, '[]'));
end
$$;
comment on function credits.apply_payment_linked(jsonb) is
  'Says which invoice a payment has paid, and settles what had been heard of the payment.';
revoke all on function credits.apply_payment_linked(jsonb)
  from public, anon, authenticated, service_role;

create function credits.settle_payment(p_payment_id text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment credits.billing_payments := credits.lock_payment(p_payment_id);
  v_account_id uuid;
begin
  if v_payment.order_id is not null then
    return credits.settle_order(v_payment.account_id, v_payment.order_id);
  end if;
  select credits.account_of_customer(i.customer_id) into v_account_id
  from credits.billing_invoices i where i.invoice_id = v_payment.invoice_id;
  if v_account_id is null then
    return null;
  end if;
  return case when exists (
      select 1 from credits.billing_disputes d where d.payment_id = p_payment_id)
      or exists (
      select 1 from credits.billing_refunds r where r.payment_id = p_payment_id)
      then credits.follow_billing(v_account_id) else '[]' end
    || credits.settle_invoice(v_account_id, v_payment.invoice_id);
end
$$;
comment on function credits.settle_payment(text) is
  'Works out what refunds and disputes of a payment come to; null while it is not known what it '
  'paid.';
revoke all on function credits.settle_payment(text)
  from public, anon, authenticated, service_role;
