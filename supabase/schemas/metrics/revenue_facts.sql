-- Money as the metrics see it: what was paid, given back and not yet earned, in the smallest unit
-- of its currency, tax excluded. Purchases are earned with their credits, subscriptions with the
-- time that they pay for; so what was deferred before, and paid, less what was given back and
-- earned, is what is deferred now, to the unit.

create function credits.minor_units(p_currency text)
returns integer
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case
    when p_currency in ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'ugx',
      'vnd', 'vuv', 'xaf', 'xof', 'xpf') then 1
    when p_currency in ('bhd', 'jod', 'kwd', 'omr', 'tnd') then 1000
    else 100 end;
end
$$;
comment on function credits.minor_units(text) is
  'How many of its smallest units a currency has to the whole.';
revoke all on function credits.minor_units(text)
  from public, anon, authenticated, service_role;

create function credits.purchases(p_livemode boolean, p_include_test boolean)
returns table (account_id uuid, grant_id uuid, credit_type text, currency text, paid_at timestamptz,
  paid numeric, credits bigint, is_stock boolean)
language plpgsql
stable
rows 10000
security invoker
set search_path = ''
as $$
begin
  return query
  select g.account_id, g.id, g.credit_type, g.currency, coalesce(o.paid_at, g.created_at),
    g.paid_amount::numeric, g.amount, t.kind = 'credit'
  from public.credit_grants g
  join credits.credit_types t on t.id = g.credit_type
  join credits.accounts a on a.account_id = g.account_id and (p_include_test or not a.is_test)
  left join credits.billing_orders o on o.account_id = g.account_id and o.grant_id = g.id
  left join credits.billing_prices b on b.price_id = o.price_id
  -- What was sold otherwise has no mode.
  where g.paid_amount > 0 and coalesce(b.livemode, p_livemode) = p_livemode;
end
$$;
comment on function credits.purchases(boolean, boolean) is
  'Grants that were paid for, with when and how much. Places (limits) are no stock.';
