-- An invoice was paid: of a subscription, or of an order.

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
