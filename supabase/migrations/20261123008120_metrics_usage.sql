create function credits.usage_facts(
  p_by text, p_metadata_key text, p_since timestamptz, p_until timestamptz, p_time_zone text, p_raw_hours boolean, p_raw_days boolean,
  p_include_test boolean)
returns table (at timestamptz, value text, credit_type text, plan_id text, spent bigint, operations bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_by = 'account' then
    return query
    select f.at, f.account_id::text, f.credit_type, f.plan_id, f.spent, f.operations
    from credits.account_facts(p_since, p_until, p_raw_days, p_include_test) f;
  elsif p_by in ('cohort', 'metadata') then
    return query
    select f.at, f.value, f.credit_type, f.plan_id, f.spent, f.operations
    from credits.segment_facts(case p_by when 'cohort' then 'cohort' else 'metadata:' || p_metadata_key end,
      p_since, p_until, p_raw_days, p_include_test) f;
  else
    return query
    select f.at, case p_by when 'plan' then f.plan_id when 'credit_type' then f.credit_type when 'source' then f.source
        when 'weekday' then extract(isodow from f.at at time zone p_time_zone)::text
        else extract(hour from f.at at time zone p_time_zone)::text end,
      f.credit_type, f.plan_id, -f.amount, f.operations
    from credits.flow_facts(p_since, p_until, p_raw_hours, p_include_test) f where f.flow = 'spent';
  end if;
end
$$;
comment on function credits.usage_facts(text, text, timestamptz, timestamptz, text, boolean, boolean, boolean) is
  'What was spent in a window, with the value of the segment that it belongs to.';
revoke all on function credits.usage_facts(text, text, timestamptz, timestamptz, text, boolean, boolean, boolean)
  from public, anon, authenticated, service_role;

create function public.metrics_usage(
  p_by text default 'plan', p_metadata_key text default null, p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'all', p_time_zone text default 'UTC', p_plan text default null, p_credit_type text default null,
  p_limit integer default 20, p_include_test boolean default false, p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  w record;
  v_rows jsonb;
begin
  if p_by is null or p_by not in ('plan', 'credit_type', 'source', 'weekday', 'hour', 'cohort', 'account', 'metadata') then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_by', 'value', p_by),
      'Usage is by plan, credit_type, source, weekday, hour, cohort, account or metadata.');
  end if;
  if (p_by = 'metadata') <> (p_metadata_key is not null) then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata_key"}', 'Usage by metadata needs a key, and nothing else does.');
  end if;
  if p_limit is null or p_limit not between 1 and 10000 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_limit', 'value', p_limit),
      'Pass how many values to show: 1 to 10000.');
  end if;
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone, p_credit_type);
  with sums as materialized (
    select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin) else w.from_at end as bucket,
      f.value, sum(f.spent)::bigint as spent, sum(f.operations)::bigint as operations
    from credits.usage_facts(p_by, p_metadata_key, w.from_at, w.to_at, p_time_zone,
      p_raw or not w.hourly or not w.whole_hours and p_by in ('weekday', 'hour'), p_raw or not w.daily, p_include_test) f
    where (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null or f.credit_type = p_credit_type)
    group by 1, 2
  ), largest as (
    select s.value from sums s group by s.value order by sum(s.spent) desc, s.value limit p_limit
  ), shown as (
    select s.bucket, l.value, sum(s.spent)::bigint as spent, sum(s.operations)::bigint as operations, count(*) as count
    from sums s left join largest l on l.value = s.value group by 1, 2
  )
  select jsonb_agg(jsonb_build_object('bucket', s.bucket, 'value', s.value, 'spent', s.spent, 'operations', s.operations,
    'values', s.count, 'share', round(s.spent::numeric / t.spent, 4))
    order by s.bucket, s.value is null,
      case when p_by in ('weekday', 'hour') then s.value::integer end, case when p_by = 'cohort' then s.value end, s.spent desc, s.value)
    into v_rows
  from shown s
  join (select x.bucket, sum(x.spent) as spent from sums x group by x.bucket) t on t.bucket = s.bucket;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows)
    || jsonb_build_object('by', p_by, 'metadata_key', p_metadata_key);
end
$$;
comment on function public.metrics_usage(
  text, text, timestamptz, timestamptz, text, text, text, text, integer, boolean, boolean) is
  'Credits spent, before refunds, and operations per bucket by plan, credit_type, source, weekday (1 is Monday), hour, cohort (sign-up month), account or a key of metadata: the p_limit largest values, and all others together under null.';
revoke all on function public.metrics_usage(text, text, timestamptz, timestamptz, text, text, text, text, integer, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_usage(text, text, timestamptz, timestamptz, text, text, text, text, integer, boolean, boolean)
  to service_role;