revoke all on function credits.purchases(boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.purchase_facts(p_livemode boolean, p_include_test boolean)
returns table (at timestamptz, currency text, credit_type text, paid numeric, deferred numeric,
  sold bigint, spent bigint, owed bigint)
language plpgsql
stable
rows 100000
security invoker
set search_path = ''
as $$
begin
  return query
  with bought as materialized (
    select * from credits.purchases(p_livemode, p_include_test))
  select p.paid_at, p.currency, p.credit_type, p.paid, case when p.is_stock then p.paid else 0 end,
    p.credits, 0::bigint, case when p.is_stock then p.credits else 0 end
  from bought p
  union all
  -- A purchase that was told of late has its credits from when it was paid.
  select greatest(t.created_at, p.paid_at), p.currency, p.credit_type, 0::numeric,
    p.paid * t.amount / p.credits, 0::bigint,
    case when t.kind in ('consume', 'capture', 'refund') then -t.amount else 0 end, t.amount
  from bought p
  join public.credit_transactions t on t.account_id = p.account_id
    and t.credit_type = p.credit_type and t.grant_id = p.grant_id
  where p.is_stock and t.kind <> 'grant';
end
$$;
comment on function credits.purchase_facts(boolean, boolean) is
  'What purchases brought in, and each use of their credits with its part of the price.';
revoke all on function credits.purchase_facts(boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.money_back(p_livemode boolean, p_include_test boolean)
returns table (at timestamptz, currency text, invoice_id text, net numeric)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with taken as (
    select r.happened_at, r.payment_id, r.amount, r.currency, false as is_lost,
      n.total as note_total, n.net_total as note_net
    from credits.billing_refunds r
    left join lateral (
      select c.total, c.net_total from credits.billing_credit_notes c
      where c.refund_ids @> array[r.refund_id] and not c.is_voided
      order by c.credit_note_id limit 1) n on true
    where r.rank < 3
    union all
    select d.happened_at, d.payment_id, d.amount, d.currency, true, null, null
    from credits.billing_disputes d where d.rank = 3)
  select t.happened_at, coalesce(o.currency, i.currency), i.invoice_id, case
    when t.currency <> coalesce(o.currency, i.currency) then coalesce(o.paid_net, i.net_total)
    when t.note_total = 0 then 0
    when t.note_total > 0 then t.amount::numeric * t.note_net / t.note_total
    else t.amount::numeric * coalesce(o.paid_net, i.net_total)
      / nullif(coalesce(o.paid_amount, i.total), 0) end
  from taken t
  join credits.billing_payments p on p.payment_id = t.payment_id
  left join credits.billing_orders o on o.account_id = p.account_id and o.id = p.order_id
  left join credits.billing_prices b on b.price_id = o.price_id
  left join credits.billing_invoices i on i.invoice_id = p.invoice_id
  left join credits.billing_customers c on c.customer_id = i.customer_id
  join credits.accounts a on a.account_id = coalesce(o.account_id, c.account_id)
    and (p_include_test or not a.is_test)
  where coalesce(b.livemode, c.livemode, p_livemode) = p_livemode
    -- As credits.share_taken_back counts what is in another currency.
    and (t.is_lost or coalesce(t.currency = coalesce(o.currency, i.currency), true))
    and (o.credits is not null or i.subscription_id is not null);
end
$$;
comment on function credits.money_back(boolean, boolean) is
  'Refunds that stand and disputes that were lost, tax excluded; of subscriptions by invoice.';
revoke all on function credits.money_back(boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.subscription_lines(p_livemode boolean, p_include_test boolean)
returns table (invoice_id text, currency text, paid_at timestamptz, net numeric,
  period_start timestamptz, period_end timestamptz)
language plpgsql
stable
rows 10000
security invoker
set search_path = ''
as $$
begin
  return query
  -- The lines share what the invoice came to after discounts.
  select l.invoice_id, i.currency, i.paid_at,
    case when x.amount <> 0 then l.amount::numeric * i.net_total / x.amount
      else i.net_total::numeric / x.lines end,
    l.period_start, l.period_end
  from credits.billing_invoices i
  join credits.billing_customers c on c.customer_id = i.customer_id and c.livemode = p_livemode
  join credits.accounts a on a.account_id = c.account_id and (p_include_test or not a.is_test)
  join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id
  cross join lateral (
    select sum(y.amount) as amount, count(*) as lines
    from credits.billing_invoice_lines y where y.invoice_id = i.invoice_id) x
  where i.subscription_id is not null;
end
$$;
comment on function credits.subscription_lines(boolean, boolean) is
  'What paid invoices of subscriptions came to, and the time that each line pays for.';
revoke all on function credits.subscription_lines(boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.deferred_lines(
  p_at timestamptz[], p_livemode boolean, p_include_test boolean)
returns table (nth integer, currency text, deferred numeric)
language plpgsql
stable
rows 1000
security invoker
set search_path = ''
as $$
begin
  return query
  with lines as materialized (
    select * from credits.subscription_lines(p_livemode, p_include_test) l
    where l.period_end > l.period_start),
  back as materialized (
    select b.invoice_id, b.at, b.net from credits.money_back(p_livemode, p_include_test) b
    where b.invoice_id is not null)
  select t.nth::integer, l.currency, sum(l.net
    * extract(epoch from l.period_end - greatest(t.at, l.period_start))
    / extract(epoch from l.period_end - l.period_start)
    * case when b.invoice_id is null then 1 else credits.share_kept(l.invoice_id, (
        select sum(y.net) from back y where y.invoice_id = l.invoice_id and y.at < t.at)) end)
  from unnest(p_at) with ordinality t(at, nth)
  join lines l on l.paid_at < t.at and l.period_end > t.at
  left join (select distinct y.invoice_id from back y) b on b.invoice_id = l.invoice_id
  group by 1, 2;
end
$$;
comment on function credits.deferred_lines(timestamptz[], boolean, boolean) is
  'What of paid invoices is for time after each of some instants.';
revoke all on function credits.deferred_lines(timestamptz[], boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.share_kept(p_invoice_id text, p_back numeric)
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select case when i.net_total > 0
      then greatest(0, 1 - coalesce(p_back, 0) / i.net_total) else 1 end
    from credits.billing_invoices i where i.invoice_id = p_invoice_id);
end
$$;
comment on function credits.share_kept(text, numeric) is
  'Which share of an invoice was not given back.';
revoke all on function credits.share_kept(text, numeric)
  from public, anon, authenticated, service_role;

create function credits.mrr_states(p_livemode boolean, p_include_test boolean)
returns table (subscription_id text, account_id uuid, currency text, at timestamptz, n bigint,
  monthly bigint)
language plpgsql
stable
rows 10000
security invoker
set search_path = ''
as $$
begin
  return query
  with told as (
    select s.*, c.account_id as account, row_number() over w as nth,
      lead(s.happened_at) over w as next_at,
      bool_or(s.rank = 2) over (w rows between unbounded preceding and 1 preceding) as was_over
    from credits.billing_snapshots s
    join credits.billing_customers c on c.customer_id = s.customer_id and c.livemode = p_livemode
    join credits.accounts a on a.account_id = c.account_id and (p_include_test or not a.is_test)
    window w as (partition by s.subscription_id
      order by s.happened_at, s.rank, s.period_end, s.event_id)),
  priced as (
    select t.*, max(m.currency) over (partition by t.subscription_id) as priced_in,
      case when t.status in ('active', 'past_due')
        then coalesce(m.monthly, 0) else 0 end as monthly_amount
    from told t cross join lateral credits.monthly_of_items(t.items) m
    where t.was_over is not true)
  select p.subscription_id, p.account, p.priced_in, p.happened_at, 2 * p.nth, p.monthly_amount
  from priced p
  union all
  -- A cancellation to come comes by itself.
  select p.subscription_id, p.account, p.priced_in, p.cancel_at, 2 * p.nth + 1, 0::bigint
  from priced p
  where p.cancel_at > p.happened_at and coalesce(p.cancel_at < p.next_at, true);
end
$$;
comment on function credits.mrr_states(boolean, boolean) is
  'What subscriptions are worth by the month, from each of some instants on.';
revoke all on function credits.mrr_states(boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.monthly_of_items(p_items jsonb, out currency text, out monthly bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select max(b.currency), sum(round(coalesce(b.unit_amount,
      case when b.billing_interval = 'month' then p.price_cents end, 0)
    * greatest(coalesce((i ->> 'quantity')::numeric, 1), 0)
    / case b.billing_interval when 'year' then 12 else 1 end))::bigint
    into currency, monthly
  from jsonb_array_elements(p_items) i
  join credits.billing_prices b on b.price_id = i ->> 'price_id' and b.plan_id is not null
  join public.plans p on p.id = b.plan_id;
end
$$;
comment on function credits.monthly_of_items(jsonb) is
  'What the plans among the items of a subscription cost by the month, at their list price.';
revoke all on function credits.monthly_of_items(jsonb)
  from public, anon, authenticated, service_role;

create function credits.mrr_moves(
  p_starts timestamptz[], p_until timestamptz, p_livemode boolean, p_include_test boolean)
returns table (nth integer, currency text, before_amount numeric, after_amount numeric)
language plpgsql
stable
rows 1000
security invoker
set search_path = ''
as $$
begin
  return query
  -- nth 0 is all that was before the window.
  with changes as (
    select s.account_id, s.currency, s.at, s.monthly - coalesce(lag(s.monthly) over (
      partition by s.subscription_id order by s.at, s.n), 0) as change
    from credits.mrr_states(p_livemode, p_include_test) s
    where s.currency is not null and s.at < p_until),
  moved as (
    select width_bucket(c.at, p_starts) as nth, c.account_id, c.currency, sum(c.change) as change
    from changes c group by 1, 2, 3)
  select m.nth, m.currency, m.amount - m.change, m.amount
  from (
    select x.nth, x.currency, x.change, sum(x.change) over (
      partition by x.account_id, x.currency order by x.nth) as amount
    from moved x) m;
end
$$;
comment on function credits.mrr_moves(timestamptz[], timestamptz, boolean, boolean) is
  'What each account paid by the month before and after the buckets in which that changed.';
revoke all on function credits.mrr_moves(timestamptz[], timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;
