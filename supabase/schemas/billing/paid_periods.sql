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
  -- What is disputed, or was lost, covers nothing after that, and what was given back to begin
  -- another period covers up to there. To give money back otherwise is not to end the
  -- subscription: what was refunded covers as before.
  return (
    with given_back as materialized (
      select g.* from credits.times_given_back(p_subscription_id) g where g.begins_anew)
    select max(least(l.period_end, credits.disputed_from(i.invoice_id), (
      select min(g.period_start) from given_back g
      where g.period_end = l.period_end and g.period_start >= l.period_start
        and g.invoice_id <> i.invoice_id)))
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
    -- An invoice that was paid has mostly no instant of its own: its lines begin with it.
    select max(coalesce(i.proration_at, l.period_start)) from credits.billing_invoices i
    join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id and l.amount >= 0
    join credits.billing_prices b on b.price_id = l.price_id and b.plan_id = p_plan_id
    where i.subscription_id = p_subscription_id and (l.is_proration or i.proration_at is not null)
      and coalesce(i.proration_at, l.period_start) > p_after
      and coalesce(i.proration_at, l.period_start) <= p_until);
end
$$;
comment on function credits.prorated_at(text, text, timestamptz, timestamptz) is
  'The instant that a change of plan was charged from; null where no invoice says so.';
revoke all on function credits.prorated_at(text, text, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.is_about(p_one timestamptz, p_other timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- The clocks of a line and of a subscription may be a moment apart.
  return p_one between p_other - interval '1 minute' and p_other + interval '1 minute';
end
$$;
comment on function credits.is_about(timestamptz, timestamptz) is
  'Whether two times that a provider has told are of the same instant.';
revoke all on function credits.is_about(timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.times_given_back(p_subscription_id text)
returns table (
  invoice_id text, period_start timestamptz, period_end timestamptz, begins_anew boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A change of plan within a period gives back and charges for the same time; what cuts a period
  -- short gives back alone.
  return query
  select l.invoice_id, l.period_start, l.period_end, exists (
    select 1 from credits.billing_invoice_lines n
    where n.invoice_id = l.invoice_id and not n.is_proration
      and credits.is_about(n.period_start, l.period_start))
  from credits.billing_invoices i
  join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id
    and l.is_proration and l.amount <= 0
  join credits.billing_prices b on b.price_id = l.price_id and b.plan_id is not null
  where i.subscription_id = p_subscription_id and not exists (
    select 1 from credits.billing_invoice_lines c
    where c.invoice_id = l.invoice_id and c.line_id <> l.line_id and c.is_proration
      and c.amount >= 0 and (c.period_start, c.period_end) = (l.period_start, l.period_end));
end
$$;
comment on function credits.times_given_back(text) is
  'Which times of a subscription its provider has given back the money for, without charging for '
  'them anew. begins_anew: another period begins there.';
revoke all on function credits.times_given_back(text)
  from public, anon, authenticated, service_role;

create function credits.is_rest_given_back(
  p_subscription_id text, p_before timestamptz, p_at timestamptz, p_begins boolean)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
      select 1 from credits.times_given_back(p_subscription_id) g
      where g.period_start >= p_before and credits.is_about(g.period_start, p_at)
        and g.period_end > p_at and not exists (
          select 1 from credits.billing_invoice_lines l
          where l.invoice_id = g.invoice_id and not l.is_proration and l.period_start = p_before))
    -- A period that begins early counts as paid for once an invoice says so, and for how much.
    or p_begins and not exists (
      select 1 from credits.billing_invoices i
      join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id and not l.is_proration
        and l.period_start > p_before and credits.is_about(l.period_start, p_at)
      join credits.billing_prices b on b.price_id = l.price_id and b.plan_id is not null
      where i.subscription_id = p_subscription_id and i.net_total > 0);
end
$$;
comment on function credits.is_rest_given_back(text, timestamptz, timestamptz, boolean) is
  'Whether a subscription whose period began at p_before was cut short at p_at so that what had '
  'been paid for the rest was given back. p_begins: another period begins there, '
  'not out of a pause.';
revoke all on function credits.is_rest_given_back(text, timestamptz, timestamptz, boolean)
  from public, anon, authenticated, service_role;
