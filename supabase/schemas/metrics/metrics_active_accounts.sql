-- edge: result=ActiveAccounts callers=service_role repeatable slow
--   Accounts that spent at least once, opened and closed ones, per bucket.
create function public.metrics_active_accounts(
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
  v_inner record;
  v_rows jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  select * into v_inner from credits.inner_window(w.from_at, w.to_at, 'day', p_raw or not w.daily);
  with outside as materialized (
    select case when w.unit is not null then date_trunc(w.unit, f.created_at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.created_at, w.origin)
          else w.from_at end as bucket,
      f.plan_id, f.account_id
    from credits.spends f
    where f.created_at >= w.from_at and f.created_at < w.to_at and (p_include_test or not f.is_test)
      and (not f.is_rolled_up or f.created_at < v_inner.from_at or f.created_at >= v_inner.to_at)
      and (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
        or f.credit_type = p_credit_type)
    group by 1, 2, 3
  ), sets as (
    select x.bucket, x.plan_id, x.chunk, bit_or(x.accounts) as accounts
    from (
      select case when w.unit is not null then date_trunc(w.unit,
        d.day::timestamp at time zone 'UTC', p_time_zone)
        when w.width is not null
          then date_bin(w.width, d.day::timestamp at time zone 'UTC', w.origin)
          else w.from_at end as bucket,
        d.plan_id, d.chunk, d.accounts
      from credits.daily_active d
      where d.day >= (v_inner.from_at at time zone 'UTC')::date
        and d.day < (v_inner.to_at at time zone 'UTC')::date
        and v_inner.from_at < v_inner.to_at
        and (p_plan is null or d.plan_id = p_plan) and (p_credit_type is null
          or d.credit_type = p_credit_type)
      union all
      select o.bucket, o.plan_id, n.number / 4096,
        bit_or(set_bit(repeat('0', 4096)::bit(4096), (n.number % 4096)::integer, 1))
      from outside o join credits.account_numbers n on n.account_id = o.account_id
      group by 1, 2, 3
    ) x
    group by 1, 2, 3
  ), counted as (
    select s.bucket, s.plan_id, bit_count(s.accounts) as active from sets s
    union all
    -- Whoever was never rolled up has no number and is in no set.
    select o.bucket, o.plan_id, 1 from outside o
    where not exists (select 1 from credits.account_numbers n where n.account_id = o.account_id)
  ), counted_once as (
    select s.bucket, bit_count(bit_or(s.accounts)) as active from sets s group by s.bucket, s.chunk
    union all
    select o.bucket, count(distinct o.account_id) from outside o
    where not exists (select 1 from credits.account_numbers n where n.account_id = o.account_id)
      group by o.bucket
  ), per_plan as (
    select c.bucket, c.plan_id, sum(c.active)::bigint as active from counted c group by 1, 2
  ), totals as (
    select c.bucket, sum(c.active)::bigint as active from counted_once c group by 1
  ), came_and_went as (
    select case when w.unit is not null then date_trunc(w.unit, x.at, p_time_zone)
        when w.width is not null then date_bin(w.width, x.at, w.origin)
          else w.from_at end as bucket,
      count(*) filter (where x.opened) as opened, count(*) filter (where not x.opened) as closed
    from (
      select a.created_at as at, true as opened, a.is_test from credits.accounts a
      union all
      select a.closed_at, false, a.is_test from credits.accounts a where a.closed_at is not null
    ) x
    where x.at >= w.from_at and x.at < w.to_at and (p_include_test or not x.is_test)
    group by 1
  ), rows as (
    select b.bucket, null as plan_id, coalesce(t.active, 0) as active,
    coalesce(c.opened, 0) as opened, coalesce(c.closed, 0) as closed
    from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) b
    left join totals t on t.bucket = b.bucket
    left join came_and_went c on c.bucket = b.bucket
    union all
    select p.bucket, p.plan_id, p.active, null, null from per_plan p
  )
  select jsonb_agg(jsonb_build_object('bucket', r.bucket, 'plan', r.plan_id, 'active', r.active,
    'opened', r.opened,
    'closed', r.closed) order by r.bucket, r.plan_id nulls first)
    into v_rows
  from rows r;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows);
end
$$;
comment on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean) is
  'Accounts that spent at least once, per bucket: each once in all (plan null, with the accounts '
  'opened and closed), and once for each plan on which they spent.';
revoke all on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text,
  text, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text,
  text, boolean, boolean)
  to service_role;
