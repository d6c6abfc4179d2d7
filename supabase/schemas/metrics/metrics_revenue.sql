-- edge: result=Revenue callers=service_role repeatable slow
--   What selling brings: paid, given back, earned and deferred money, MRR and churn, per bucket.
--
--   Amounts are in the smallest unit of ``currency``, tax excluded. ``livemode`` says whose money
--   is counted, live or test; unless said, live where something is sold live.
create function public.metrics_revenue(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'month', p_time_zone text default 'UTC',
  p_livemode boolean default null, p_include_test boolean default false,
  p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_livemode boolean := credits.sold_mode(p_livemode);
  v_starts timestamptz[];
  v_rows jsonb;
  v_purchases jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone, null);
  select array_agg(b.starts_at order by b.starts_at) into v_starts
  from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) b;

  select jsonb_agg(credits.revenue_row(r) || jsonb_build_object('bucket', b.bucket, 'at', b.ends_at)
    order by b.bucket, r.currency) into v_rows
  from credits.revenue_rows(v_starts, w.to_at, v_livemode, p_include_test,
    p_raw or not w.hourly) r
  join (select m.bucket, m.ends_at, row_number() over (order by m.starts_at) as nth
    from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) m) b
      on b.nth = r.nth;

  select jsonb_agg(to_jsonb(r) - 'nth'::text - 'deferred_before'::text
      || jsonb_build_object('bucket', b.bucket, 'at', b.ends_at,
        'per_credit', trim_scale(round(r.paid::numeric / nullif(r.sold, 0), 6))::text)
    order by b.bucket, r.currency, r.credit_type) into v_purchases
  from credits.revenue_of_purchases(v_starts, w.to_at, v_livemode, p_include_test) r
  join (select m.bucket, m.ends_at, row_number() over (order by m.starts_at) as nth
    from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) m) b
      on b.nth = r.nth;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows)
    || jsonb_build_object('livemode', v_livemode, 'purchases', coalesce(v_purchases, '[]'));
end
$$;
comment on function public.metrics_revenue(
  timestamptz, timestamptz, text, text, boolean, boolean, boolean) is
  'What selling brings, per bucket and currency, in its smallest unit, tax excluded: paid, given '
  'back, earned, deferred (deferred before + paid - refunded - earned = deferred), MRR and its '
  'moves, churn, revenue per credit, margin. purchases: per credit type.';
