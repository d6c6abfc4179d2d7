create function public.metrics_active_accounts(
  p_since timestamptz default null, p_until timestamptz default null, p_bucket text default 'day', p_time_zone text default 'UTC',
  p_plan text default null, p_credit_type text default null, p_include_test boolean default false, p_raw boolean default false)
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
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone, p_credit_type);
  with active as materialized (
    select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin) else w.from_at end as bucket,
      f.account_id, f.plan_id
    from credits.account_facts(w.from_at, w.to_at, p_raw or not w.daily, p_include_test) f
    where (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null or f.credit_type = p_credit_type)
    group by 1, 2, 3
  ), per_plan as (
    select a.bucket, a.plan_id, count(*) as active from active a group by 1, 2
  ), per_account as (
    select a.bucket, count(*) as plans from active a group by a.bucket, a.account_id
  ), totals as (
    select p.bucket, count(*) as active from per_account p group by 1
  ), rows as (
    select b.bucket, null as plan_id, coalesce(t.active, 0) as active,
      (select count(*) from credits.accounts a where a.created_at >= b.starts_at and a.created_at < b.ends_at
        and (p_include_test or not a.is_test)) as opened,
      (select count(*) from credits.accounts a where a.closed_at >= b.starts_at and a.closed_at < b.ends_at
        and (p_include_test or not a.is_test)) as closed
    from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) b
    left join totals t on t.bucket = b.bucket
    union all
    select p.bucket, p.plan_id, p.active, null, null from per_plan p
  )
  select jsonb_agg(jsonb_build_object('bucket', r.bucket, 'plan', r.plan_id, 'active', r.active, 'opened', r.opened,
    'closed', r.closed) order by r.bucket, r.plan_id nulls first)
    into v_rows
  from rows r;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows);
end
$$;
comment on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text, text, boolean, boolean) is
  'Accounts that spent at least once, per bucket: each once in all (plan null, with the accounts opened and closed), and once for each plan on which they spent.';
revoke all on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text, text, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text, text, boolean, boolean)
  to service_role;
