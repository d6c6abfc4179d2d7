-- edge: result=Consumption callers=service_role repeatable slow
--   Spent against granted, per bucket, plan and credit type.
create function public.metrics_consumption(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'day', p_time_zone text default 'UTC',
  p_plan text default null, p_credit_type text default null, p_include_test boolean default false,
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
  v_rows jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  with sums as (
    select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin)
          else w.from_at end as bucket,
      f.plan_id, f.credit_type,
      coalesce(sum(f.amount) filter (where f.flow = 'granted'), 0)::bigint as granted,
      -coalesce(sum(f.amount) filter (where f.flow = 'spent'), 0)::bigint as spent,
      coalesce(sum(f.amount) filter (where f.flow = 'refunded'), 0)::bigint as refunded,
      -coalesce(sum(f.amount) filter (where f.flow = 'expired'), 0)::bigint as expired,
      -coalesce(sum(f.amount) filter (where f.flow = 'voided'), 0)::bigint as voided,
      coalesce(sum(f.operations) filter (where f.flow = 'spent'), 0)::bigint as operations
    from credits.flow_facts(w.from_at, w.to_at, p_raw or not w.hourly, p_include_test) f
    where (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
      or f.credit_type = p_credit_type)
    group by 1, 2, 3
  )
  select jsonb_agg(jsonb_build_object('bucket', s.bucket, 'plan', s.plan_id,
    'credit_type', s.credit_type,
    'granted', s.granted, 'spent', s.spent, 'refunded', s.refunded, 'expired', s.expired,
    'voided', s.voided,
    'operations', s.operations,
    'rate', round((s.spent - s.refunded)::numeric / nullif(s.granted, 0), 4))
    order by s.bucket, s.plan_id, s.credit_type)
    into v_rows
  from sums s;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows);
end
$$;
comment on function public.metrics_consumption(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean) is
  'Credits granted, spent, refunded, expired and voided per bucket, plan and credit type; rate is '
  'what was spent, less refunds, per credit granted.';
revoke all on function public.metrics_consumption(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_consumption(timestamptz, timestamptz, text, text, text,
  text, boolean, boolean) to service_role;