revoke all on function public.metrics_revenue(
  timestamptz, timestamptz, text, text, boolean, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_revenue(
  timestamptz, timestamptz, text, text, boolean, boolean, boolean) to service_role;

create function credits.revenue_of_purchases(
  p_starts timestamptz[], p_until timestamptz, p_livemode boolean, p_include_test boolean)
returns table (nth integer, currency text, credit_type text, paid bigint, sold bigint,
  spent bigint, owed bigint, deferred_before bigint, deferred bigint)
language plpgsql
stable
rows 1000
security invoker
set search_path = ''
as $$
begin
  return query
  with moved as (
    select width_bucket(f.at, p_starts) as nth, f.currency, f.credit_type, sum(f.paid) as paid,
      sum(f.deferred) as deferred, sum(f.sold) as sold, sum(f.spent) as spent, sum(f.owed) as owed
    from credits.purchase_facts(p_livemode, p_include_test) f
    where f.at < p_until group by 1, 2, 3),
  grid as (
    select n.nth, k.currency, k.credit_type, coalesce(m.paid, 0) as paid,
      coalesce(m.sold, 0) as sold, coalesce(m.spent, 0) as spent,
      coalesce(m.deferred, 0) as deferred, coalesce(m.owed, 0) as owed
    from generate_series(0, array_length(p_starts, 1)) n(nth)
    cross join (select distinct x.currency, x.credit_type from moved x) k
    left join moved m on m.nth = n.nth and m.currency = k.currency
      and m.credit_type = k.credit_type)
  select g.nth, g.currency, g.credit_type, g.paid::bigint, g.sold::bigint, g.spent::bigint,
    (sum(g.owed) over w)::bigint, round(sum(g.deferred) over w - g.deferred)::bigint,
    round(sum(g.deferred) over w)::bigint
  from grid g
  window w as (partition by g.currency, g.credit_type order by g.nth)
  order by g.nth, g.currency, g.credit_type;
end
$$;
comment on function credits.revenue_of_purchases(
  timestamptz[], timestamptz, boolean, boolean) is
  'Credits sold, spent of what was sold, and still owed, with the money that was paid for them and '
  'is deferred, per bucket and credit type.';
revoke all on function credits.revenue_of_purchases(
  timestamptz[], timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create type credits.revenue_row as (
  nth integer,
  currency text,
  paid_subscriptions bigint,
  paid_purchases bigint,
  refunded bigint,
  deferred_before bigint,
  deferred_subscriptions bigint,
  deferred_purchases bigint,
  mrr_before bigint,
  mrr_new bigint,
  mrr_expansion bigint,
  mrr_contraction bigint,
  mrr_churned bigint,
  payers_before bigint,
  payers_new bigint,
  payers_churned bigint,
  credits_spent bigint,
  provider_cost bigint,
  unknown_costs bigint
);
comment on type credits.revenue_row is
  'What selling brought in a bucket and a currency: the figures that others follow from.';

create function credits.revenue_row(p_row credits.revenue_row)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_deferred bigint := p_row.deferred_subscriptions + p_row.deferred_purchases;
  v_earned bigint := p_row.deferred_before + p_row.paid_subscriptions + p_row.paid_purchases
    - p_row.refunded - v_deferred;
begin
  return to_jsonb(p_row) - 'nth'::text || jsonb_build_object(
    'minor_units', credits.minor_units(p_row.currency),
    'paid', p_row.paid_subscriptions + p_row.paid_purchases, 'earned', v_earned,
    'deferred', v_deferred,
    'mrr', p_row.mrr_before + p_row.mrr_new + p_row.mrr_expansion - p_row.mrr_contraction
      - p_row.mrr_churned,
    'payers', p_row.payers_before + p_row.payers_new - p_row.payers_churned,
    'churn', round(p_row.payers_churned::numeric / nullif(p_row.payers_before, 0), 4),
    'mrr_churn', round((p_row.mrr_churned + p_row.mrr_contraction)::numeric
      / nullif(p_row.mrr_before, 0), 4),
    'per_credit', trim_scale(round(v_earned::numeric / nullif(p_row.credits_spent, 0), 6))::text,
    'margin', case when p_row.unknown_costs = 0 and p_row.provider_cost > 0 and v_earned > 0
      then round(1 - p_row.provider_cost::numeric / v_earned, 4) end);
end
$$;
comment on function credits.revenue_row(credits.revenue_row) is
  'A row of metrics_revenue, with what follows from its figures.';
revoke all on function credits.revenue_row(credits.revenue_row)
  from public, anon, authenticated, service_role;

create function credits.revenue_rows(
  p_starts timestamptz[], p_until timestamptz, p_livemode boolean, p_include_test boolean,
  p_raw boolean)
returns setof credits.revenue_row
language plpgsql
stable
rows 1000
security invoker
set search_path = ''
as $$
begin
  return query
  with figures as (
    select * from credits.money_by_bucket(p_starts, p_until, p_livemode, p_include_test)),
  mrr as (
    select * from credits.mrr_by_bucket(p_starts, p_until, p_livemode, p_include_test)),
  costs as (
    select * from credits.costs_by_bucket(p_starts, p_until, p_include_test)),
  spent as (
    select width_bucket(f.at, p_starts) as nth, -sum(f.amount)::bigint as credits
    from credits.flow_facts(p_starts[1], p_until, p_raw, p_include_test) f
    join credits.credit_types t on t.id = f.credit_type and t.kind = 'credit'
    where f.flow in ('spent', 'refunded') group by 1),
  keys as (
    select n.nth, k.currency
    from generate_series(1, array_length(p_starts, 1)) n(nth)
    cross join (select f.currency from figures f union select m.currency from mrr m) k)
  select k.nth, k.currency, coalesce(f.paid_subscriptions, 0), coalesce(f.paid_purchases, 0),
    coalesce(f.refunded, 0), coalesce(f.deferred_before, 0),
    coalesce(f.deferred_subscriptions, 0), coalesce(f.deferred_purchases, 0),
    coalesce(m.mrr_before, 0), coalesce(m.mrr_new, 0), coalesce(m.mrr_expansion, 0),
    coalesce(m.mrr_contraction, 0), coalesce(m.mrr_churned, 0), coalesce(m.payers_before, 0),
    coalesce(m.payers_new, 0), coalesce(m.payers_churned, 0), coalesce(s.credits, 0),
    coalesce(c.provider_cost, 0), coalesce(c.unknown_costs, 0)
  from keys k
  left join figures f on f.nth = k.nth and f.currency = k.currency
  left join mrr m on m.nth = k.nth and m.currency = k.currency
  left join costs c on c.nth = k.nth and c.currency = k.currency
  left join spent s on s.nth = k.nth;
end
$$;
comment on function credits.revenue_rows(
  timestamptz[], timestamptz, boolean, boolean, boolean) is
  'What selling brought, per bucket and currency.';
revoke all on function credits.revenue_rows(timestamptz[], timestamptz, boolean, boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.money_by_bucket(
  p_starts timestamptz[], p_until timestamptz, p_livemode boolean, p_include_test boolean)
returns table (nth integer, currency text, paid_subscriptions bigint, paid_purchases bigint,
  refunded bigint, deferred_before bigint, deferred_subscriptions bigint,
  deferred_purchases bigint)
language plpgsql
stable
rows 1000
security invoker
set search_path = ''
as $$
begin
  return query
  with moved as (
    select r.nth, r.currency, 0::numeric as subscriptions, r.paid::numeric as purchases,
      0::numeric as back, r.deferred_before::numeric as before, 0::numeric as lines,
      r.deferred::numeric as stock
    from credits.revenue_of_purchases(p_starts, p_until, p_livemode, p_include_test) r
    where r.nth > 0
    union all
    select width_bucket(l.paid_at, p_starts), l.currency, l.net, 0, 0, 0, 0, 0
    from credits.subscription_lines(p_livemode, p_include_test) l
    where l.paid_at >= p_starts[1] and l.paid_at < p_until
    union all
    select width_bucket(b.at, p_starts), b.currency, 0, 0, b.net, 0, 0, 0
    from credits.money_back(p_livemode, p_include_test) b
    where b.at >= p_starts[1] and b.at < p_until
    union all
    -- The end of a bucket is the beginning of the next.
    select d.nth - n, d.currency, 0, 0, 0, (1 - n) * round(d.deferred), n * round(d.deferred), 0
    from credits.deferred_lines(p_starts || p_until, p_livemode, p_include_test) d
    cross join generate_series(0, 1) n)
  select m.nth, m.currency, round(sum(m.subscriptions))::bigint, sum(m.purchases)::bigint,
    round(sum(m.back))::bigint, sum(m.before)::bigint, sum(m.lines)::bigint, sum(m.stock)::bigint
  from moved m where m.nth between 1 and array_length(p_starts, 1)
  group by 1, 2;
end
$$;
comment on function credits.money_by_bucket(
  timestamptz[], timestamptz, boolean, boolean) is
  'What was paid and given back in each bucket, and deferred at its beginning and its end.';
revoke all on function credits.money_by_bucket(timestamptz[], timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.mrr_by_bucket(
  p_starts timestamptz[], p_until timestamptz, p_livemode boolean, p_include_test boolean)
returns table (nth integer, currency text, mrr_before bigint, mrr_new bigint,
  mrr_expansion bigint, mrr_contraction bigint, mrr_churned bigint, payers_before bigint,
  payers_new bigint, payers_churned bigint)
language plpgsql
stable
rows 1000
security invoker
set search_path = ''
as $$
begin
  return query
  with moved as (
    select m.nth, m.currency, sum(m.after_amount - m.before_amount) as change,
      sum(m.after_amount) filter (where m.before_amount = 0) as gained,
      sum(m.after_amount - m.before_amount) filter (
        where m.before_amount > 0 and m.after_amount > m.before_amount) as more,
      sum(m.before_amount - m.after_amount) filter (
        where m.after_amount > 0 and m.after_amount < m.before_amount) as less,
      sum(m.before_amount) filter (where m.after_amount = 0) as lost,
      count(*) filter (where m.before_amount = 0 and m.after_amount > 0) as joined,
      count(*) filter (where m.before_amount > 0 and m.after_amount = 0) as gone
    from credits.mrr_moves(p_starts, p_until, p_livemode, p_include_test) m
    group by 1, 2),
  grid as (
    select n.nth, k.currency, coalesce(m.change, 0) as change, coalesce(m.gained, 0) as gained,
      coalesce(m.more, 0) as more, coalesce(m.less, 0) as less, coalesce(m.lost, 0) as lost,
      coalesce(m.joined, 0) as joined, coalesce(m.gone, 0) as gone
    from generate_series(0, array_length(p_starts, 1)) n(nth)
    cross join (select distinct x.currency from moved x) k
    left join moved m on m.nth = n.nth and m.currency = k.currency)
  select g.nth, g.currency, (sum(g.change) over w - g.change)::bigint, g.gained::bigint,
    g.more::bigint, g.less::bigint, g.lost::bigint,
    (sum(g.joined - g.gone) over w - g.joined + g.gone)::bigint, g.joined, g.gone
  from grid g
  window w as (partition by g.currency order by g.nth);
end
$$;
comment on function credits.mrr_by_bucket(
  timestamptz[], timestamptz, boolean, boolean) is
  'What subscriptions are worth by the month at the beginning of each bucket, what moved it, and '
  'how many accounts pay.';
revoke all on function credits.mrr_by_bucket(timestamptz[], timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.costs_by_bucket(
  p_starts timestamptz[], p_until timestamptz, p_include_test boolean)
returns table (nth integer, currency text, provider_cost bigint, unknown_costs bigint)
language plpgsql
stable
rows 1000
security invoker
set search_path = ''
as $$
begin
  return query
  select width_bucket(c.created_at, p_starts), c.currency,
    round(sum(c.provider_nano) * credits.minor_units(c.currency) / 1000000000)::bigint,
    count(*) filter (where not c.is_complete)
  from credits.operation_costs c
  join credits.accounts a on a.account_id = c.account_id and (p_include_test or not a.is_test)
  where c.created_at >= p_starts[1] and c.created_at < p_until
  group by 1, 2;
end
$$;
comment on function credits.costs_by_bucket(timestamptz[], timestamptz, boolean) is
  'What providers charged for priced operations, per bucket, and of how many that is not known.';
revoke all on function credits.costs_by_bucket(timestamptz[], timestamptz, boolean)
  from public, anon, authenticated, service_role;
