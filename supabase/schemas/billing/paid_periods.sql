-- What a subscription was paid for, from the invoices that are known, and from when on.

create function credits.plan_of_items(
  p_items jsonb, out plan_id text, out quantity integer, out period_start timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select p.id, case when p.per_seat
      then greatest(1, least(coalesce((i ->> 'quantity')::bigint, 1), 1000000)) else 1 end,
    (i ->> 'period_start')::timestamptz
    into plan_id, quantity, period_start
  from jsonb_array_elements(p_items) i
  join credits.billing_prices b on b.price_id = i ->> 'price_id'
  join public.plans p on p.id = b.plan_id
  order by p.rank desc, 2 desc, 3 limit 1;
end
$$;
comment on function credits.plan_of_items(jsonb) is
  'The largest plan that items of a subscription, or lines of an invoice, are of; seats where '
  'the plan is sold by seats.';
revoke all on function credits.plan_of_items(jsonb)
  from public, anon, authenticated, service_role;

create function credits.covered_until_of(p_subscription_id text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    -- What is disputed, or was lost, covers nothing after that. To give money back is not to end
    -- the subscription: what was refunded covers as before.
    select max(least(l.period_end, credits.disputed_from(i.invoice_id)))
    from credits.billing_invoices i
    join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id
    join credits.billing_prices b on b.price_id = l.price_id and b.plan_id is not null
    where i.subscription_id = p_subscription_id and not l.is_proration);
end
$$;
comment on function credits.covered_until_of(text) is
  'Up to when invoices that were paid cover a subscription.';
revoke all on function credits.covered_until_of(text)
  from public, anon, authenticated, service_role;

create function credits.disputed_from(p_invoice_id text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select min(d.opened_at) from credits.billing_payments p
    join credits.billing_disputes d on d.payment_id = p.payment_id and d.rank in (1, 3)
    where p.invoice_id = p_invoice_id);
end
$$;
comment on function credits.disputed_from(text) is
  'Since when the payment of an invoice is disputed, or was until it was lost; null where it '
  'stands.';
revoke all on function credits.disputed_from(text)
  from public, anon, authenticated, service_role;

create function credits.payments_of_invoice(p_invoice_id text)
returns text[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return array(
    select p.payment_id from credits.billing_payments p
    where p.invoice_id = p_invoice_id order by p.payment_id);
end
$$;
comment on function credits.payments_of_invoice(text) is 'The payments that paid an invoice.';
revoke all on function credits.payments_of_invoice(text)
  from public, anon, authenticated, service_role;

create function credits.is_plan_paid(
  p_subscription_id text, p_plan_id text, p_quantity integer, p_at timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from credits.billing_invoices i
    join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id and l.period_end > p_at
    join credits.billing_prices b on b.price_id = l.price_id and b.plan_id = p_plan_id
    join public.plans p on p.id = p_plan_id
    where i.subscription_id = p_subscription_id and l.amount >= 0
      and (not p.per_seat or l.quantity >= p_quantity));
end
$$;
comment on function credits.is_plan_paid(text, text, integer, timestamptz) is
  'Whether a paid invoice has a line for this plan, and as many seats, beyond an instant.';
revoke all on function credits.is_plan_paid(text, text, integer, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.prorated_at(
  p_subscription_id text, p_plan_id text, p_after timestamptz, p_until timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select max(i.proration_at) from credits.billing_invoices i
    where i.subscription_id = p_subscription_id and i.proration_at > p_after
      and i.proration_at <= p_until and exists (
        select 1 from credits.billing_invoice_lines l
        join credits.billing_prices b on b.price_id = l.price_id
        where l.invoice_id = i.invoice_id and b.plan_id = p_plan_id));
end
$$;
comment on function credits.prorated_at(text, text, timestamptz, timestamptz) is
  'The instant that a change of plan was charged from; null where no invoice says so.';
revoke all on function credits.prorated_at(text, text, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;
