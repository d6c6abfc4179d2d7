create function credits.periods_of(p_account_id uuid, p_credit_type text, p_from_version bigint)
returns table (version bigint, started_at timestamptz, plan_id text, ended_at timestamptz,
  crossed_80_at timestamptz, ran_dry_at timestamptz)
language sql
stable
rows 2
security invoker
set search_path = ''
-- Called for one balance after the other: to plan it anew each time would take longer than to run
-- it.
set plan_cache_mode = force_generic_plan
as $$
  with entries as (
    select t.version, t.created_at, t.kind, t.amount, t.balance_after,
      case when t.kind = 'grant' and g.source = 'plan' then t.grant_id end as allowance_id
    from public.credit_transactions t
    join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
    where t.account_id = p_account_id and t.credit_type = p_credit_type
      and t.version >= p_from_version
  ), starts as (
    -- An upgrade adds to the grant of its period, a new period has a grant of its own.
    select e.version, e.allowance_id is distinct from lag(e.allowance_id)
      over (order by e.version) as is_start
    from entries e where e.allowance_id is not null
  ), placed as (
    select e.*, max(s.version) filter (where s.is_start) over (order by e.version) as period_version
    from entries e left join starts s on s.version = e.version
  ), running as (
    select p.*,
      -coalesce(sum(p.amount) filter (where p.kind in ('consume', 'capture', 'refund')) over w,
        0) as used
    from placed p where p.period_version is not null
    window w as (partition by p.period_version order by p.version)
  )
  select r.period_version, min(r.created_at),
    (select f.plan_id from credits.ledger_facts f
      where f.account_id = p_account_id and f.credit_type = p_credit_type
        and f.version = r.period_version),
    lead(min(r.created_at), 1, 'infinity') over (order by r.period_version),
    min(r.created_at) filter (where r.kind in ('consume', 'capture')
      and r.used >= 4 * r.balance_after),
    min(r.created_at) filter (where r.kind in ('consume', 'capture') and r.balance_after = 0)
  from running r
  group by r.period_version
$$;
comment on function credits.periods_of(uuid, text, bigint) is
  'The account-periods of one balance, read from the ledger from a version on that began one: when '
  '80 % of all that could be spent was spent, and when nothing was left.';
revoke all on function credits.periods_of(uuid, text, bigint) from public, anon, authenticated,
  service_role;

create view credits.known_periods with (security_invoker = true) as
with behind as materialized (
  select l.account_id, l.credit_type, l.kind, l.period_version, l.is_test from credits.lagging l
)
select p.account_id, p.credit_type, p.version, p.started_at, p.plan_id, p.ended_at, p.crossed_80_at,
  p.ran_dry_at, false as is_test
from credits.account_periods p
where not exists (
  select 1 from behind b
  where b.account_id = p.account_id and b.credit_type = p.credit_type
    and p.version >= b.period_version)
union all
select b.account_id, b.credit_type, p.version, p.started_at, p.plan_id, p.ended_at, p.crossed_80_at,
  p.ran_dry_at, b.is_test
from behind b
cross join lateral credits.periods_of(b.account_id, b.credit_type, b.period_version) p
where b.kind = 'credit';
comment on view credits.known_periods is
  'All account-periods: those that are rolled up, and those that have gained ledger rows since, '
  'read from the ledger.';
revoke all on table credits.known_periods from public, anon, authenticated, service_role;

create view credits.period_corrections with (security_invoker = true) as
with behind as materialized (
  select l.account_id, l.credit_type, l.kind, l.period_version, l.is_test from credits.lagging l
)
select -1 as weight, b.account_id, b.credit_type, p.started_at, p.plan_id, p.ended_at,
  p.crossed_80_at, p.ran_dry_at, b.is_test
from behind b
cross join lateral (
  select k.started_at, k.plan_id, k.ended_at, k.crossed_80_at, k.ran_dry_at
    from credits.account_periods k
  where k.account_id = b.account_id and k.credit_type = b.credit_type
    and k.version >= b.period_version offset 0) p
union all
select 1, b.account_id, b.credit_type, p.started_at, p.plan_id, p.ended_at, p.crossed_80_at,
  p.ran_dry_at, b.is_test
from behind b
cross join lateral credits.periods_of(b.account_id, b.credit_type, b.period_version) p
where b.kind = 'credit';
comment on view credits.period_corrections is
  'What whoever counts credits.account_periods adds: the periods that have gained ledger rows '
  'since, as they were (-1) and as they are (1).';
revoke all on table credits.period_corrections from public, anon, authenticated, service_role;
