create function credits.usage_facts(
  p_by text, p_metadata_key text, p_since timestamptz, p_until timestamptz, p_time_zone text,
  p_raw_hours boolean, p_raw_days boolean,
  p_include_test boolean)
returns table (at timestamptz, value text, credit_type text, plan_id text, spent bigint,
  operations bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_by in ('cohort', 'metadata', 'actor') then
    return query
    select f.at, f.value, f.credit_type, f.plan_id, f.spent, f.operations
    from credits.segment_facts(case p_by when 'cohort' then 'cohort'
      else 'metadata:' || coalesce(p_metadata_key, 'actor') end,
      p_since, p_until, p_raw_days, p_include_test) f;
  else
    return query
    select f.at, case p_by when 'plan' then f.plan_id when 'credit_type' then f.credit_type
      when 'source' then f.source
        when 'weekday' then extract(isodow from f.at at time zone p_time_zone)::text
        else extract(hour from f.at at time zone p_time_zone)::text end,
      f.credit_type, f.plan_id, -f.amount, f.operations
    from credits.flow_facts(p_since, p_until, p_raw_hours, p_include_test) f where f.flow = 'spent';
  end if;
end
$$;
comment on function credits.usage_facts(text, text, timestamptz, timestamptz, text, boolean,
  boolean, boolean) is
  'What was spent in a window, with the value of the segment that it belongs to.';
revoke all on function credits.usage_facts(text, text, timestamptz, timestamptz, text, boolean,
  boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.top_accounts(
  p_from timestamptz, p_to timestamptz, p_plan text, p_credit_type text, p_limit integer,
  p_raw boolean, p_raw_days boolean,
  p_include_test boolean)
returns table (at timestamptz, value text, spent bigint, operations bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_inner record;
  v_days record;
  v_top uuid[];
  v_first date;
  v_last date;
  v_first_month date;
  v_last_month date;
begin
  -- Who spent most is a question to the window as a whole, so it is read by months and days
  -- whatever the buckets are.
  select * into v_inner from credits.inner_window(p_from, p_to, 'day', p_raw);
  v_first := (v_inner.from_at at time zone 'UTC')::date;
  v_last := (v_inner.to_at at time zone 'UTC')::date;
  -- From the nearest month on, to the nearest one: its days outside the window are taken off, those
  -- it lacks are added.
  v_first_month := date_trunc('month', v_first + 15)::date;
  v_last_month := date_trunc('month', v_last + 15)::date;
  if not exists (select 1 from credits.hourly_flows h where h.hour >= v_inner.to_at) then
    v_last_month := date_trunc('month', v_last::timestamp - interval '1 day'
      + interval '1 month')::date;
  end if;
  if v_first_month >= v_last_month or v_first = v_last then
    v_first_month := v_last;
    v_last_month := v_last;
  end if;
  select array(
    select x.account_id
    from (
      select m.account_id, m.spent from credits.monthly_accounts m
      where m.month >= v_first_month and m.month < v_last_month
        and (p_plan is null or m.plan_id = p_plan) and (p_credit_type is null
          or m.credit_type = p_credit_type)
      union all
      select d.account_id, case when v_first_month < v_first then -d.spent else d.spent end
        from credits.daily_accounts d
      where d.day >= least(v_first, v_first_month) and d.day < greatest(v_first, v_first_month)
        and (p_plan is null or d.plan_id = p_plan) and (p_credit_type is null
          or d.credit_type = p_credit_type)
      union all
      select d.account_id, case when v_last < v_last_month then -d.spent else d.spent end
        from credits.daily_accounts d
      where d.day >= least(v_last, v_last_month) and d.day < greatest(v_last, v_last_month)
        and (p_plan is null or d.plan_id = p_plan) and (p_credit_type is null
          or d.credit_type = p_credit_type)
      union all
      select f.account_id, f.spent from credits.spends f
      where f.created_at >= p_from and f.created_at < p_to and (p_include_test or not f.is_test)
        and (not f.is_rolled_up or f.created_at < v_inner.from_at or f.created_at >= v_inner.to_at)
        and (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
          or f.credit_type = p_credit_type)
    ) x
    group by x.account_id having sum(x.spent) > 0
    order by sum(x.spent) desc, x.account_id limit p_limit) into v_top;

  select * into v_days from credits.inner_window(p_from, p_to, 'day', p_raw_days);
  return query
  select d.day::timestamp at time zone 'UTC', d.account_id::text, d.spent, d.operations
  from credits.daily_accounts d
  where d.account_id = any (v_top)
    and d.day >= (v_days.from_at at time zone 'UTC')::date
      and d.day < (v_days.to_at at time zone 'UTC')::date
    and v_days.from_at < v_days.to_at
    and (p_plan is null or d.plan_id = p_plan) and (p_credit_type is null
      or d.credit_type = p_credit_type);
  return query
  select f.at, f.account_id::text, -f.amount, f.operations::bigint
  from credits.facts_outside(p_from, p_to, v_days.from_at, v_days.to_at, p_include_test, v_top) f
  where f.flow = 'spent'
    and (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
      or f.credit_type = p_credit_type);
end
$$;
comment on function credits.top_accounts(timestamptz, timestamptz, text, text, integer, boolean,
  boolean, boolean) is
  'What the accounts that spent most in a window spent in it, by days or finer.';
revoke all on function credits.top_accounts(timestamptz, timestamptz, text, text, integer, boolean,
  boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.usage_rows(p_by text, p_sums jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_agg(jsonb_build_object('bucket', s.bucket, 'value', s.value, 'spent', s.spent,
    'operations', s.operations,
    'share', round(s.spent::numeric / s.whole, 4))
    order by s.bucket, s.value is null, case when p_by in ('weekday', 'hour')
      then s.value::integer end,
      case when p_by = 'cohort' then s.value end, s.spent desc, s.value)
  from (
    select r.*, sum(r.spent) over (partition by r.bucket) as whole
    from jsonb_to_recordset(p_sums) as r(bucket timestamptz, value text, spent bigint,
      operations bigint)) s
$$;
comment on function credits.usage_rows(text, jsonb) is
  'The rows of metrics_usage: in order, with the share of each bucket.';
revoke all on function credits.usage_rows(text, jsonb) from public, anon, authenticated,
  service_role;

-- edge: result=Usage callers=service_role repeatable slow
--   Spent by plan, credit_type, source, weekday, hour, cohort, account, actor or metadata.
--
--   By ``actor`` it is by agent and key: what spends have as ``metadata.actor``.
create function public.metrics_usage(
  p_by text default 'plan', p_metadata_key text default null, p_since timestamptz default null,
  p_until timestamptz default null,
  p_bucket text default 'all', p_time_zone text default 'UTC', p_plan text default null,
  p_credit_type text default null,
  p_limit integer default 20, p_include_test boolean default false, p_raw boolean default false)
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
  v_rows jsonb;
begin
  if p_by is null or p_by not in ('plan', 'credit_type', 'source', 'weekday', 'hour', 'cohort',
    'account', 'actor', 'metadata') then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_by',
      'value', p_by),
      'Usage is by plan, credit_type, source, weekday, hour, cohort, account, actor or metadata.');
  end if;
  if (p_by = 'metadata') <> (p_metadata_key is not null) then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata_key"}',
      'Usage by metadata needs a key, and nothing else does.');
  end if;
  if p_limit is null or p_limit not between 1 and 10000 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_limit',
      'value', p_limit),
      'Pass how many values to show: 1 to 10000.');
  end if;
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  if p_by = 'account' then
    with shown as (
      select t.value, t.spent, t.operations, case when w.unit is not null
        then date_trunc(w.unit, t.at, p_time_zone)
        when w.width is not null then date_bin(w.width, t.at, w.origin) else w.from_at end as bucket
      from credits.top_accounts(w.from_at, w.to_at, p_plan, p_credit_type, p_limit, p_raw, p_raw
        or not w.daily, p_include_test) t
    ), everybody as (
      select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin)
          else w.from_at end as bucket,
        -sum(f.amount) as spent, sum(f.operations) as operations
      from credits.flow_facts(w.from_at, w.to_at, p_raw or not w.hourly, p_include_test) f
      where f.flow = 'spent' and (p_plan is null or f.plan_id = p_plan)
        and (p_credit_type is null or f.credit_type = p_credit_type)
      group by 1
    ), sums as (
      select s.bucket, s.value, sum(s.spent) as spent, sum(s.operations) as operations from shown s
        group by 1, 2
    ), others as (
      select e.bucket, null, e.spent - coalesce(x.spent, 0) as spent,
      e.operations - coalesce(x.operations, 0)
      from everybody e
      left join (select s.bucket, sum(s.spent) as spent, sum(s.operations) as operations
        from sums s group by 1) x
        on x.bucket = e.bucket
    )
    select credits.usage_rows(p_by, jsonb_agg(to_jsonb(s))) into v_rows
    from (select * from sums union all select * from others o where o.spent > 0) s;
  else
    with sums as materialized (
      select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin)
          else w.from_at end as bucket,
        f.value, sum(f.spent) as spent, sum(f.operations) as operations
      from credits.usage_facts(p_by, p_metadata_key, w.from_at, w.to_at, p_time_zone,
        p_raw or not w.hourly or not w.whole_hours and p_by in ('weekday', 'hour'), p_raw
          or not w.daily, p_include_test) f
      where (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
        or f.credit_type = p_credit_type)
      group by 1, 2
    ), largest as (
      select s.value from sums s group by s.value order by sum(s.spent) desc, s.value limit p_limit
    )
    select credits.usage_rows(p_by, jsonb_agg(to_jsonb(x))) into v_rows
    from (
      select s.bucket, l.value, sum(s.spent) as spent, sum(s.operations) as operations
      from sums s left join largest l on l.value = s.value group by 1, 2) x;
  end if;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows)
    || jsonb_build_object('by', p_by, 'metadata_key', p_metadata_key);
end
$$;
comment on function public.metrics_usage(
  text, text, timestamptz, timestamptz, text, text, text, text, integer, boolean, boolean) is
  'Credits spent, before refunds, and operations per bucket by plan, credit_type, source, weekday '
  '(1 is Monday), hour, cohort (sign-up month), account, actor (agent or key) or a key of '
  'metadata: the p_limit largest values, and all others together under null.';
revoke all on function public.metrics_usage(text, text, timestamptz, timestamptz, text, text, text,
  text, integer, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_usage(text, text, timestamptz, timestamptz, text, text,
  text, text, integer, boolean, boolean)
  to service_role;
