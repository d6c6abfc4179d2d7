-- edge: result=BillingFindings callers=service_role repeatable slow
--   What does not agree in what was sold: paid without a grant, a grant without a payment, periods
--   that no payment covers, subscriptions that go on though all was given back, and orders and
--   events that hang.
--
--   ``livemode`` None is both modes.
create function public.reconcile_billing(
  p_livemode boolean default null, p_limit integer default 100)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  perform credits.check_billing_limit(p_limit);
  return jsonb_build_object('success', true, 'code', 'ok', 'findings', (
    select coalesce(jsonb_agg(to_jsonb(f)), '[]') from (
      select x.* from credits.billing_findings(p_livemode) x
      order by x.finding, x.since, x.id limit p_limit) f));
end
$$;
comment on function public.reconcile_billing(boolean, integer) is
  'What does not agree in what was sold: paid_without_grant, grant_without_payment, uncovered, '
  'refunded (and not canceled), order_hangs, order_mismatch, waiting and needs_attention.';
revoke all on function public.reconcile_billing(boolean, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.reconcile_billing(boolean, integer) to service_role;

create function credits.billing_findings(p_livemode boolean)
returns table (finding text, id text, account_id uuid, since timestamptz, note text)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select 'paid_without_grant', o.id::text, o.account_id, o.paid_at, o.pack_id
  from credits.billing_orders o
  where o.state = 'paid' and o.credits is not null and o.grant_id is null
  union all
  select 'grant_without_payment', g.id::text, g.account_id, g.created_at, g.description
  from public.credit_grants g
  where g.metadata ? 'order_id' and g.source = 'top_up' and not exists (
    select 1 from credits.billing_orders o
    where o.account_id = g.account_id and o.grant_id = g.id and o.state = 'paid')
  union all
  select 'uncovered', u.subscription_id, u.account_id, u.since, u.plan_id
  from credits.uncovered_subscriptions(p_livemode) u
  union all
  select 'refunded', r.subscription_id, r.account_id, r.since, r.invoice_id
  from credits.refunded_subscriptions(p_livemode) r
  union all
  select 'order_hangs', o.id::text, o.account_id, o.created_at, o.state
  from credits.billing_orders o
  where o.state in ('open', 'pending') and o.kind = 'auto_top_up'
    and o.created_at < credits.account_time(o.account_id) - interval '1 day'
  union all
  select 'order_mismatch', o.id::text, o.account_id, o.created_at, o.note
  from credits.billing_orders o where o.state = 'mismatch'
  union all
  select 'event_' || b.outcome, b.event_id, null::uuid, b.received_at, b.note
  from credits.billing_inbox b
  where b.outcome in ('waiting', 'needs_attention')
    and (p_livemode is null or b.livemode = p_livemode);
end
$$;
comment on function credits.billing_findings(boolean) is
  'All that does not agree in what was sold, one row each.';
revoke all on function credits.billing_findings(boolean)
  from public, anon, authenticated, service_role;

create function credits.uncovered_subscriptions(p_livemode boolean default null)
returns table (account_id uuid, subscription_id text, plan_id text, since timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select c.account_id, s.subscription_id, l.plan_id, coalesce(l.covered_until, l.period_start)
  from credits.subscriptions b
  join credits.billing_customers c on c.account_id = b.account_id
  join (select distinct x.customer_id, x.subscription_id from credits.billing_snapshots x) s
    on s.customer_id = c.customer_id
  cross join lateral (
    select y.* from credits.subscription_course(s.subscription_id) y
    where not y.is_failure order by y.n desc limit 1) l
  where b.is_managed and coalesce(b.covered_until < credits.account_time(b.account_id), true)
    and l.status = 'active' and (p_livemode is null or c.livemode = p_livemode)
    and coalesce(l.covered_until, l.period_start)
      < credits.account_time(c.account_id) - interval '1 day';
end
$$;
comment on function credits.uncovered_subscriptions(boolean) is
  'Active subscriptions whose period no payment has covered for a day: webhooks may be lost.';
revoke all on function credits.uncovered_subscriptions(boolean)
  from public, anon, authenticated, service_role;

create function credits.refunded_subscriptions(p_livemode boolean)
returns table (account_id uuid, subscription_id text, invoice_id text, since timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select c.account_id, i.subscription_id, i.invoice_id, credits.refunded_from(i.invoice_id)
  from credits.billing_invoices i
  join credits.billing_customers c on c.customer_id = i.customer_id
  cross join lateral (
    select y.* from credits.subscription_course(i.subscription_id) y
    where not y.is_failure order by y.n desc limit 1) l
  where i.invoice_id in (
      select p.invoice_id from credits.billing_refunds r
      join credits.billing_payments p on p.payment_id = r.payment_id
      where p.invoice_id is not null)
    and (p_livemode is null or c.livemode = p_livemode)
    and credits.is_living_status(l.status)
    and l.cancel_at is null
    and (select max(x.period_end) from credits.billing_invoice_lines x
      where x.invoice_id = i.invoice_id) > credits.account_time(c.account_id)
    and credits.refunded_from(i.invoice_id) is not null;
end
$$;
comment on function credits.refunded_subscriptions(boolean) is
  'Subscriptions that go on to be credited though all that was paid for their period was given '
  'back: to end one is an act of its own.';
revoke all on function credits.refunded_subscriptions(boolean)
  from public, anon, authenticated, service_role;

create function credits.refunded_from(p_invoice_id text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select min(r.given_back_at) from credits.billing_payments p
    join credits.billing_refunds r on r.payment_id = p.payment_id and r.rank < 3
    join credits.billing_invoices i on i.invoice_id = p.invoice_id
    where p.invoice_id = p_invoice_id and round(credits.share_refunded(
      credits.payments_of_invoice(p_invoice_id), i.currency, i.total, i.net_total, '-infinity',
      r.given_back_at), 12) >= 1);
end
$$;
comment on function credits.refunded_from(text) is
  'Since when all of what an invoice came to is given back, tax excluded; null where it is not.';
revoke all on function credits.refunded_from(text)
  from public, anon, authenticated, service_role;
