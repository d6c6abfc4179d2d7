create function credits.verify_plans(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with events as (
    select e.account_id, max(e.n) as last,
      bool_and((e.kind = 'opened') = (e.n = 1)) and count(*) = max(e.n) and min(e.n) = 1 as ok
    from credits.subscription_events e
    where p_account_id is null or e.account_id = p_account_id
    group by e.account_id
  ), spells as (
    select s.account_id, count(*) as spells, min(s.plan_id) as plan_id,
      min(s.started_at) as started_at
    from credits.subscription_spells s
    where s.replaced_at is null and (p_account_id is null or s.account_id = p_account_id)
    group by s.account_id
  ), broken as materialized (
    select b.account_id, e.last as event, null::text as plan_id
    from credits.subscriptions b
    left join events e on e.account_id = b.account_id
    left join spells s on s.account_id = b.account_id
    where (p_account_id is null or b.account_id = p_account_id)
      and (e.ok is not true or s.account_id is null
        -- Most accounts have only been opened. The others are folded anew.
        or not (e.last = 1 and s.spells = 1 and exists (
          select 1 from credits.subscription_events o
          where o.account_id = b.account_id and o.n = 1 and o.plan_id = s.plan_id
            and o.happened_at = s.started_at))
        and not credits.is_folded(b.account_id)
        or b.is_managed and not credits.is_folded(b.account_id))
    union all
    select null, null, p.id from public.plans p
    where p_account_id is null and (
      exists (select 1 from public.plan_limits l where l.plan_id = p.id)
        and credits.version_is_on_sale(p.id, credits.latest_version(p.id)) is not true
      or (select count(*) <> max(v.version) from credits.plan_versions v where v.plan_id = p.id))
    union all
    select null, null, l.plan_id from credits.plan_version_limits l
    where p_account_id is null and not exists (
      select 1 from credits.plan_versions v where v.plan_id = l.plan_id and v.version = l.version)
    union all
    select b.account_id, b.pinned_version, b.pinned_plan_id from credits.subscriptions b
    where (p_account_id is null or b.account_id = p_account_id) and b.pinned_plan_id is not null
      and not exists (
      select 1 from credits.plan_versions v where v.plan_id = b.pinned_plan_id
        and v.version = b.pinned_version)
  )
  select (select count(*) from credits.subscriptions x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.event, c.plan_id from broken c order by c.account_id limit 10) b),
        '[]');
end
$$;
comment on function credits.verify_plans(uuid) is
  'Rule 5: every subscription is what its events come to, without a gap; the versions of each '
  'plan count from 1, and the newest has the figures on sale.';
revoke all on function credits.verify_plans(uuid) from public, anon, authenticated, service_role;

create function credits.is_folded(p_account_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spells credits.subscription_spells[] := credits.fold_subscription(p_account_id);
begin
  return (
    select count(*) = cardinality(v_spells) and bool_and(credits.is_same_spell(s, v_spells[s.n]))
    from credits.subscription_spells s where s.account_id = p_account_id and s.replaced_at is null);
end
$$;
comment on function credits.is_folded(uuid) is
  'Whether the spells of an account are what its events come to.';
revoke all on function credits.is_folded(uuid) from public, anon, authenticated, service_role;

create function credits.verify_coverage(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with spendable as (
    select g.account_id, g.credit_type, g.period_start, g.source, b.settled_at
    from credits.balances b
    join public.credit_grants g on g.account_id = b.account_id and g.credit_type = b.credit_type
      and g.period_start = b.period_start
    where b.kind = 'credit' and b.due_at > b.settled_at and g.is_open and g.voided_at is null
      and g.frozen_at is null
      and (p_account_id is null or b.account_id = p_account_id)
  ), broken as materialized (
    -- What is owed for past its grace, or paused, is frozen.
    select p.account_id, p.credit_type, p.period_start from spendable p
    where case when exists (
        select 1 from credits.subscription_spells s
        where s.account_id = p.account_id and s.replaced_at is null and s.is_frozen)
      then (credits.spell_at(p.account_id, p.settled_at)).is_frozen end
    union all
    -- Beyond what is covered there is one period, no more. Nobody pays for a trial, nor for the
    -- free plan, though news may say later that another one applied.
    select p.account_id, p.credit_type, p.period_start from spendable p
    join credits.subscriptions u on u.account_id = p.account_id and u.is_managed
      and p.period_start >= u.covered_until
    where p.source = 'plan' and exists (
      select 1 from public.credit_grants g
      where g.account_id = p.account_id and g.credit_type = p.credit_type
        and g.source = 'plan' and not credits.has_been_default(g.plan_id)
        and g.period_start >= u.covered_until
        and g.period_start < p.period_start and g.amount > 0
        and (credits.spell_at(p.account_id, g.period_start)).is_paid)
      and (credits.spell_at(p.account_id, p.settled_at)).is_paid
  )
  select (select count(*) from spendable),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.period_start from broken c order by c.account_id
        limit 10) b), '[]');
end
$$;
comment on function credits.verify_coverage(uuid) is
  'Rule 10: nothing is spendable of a period that is owed for past its grace, nor of a second '
  'period beyond what a provider was paid for.';
revoke all on function credits.verify_coverage(uuid) from public, anon, authenticated, service_role;
