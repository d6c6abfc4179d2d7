-- One function per fact. Each keeps the fact, works out what follows from all that is known, and
-- says how it ended: applied, waiting for something that is not known yet, or needs_attention for
-- what no repeat can mend.

create type credits.billing_result as (
  outcome text,
  note text,
  waits_for text[],
  effects jsonb
);
comment on type credits.billing_result is 'How a fact ended.';

create function credits.billing_result(
  p_outcome text, p_note text default null, p_waits_for text default null,
  p_effects jsonb default '[]')
returns credits.billing_result
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return row(p_outcome, p_note,
    case when p_waits_for is not null then array[p_waits_for] else array[]::text[] end,
    p_effects)::credits.billing_result;
end
$$;
comment on function credits.billing_result(text, text, text, jsonb) is 'How a fact ended.';
revoke all on function credits.billing_result(text, text, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.wait_for_customer(p_fact jsonb)
returns credits.billing_result
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_fact ->> 'customer_id' is null then
    return credits.billing_result('needs_attention', 'it names no customer');
  end if;
  return credits.billing_result('waiting', 'the customer belongs to no account',
    'customer:' || (p_fact ->> 'customer_id'));
end
$$;
comment on function credits.wait_for_customer(jsonb) is
  'How a fact ends whose customer is not mapped.';
revoke all on function credits.wait_for_customer(jsonb)
  from public, anon, authenticated, service_role;

create function credits.is_closed(p_account_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return not credits.is_living(p_account_id) or exists (
    select 1 from credits.accounts a where a.account_id = p_account_id and a.status = 'closed');
end
$$;
comment on function credits.is_closed(uuid) is 'Whether an account is closed, or its person gone.';
revoke all on function credits.is_closed(uuid) from public, anon, authenticated, service_role;

create function credits.apply_subscription(p_event_id text, p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid := credits.account_of_customer(p_fact ->> 'customer_id');
  v_effects jsonb;
begin
  if (p_fact ->> 'items_incomplete')::boolean then
    return credits.billing_result('waiting', 'not all items of the subscription were sent',
      'fetch:' || (p_fact ->> 'subscription_id'));
  end if;
  perform credits.keep_subscription(p_event_id, p_fact);
  if v_account_id is null then
    return credits.wait_for_customer(p_fact);
  end if;
  v_effects := credits.follow_billing(v_account_id);
  if p_fact ->> 'alert' = 'trial_ending' then
    perform credits.announce_ending_trial(v_account_id,
      (credits.spell_at(v_account_id, credits.account_time(v_account_id))).plan_id,
      (p_fact ->> 'trial_end')::timestamptz);
  end if;
  if p_fact ->> 'status' not in ('incomplete', 'incomplete_expired', 'canceled')
     and not credits.sells_a_plan(p_fact -> 'items') then
    return credits.billing_result('needs_attention',
      'the subscription has a price that is not registered', null, v_effects);
  end if;
  if credits.living_subscriptions(v_account_id) > 1 then
    return credits.billing_result('applied', 'the account has two living subscriptions', null,
      v_effects);
  end if;
  return credits.billing_result('applied', null, null, v_effects);
end
$$;
comment on function credits.apply_subscription(text, jsonb) is
  'What a subscription was at an instant: moves plan, status and period of its account.';
revoke all on function credits.apply_subscription(text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.sells_a_plan(p_items jsonb)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from jsonb_array_elements(p_items) i
    join credits.billing_prices b on b.price_id = i ->> 'price_id'
    where b.plan_id is not null);
end
$$;
comment on function credits.sells_a_plan(jsonb) is
  'Whether one of the prices is known as that of a plan.';
revoke all on function credits.sells_a_plan(jsonb)
  from public, anon, authenticated, service_role;

create function credits.apply_period_paid(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid := credits.account_of_customer(p_fact ->> 'customer_id');
  v_effects jsonb;
begin
  if (p_fact ->> 'lines_incomplete')::boolean then
    return credits.billing_result('waiting', 'not all lines of the invoice were sent',
      'fetch:' || (p_fact ->> 'invoice_id'));
  end if;
  perform credits.keep_invoice(p_fact);
  perform credits.link_invoice_payments(p_fact);
  if p_fact ->> 'subscription_id' is null then
    return credits.apply_invoice_of_order(p_fact);
  end if;
  if v_account_id is null then
    return credits.wait_for_customer(p_fact);
  end if;
  v_effects := credits.follow_billing(v_account_id)
    || credits.settle_invoice(v_account_id, p_fact ->> 'invoice_id');
  perform credits.settle_waiting('payment:' || p.payment_id)
  from credits.billing_payments p where p.invoice_id = p_fact ->> 'invoice_id';
  if jsonb_array_length(p_fact -> 'lines') > 0
     and not credits.sells_a_plan(p_fact -> 'lines') then
    return credits.billing_result('needs_attention',
      'the invoice has a price that is not registered', null, v_effects);
  end if;
  return credits.billing_result('applied', null, null, v_effects);
end
$$;
comment on function credits.apply_period_paid(jsonb) is
  'An invoice was paid: covers a period of a subscription, or pays an order of our own.';
revoke all on function credits.apply_period_paid(jsonb)
  from public, anon, authenticated, service_role;

create function credits.link_invoice_payments(p_fact jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_reference credits.billing_references;
  v_payment_ids text[];
begin
  select * into v_reference from credits.billing_references r
  where r.reference_id = p_fact ->> 'invoice_id';
  v_payment_ids := array(
    select i from jsonb_array_elements(coalesce(p_fact -> 'payments', '[]')) p
    cross join lateral unnest(array[p ->> 'payment_intent', p ->> 'charge']) i
    where i is not null);
  perform credits.link_payment(
    v_payment_ids, v_reference.account_id, v_reference.order_id, p_fact ->> 'invoice_id');
  perform credits.settle_waiting('payment:' || i) from unnest(v_payment_ids) i;
end
$$;
comment on function credits.link_invoice_payments(jsonb) is
  'Says of the payments that an invoice names what they have paid.';
revoke all on function credits.link_invoice_payments(jsonb)
  from public, anon, authenticated, service_role;

create function credits.apply_invoice_of_order(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_reference credits.billing_references;
  v_order credits.billing_orders;
  v_invoice credits.billing_invoices;
begin
  select * into v_invoice from credits.billing_invoices i
  where i.invoice_id = p_fact ->> 'invoice_id';
  select * into v_reference from credits.billing_references r
  where r.reference_id = v_invoice.invoice_id;
  if not found then
    if exists (
      select 1 from credits.billing_invoice_lines l
      join credits.billing_prices b on b.price_id = l.price_id
      where l.invoice_id = v_invoice.invoice_id and b.pack_id is not null) then
      return credits.billing_result('waiting', 'the invoice belongs to no order of ours',
        'invoice:' || v_invoice.invoice_id);
    end if;
    return credits.billing_result('ignored', 'an invoice of something else');
  end if;
  select * into v_order from credits.billing_orders o
  where o.account_id = v_reference.account_id and o.id = v_reference.order_id for no key update;
  if v_invoice.currency <> v_order.currency or v_order.kind = 'plan' or not exists (
    select 1 from credits.billing_invoice_lines l
    where l.invoice_id = v_invoice.invoice_id and l.quantity = v_order.quantity
      and (l.price_id = v_order.price_id or v_order.price_id is null
        and l.amount = v_order.unit_amount * v_order.quantity)) then
    return credits.refuse_payment(v_order, 'the invoice is not of what was ordered');
  end if;
  return credits.pay(v_order, v_invoice.paid_at, v_invoice.total, v_invoice.net_total);
end
$$;
comment on function credits.apply_invoice_of_order(jsonb) is
  'An invoice without a subscription: pays the order that it was made for, if it is of the same '
  'price and quantity.';
revoke all on function credits.apply_invoice_of_order(jsonb)
  from public, anon, authenticated, service_role;

create function credits.refuse_payment(p_order credits.billing_orders, p_note text)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.set_order_state(p_order.account_id, p_order.id, 'mismatch', p_note);
  perform credits.stop_top_up(p_order.account_id, p_order.id, p_order.created_at, p_note);
  return credits.billing_result('needs_attention', p_note);
end
$$;
comment on function credits.refuse_payment(credits.billing_orders, text) is
  'A payment that is not what was ordered grants nothing and is for a person to look at.';
revoke all on function credits.refuse_payment(credits.billing_orders, text)
  from public, anon, authenticated, service_role;

create function credits.pay(
  p_order credits.billing_orders, p_paid_at timestamptz, p_gross bigint, p_net bigint)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if credits.is_closed(p_order.account_id) then
    return credits.billing_result('needs_attention', 'the account is closed');
  end if;
  return credits.billing_result('applied', null, null, credits.pay_order(
    p_order.account_id, p_order.id, p_paid_at, p_gross, p_net));
end
$$;
comment on function credits.pay(
  credits.billing_orders, timestamptz, bigint, bigint) is
  'Pays an order, unless its account is closed.';
revoke all on function credits.pay(
  credits.billing_orders, timestamptz, bigint, bigint)
  from public, anon, authenticated, service_role;

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

create function credits.apply_refund(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment_id text;
  v_effects jsonb := '[]'::jsonb;
begin
  if p_fact ->> 'credit_note_id' is not null then
    perform credits.keep_credit_note(p_fact);
    for v_payment_id in
      select distinct r.payment_id from credits.billing_refunds r
      where r.refund_id in (select jsonb_array_elements_text(p_fact -> 'refund_ids'))
      order by r.payment_id
    loop
      v_effects := v_effects || coalesce(credits.settle_payment(v_payment_id), '[]'::jsonb);
    end loop;
    return credits.billing_result('applied', null, null, v_effects);
  end if;
  v_payment_id := credits.keep_refund(p_fact);
  v_effects := credits.settle_payment(v_payment_id);
  if v_effects is null then
    return credits.billing_result('waiting', 'it is not known what this payment paid',
      'payment:' || v_payment_id);
  end if;
  return credits.billing_result('applied', null, null, v_effects);
end
$$;
comment on function credits.apply_refund(jsonb) is
  'A refund, or a credit note that says how much of refunds is tax.';
revoke all on function credits.apply_refund(jsonb)
  from public, anon, authenticated, service_role;

create function credits.apply_dispute(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment_id text := credits.keep_dispute(p_fact);
  v_effects jsonb := credits.settle_payment(v_payment_id);
  v_account_id uuid;
begin
  if v_effects is null then
    return credits.billing_result('waiting', 'it is not known what this payment paid',
      'payment:' || v_payment_id);
  end if;
  v_account_id := credits.account_of_payment(v_payment_id);
  if exists (
    select 1 from credits.auto_top_ups a where a.account_id = v_account_id and a.is_enabled) then
    perform credits.switch_top_ups_off(v_account_id, 'a payment was disputed');
    perform credits.tell(v_account_id, 'top_up.stopped',
      jsonb_build_object('reason', 'a payment was disputed'),
      'dispute:' || (p_fact ->> 'dispute_id'));
  end if;
  return credits.billing_result('applied', null, null, v_effects);
end
$$;
comment on function credits.apply_dispute(jsonb) is
  'A dispute, or a warning of one: freezes, takes back or thaws, and ends automatic top-ups.';
revoke all on function credits.apply_dispute(jsonb)
  from public, anon, authenticated, service_role;

create function credits.account_of_payment(p_payment_id text)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(p.account_id, credits.account_of_customer(i.customer_id))
    from credits.billing_payments p
    left join credits.billing_invoices i on i.invoice_id = p.invoice_id
    where p.payment_id = p_payment_id);
end
$$;
comment on function credits.account_of_payment(text) is 'Whose payment it is; null while unknown.';
revoke all on function credits.account_of_payment(text)
  from public, anon, authenticated, service_role;

create function credits.apply_customer(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_customer_id text := p_fact ->> 'customer_id';
  v_at timestamptz := credits.fact_time(p_fact, 'at');
  v_account_id uuid := credits.account_of_customer(v_customer_id);
begin
  if v_account_id is null then
    return credits.billing_result('ignored', 'a customer of no account');
  end if;
  if p_fact ->> 'fact' = 'customer_gone' then
    update credits.billing_customers c
    set deleted_at = least(c.deleted_at, v_at), is_default = false
    where c.customer_id = v_customer_id;
  elsif (p_fact ->> 'card_changed')::boolean then
    perform credits.rearm_top_ups(v_account_id, v_at);
  end if;
  return credits.billing_result('applied');
end
$$;
comment on function credits.apply_customer(jsonb) is
  'A customer changed their card, which re-arms automatic top-ups, or is gone.';
revoke all on function credits.apply_customer(jsonb)
  from public, anon, authenticated, service_role;
