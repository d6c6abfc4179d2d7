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
      b.granted, b.period_end,
      b.test_now is not null as is_test,
      g.voided_at is null and b.period_start = g.period_start as is_running,
      -- One at a time. News of a period that began before what is booked ends that at the moment of
      -- the news, which may be the moment that it was booked at.
      g.voided_at is null and g.expires_at > g.created_at as has_lived,
      greatest(g.period_start, g.created_at) + interval '1 hour' as other_ended_by,
      lag(g.expires_at) over (
        partition by g.account_id, g.credit_type, g.voided_at is null
          and g.expires_at > g.created_at
        order by g.created_at, g.period_start, g.id) as before_ended
    from public.credit_grants g
    join credits.balances b on b.account_id = g.account_id and b.credit_type = g.credit_type
    where g.period_start is not null and b.kind = 'credit'
      and (p_account_id is null or g.account_id = p_account_id)
  ), figures as (
    select l.plan_id, l.credit_type, l.version, l.allowance, v.made_at
    from credits.plan_version_limits l
    join credits.plan_versions v on v.plan_id = l.plan_id and v.version = l.version
  ), bounds as (
    -- The largest allowance of the plans that the account was on, by all that was ever known of it,
    -- in a version that there was by then. The versions are dated by the real clock, a test account
    -- by its own.
    select g.account_id, g.id, coalesce(max(f.allowance * s.quantity), 0) as largest
    from grants g
    join credits.subscription_spells s on s.account_id = g.account_id
      and (s.started_at < g.expires_at or s.started_at = g.period_start
        -- News of another period cut it short at the instant of an upgrade, on a clock that stood
        -- still.
        or s.started_at = g.expires_at and g.is_test and exists (
          select 1 from grants o
          where o.account_id = g.account_id and o.credit_type = g.credit_type
            and o.period_start < g.expires_at and o.expires_at > g.expires_at)
        -- One that began and ended at the instant that cut the period short.
        or s.started_at = g.expires_at and exists (
          select 1 from credits.subscription_spells n
          where n.account_id = s.account_id and n.n = s.n + 1 and n.started_at = s.started_at))
      and not exists (
        select 1 from credits.subscription_spells n
        where n.account_id = s.account_id and n.n = s.n + 1 and n.revision = s.revision
          and n.started_at < g.period_start)
    join figures f on f.plan_id = s.plan_id and f.credit_type = g.credit_type
      and (g.is_test or f.version = 1 or f.made_at < g.expires_at)
    group by g.account_id, g.id
  ), voided as (
    select t.account_id, t.grant_id, -sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind = 'void' and (t.account_id, t.grant_id) in (
      select g.account_id, g.id from grants g
      left join bounds o on o.account_id = g.account_id and o.id = g.id
      where g.amount > coalesce(o.largest, 0) or g.is_running and g.amount > g.granted)
    group by t.account_id, t.grant_id
  ), broken as materialized (
    select g.account_id, g.credit_type, g.period_start from grants g
    left join bounds o on o.account_id = g.account_id and o.id = g.id
    left join voided v on v.account_id = g.account_id and v.grant_id = g.id
    where g.amount - coalesce(v.amount, 0) > coalesce(o.largest, 0)
      or g.is_running
      and (g.amount - coalesce(v.amount, 0) > g.granted or g.expires_at <> g.period_end)
      or g.has_lived and g.before_ended > g.other_ended_by
    union all
    select b.account_id, b.credit_type, b.period_start from credits.balances b
    left join credits.subscription_spells s on s.account_id = b.account_id and s.n = 1
      and s.replaced_at is null
      and not exists (
        select 1 from credits.subscription_spells n where n.account_id = s.account_id and n.n = 2
          and n.replaced_at is null)
    left join credits.plan_version_limits l on l.plan_id = b.plan_id and l.version = b.plan_version
      and l.credit_type = b.credit_type
    where (p_account_id is null or b.account_id = p_account_id) and b.due_at > b.settled_at
      -- Most accounts have one spell, and what it gives. The others are asked what is due, which is
      -- nothing.
      and case when coalesce(b.plan_id = s.plan_id and s.is_earning and b.allowance = l.allowance
      and b.granted = l.allowance
        and b.restarted_at is null and b.period_start >= s.started_at
        and b.anchored_by = s.anchored_by, false)
        then false else not credits.is_booked(b) end
    union all
    select b.account_id, b.credit_type, b.period_start from credits.balances b
    where (p_account_id is null or b.account_id = p_account_id) and b.plan_id is not null
      and not exists (
      select 1 from credits.plan_versions v where v.plan_id = b.plan_id
        and v.version = b.plan_version)
  )
  select (select count(*) from public.credit_grants x
      where x.period_start is not null and x.voided_at is null
        and (p_account_id is null or x.account_id = p_account_id)),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.period_start from broken c order by c.account_id
        limit 10) b), '[]');
end
$$;
comment on function credits.verify_allowances(uuid) is
  'Rule 5: one allowance per account, type and period, and no more of it than the plans that the '
  'account was on gave for its seats, also in periods gone by; the allowance in force is the '
  'plan''s.';
revoke all on function credits.verify_allowances(uuid)
  from public, anon, authenticated, service_role;

create function credits.is_booked(p_balance credits.balances)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  d credits.due := credits.due_at(p_balance.account_id, p_balance, p_balance.settled_at);
begin
  return not d.is_new_period and d.issued = 0 and d.withdrawn = 0 and d.plan_id = p_balance.plan_id
    and d.allowance is not distinct from p_balance.allowance and d.period_end = p_balance.period_end
    and p_balance.granted = d.entitled and p_balance.overdrawn = 0;
end
$$;
comment on function credits.is_booked(credits.balances) is
  'Whether a balance stands where its subscription puts it. Its due_at is later than its '
  'settled_at.';
revoke all on function credits.is_booked(credits.balances)
  from public, anon, authenticated, service_role;
