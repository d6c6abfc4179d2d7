create function credits.verify_allowances(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with grants as (
    select g.account_id, g.credit_type, g.id, g.period_start, g.expires_at, g.amount, g.voided_at,
      b.allowance, b.peak_allowance, b.period_start = g.period_start as is_running,
      b.allowance_period is not distinct from g.period_start as is_granted, b.period_end,
      -- The changes of a test account are dated by its own clock to the instant, but the plans' figures by the real one. Else
      -- a change is written down a moment after the time at which its grant is booked.
      b.test_now is not null as is_test,
      g.expires_at + case when b.test_now is null then interval '1 minute' else interval '0' end as until,
      lag(g.expires_at) over (
        partition by g.account_id, g.credit_type, g.voided_at is null order by g.period_start, g.id) as before_ended
    from public.credit_grants g
    join credits.balances b on b.account_id = g.account_id and b.credit_type = g.credit_type
    where g.source = 'plan' and b.kind = 'credit' and (p_account_id is null or g.account_id = p_account_id)
  ), bounds as (
    -- The largest allowance held in the period, by what the plans gave then.
    select g.account_id, g.id, coalesce(max(f.allowance), 0) as largest
    from grants g
    join credits.plan_spells s on s.account_id = g.account_id and (s.started_at < g.until or s.started_at = g.period_start)
      and (s.ended_at > g.period_start or s.started_at >= g.period_start
        -- A clock that stands still: renewed by the old plan, then moved to another one, all at the start of the period.
        or g.is_test and s.ended_at = g.period_start)
    join credits.plan_figures f on f.plan_id = s.plan_id and f.credit_type = g.credit_type
      and (g.is_test or f.started_at < g.until and f.ended_at > g.period_start)
    group by g.account_id, g.id
  ), suspects as (
    select g.account_id, g.credit_type, g.id, g.amount, coalesce(o.largest, 0) as largest, g.is_running and not g.is_granted as is_early
    from grants g
    left join bounds o on o.account_id = g.account_id and o.id = g.id
    where g.amount > coalesce(o.largest, 0) or g.is_running and not g.is_granted
      or g.is_running and g.voided_at is null and (g.amount > g.peak_allowance or g.peak_allowance > coalesce(o.largest, 0))
  ), broken as materialized (
    select s.account_id, s.credit_type, g.period_start from suspects s
    join grants g on g.account_id = s.account_id and g.id = s.id
    where s.amount > s.largest or s.is_early
      or g.is_running and g.voided_at is null and (s.amount > g.peak_allowance or g.is_granted and g.peak_allowance > s.largest)
    union all
    -- One at a time, but for the moment that a change takes, which an account has in its history that got a clock later; the
    -- one that runs ends with its period.
    select g.account_id, g.credit_type, g.period_start from grants g
    where g.voided_at is null and (g.before_ended > g.period_start + interval '1 hour' or g.is_running and g.expires_at <> g.period_end)
    union all
    select b.account_id, b.credit_type, b.period_start from credits.balances b
    left join public.subscriptions s on s.account_id = b.account_id
    left join public.plan_limits l on l.credit_type = b.credit_type
      and l.plan_id = case when s.pending_at <= b.settled_at then s.pending_plan_id else s.plan_id end
    where (p_account_id is null or b.account_id = p_account_id) and b.due_at > b.settled_at and s.past_due_since is null
      and (b.allowance is distinct from case when l.plan_id is null then 0 else l.allowance end
        or b.kind = 'credit' and b.allowance_period is distinct from b.period_start)
  )
  select (select count(*) from public.credit_grants x
      where x.source = 'plan' and x.voided_at is null and (p_account_id is null or x.account_id = p_account_id)),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.period_start from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_allowances(uuid) is
  'Rule 5: one allowance per account, type and period, and no more of it than the largest plan held in the period gave then, also in periods gone by; the allowance in force is the plan''s.';
revoke all on function credits.verify_allowances(uuid) from public, anon, authenticated, service_role;
