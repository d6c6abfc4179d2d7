-- edge: result=Exhaustion callers=service_role repeatable slow
--   Account-periods that ran dry, and on which day; first denial to upgrade.
create function public.metrics_exhaustion(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'all', p_time_zone text default 'UTC',
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
  v_upgrades jsonb;
  v_left_out uuid[] := credits.left_out(p_include_test);
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  with refused as materialized (
    select d.account_id, d.credit_type, d.created_at from credits.denials d
    where d.created_at >= w.from_at and d.created_at < w.to_at
      and (p_credit_type is null or d.credit_type = p_credit_type)
  ), read as materialized (
    select c.weight, c.account_id, c.credit_type, c.plan_id, c.started_at, c.ended_at,
    c.crossed_80_at, c.ran_dry_at, c.is_test
    from credits.period_corrections c where not p_raw
    union all
    select 1, l.account_id, l.credit_type, l.plan_id, l.started_at, l.ended_at, l.crossed_80_at,
      l.ran_dry_at, l.is_test
    from credits.ledger_periods l where p_raw
  ), periods as not materialized (
    select p.weight, p.account_id, p.credit_type, p.plan_id, p.started_at, p.ended_at,
    p.crossed_80_at, p.ran_dry_at
    from (
      select 1 as weight, k.account_id, k.credit_type, k.plan_id, k.started_at, k.ended_at,
      k.crossed_80_at, k.ran_dry_at, false as is_test
      from credits.account_periods k where not p_raw
      union all
      select r.weight, r.account_id, r.credit_type, r.plan_id, r.started_at, r.ended_at,
        r.crossed_80_at, r.ran_dry_at, r.is_test from read r
    ) p
    where p.started_at >= w.from_at and p.started_at < w.to_at and (p_include_test or not p.is_test)
      and (p_credit_type is null or p.credit_type = p_credit_type)
        and (p_plan is null or p.plan_id = p_plan)
  ), marked as (
    -- A period counts once, and once more, as nothing but denied, when it met a denial.
    select p.started_at, p.plan_id, p.credit_type, p.weight as periods, 0 as denied,
      case when p.crossed_80_at is null then 0 else p.weight end as crossed,
      -- The first day of a period is its day 1.
      date_part('day', p.ran_dry_at - p.started_at)::integer + 1 as dry_day
    from periods p
    union all
    select p.started_at, p.plan_id, p.credit_type, 0, p.weight, 0, null
    from periods p
    where exists (
      select 1 from refused d
      where d.account_id = p.account_id and d.credit_type = p.credit_type
        and d.created_at >= p.started_at and d.created_at < p.ended_at)
  ), days as (
    select case when w.unit is not null then date_trunc(w.unit, m.started_at, p_time_zone)
        when w.width is not null then date_bin(w.width, m.started_at, w.origin)
          else w.from_at end as bucket,
      m.plan_id, m.credit_type, m.dry_day, sum(m.periods) as periods, sum(m.crossed) as crossed,
      sum(m.denied) as denied
    from marked m group by 1, 2, 3, 4
  ), sums as (
    select d.bucket, d.plan_id, d.credit_type, sum(d.periods)::bigint as periods,
    sum(d.crossed)::bigint as crossed,
      sum(d.denied)::bigint as denied, coalesce(sum(d.periods) filter (where d.dry_day is not null),
        0)::bigint as dry,
      coalesce(jsonb_object_agg(d.dry_day, d.periods) filter (where d.dry_day is not null
        and d.periods > 0), '{}') as days
    from days d group by 1, 2, 3 having sum(d.periods) > 0
  ), firsts as materialized (
    select d.account_id, min(d.created_at) as denied_at from refused d
      where d.account_id <> all (v_left_out) group by 1
  ), spells as materialized (
    select s.account_id, s.started_at, s.ended_at, s.upgraded, f.denied_at
    from firsts f
    join credits.free_spells s on s.account_id = f.account_id
    where s.started_at < w.to_at and s.ended_at >= f.denied_at
  ), first_denials as (
    select s.ended_at, s.upgraded, s.denied_at from spells s where s.denied_at >= s.started_at
    union all
    -- Who was denied before the spell began: the first denial within it.
    select s.ended_at, s.upgraded, min(d.created_at)
    from spells s
    join refused d on d.account_id = s.account_id
      and d.created_at between s.started_at and s.ended_at
    where s.denied_at < s.started_at
    group by s.account_id, s.started_at, s.ended_at, s.upgraded
  ), upgrades as (
    select jsonb_build_object('denied_spells', count(*),
      'upgraded', count(*) filter (where f.upgraded),
      'median_hours', round((percentile_cont(0.5) within group (order by extract(epoch
        from f.ended_at - f.denied_at)::double precision)
        filter (where f.upgraded))::numeric / 3600, 4)) as answer
    from first_denials f
  )
  select (
    select jsonb_agg(jsonb_build_object('bucket', s.bucket, 'plan', s.plan_id,
      'credit_type', s.credit_type,
      'periods', s.periods, 'crossed_80_percent', s.crossed, 'ran_dry', s.dry, 'denied', s.denied,
      'share', round(s.dry::numeric / s.periods, 4), 'days', s.days) order by s.bucket, s.plan_id,
        s.credit_type)
    from sums s), u.answer
    into v_rows, v_upgrades
  from upgrades u;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows)
    || jsonb_build_object('first_denial_to_upgrade', v_upgrades);
end
$$;
comment on function public.metrics_exhaustion(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean) is
  'Of the account-periods that began in the window, per plan and credit type: how many passed 80 '
  '%, ran dry (on which day), or met a denial. And how long it took from a free account''s first '
  'denial to its upgrade.';
revoke all on function public.metrics_exhaustion(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_exhaustion(timestamptz, timestamptz, text, text, text,
  text, boolean, boolean) to service_role;
