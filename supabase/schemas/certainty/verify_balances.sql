create function credits.verify_balances(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with last as (
    select n.account_id, n.credit_type, n.version, t.balance_after
    from (
      select x.account_id, x.credit_type, max(x.version) as version,
        max(x.version) filter (where x.balance_after is not null) as counted_version
      from public.credit_transactions x
      where p_account_id is null or x.account_id = p_account_id
      group by x.account_id, x.credit_type) n
    left join public.credit_transactions t
      on t.account_id = n.account_id and t.credit_type = n.credit_type
        and t.version = n.counted_version
  ), unlimited as (
    select t.account_id, t.credit_type, -sum(t.amount) as spent
    from public.credit_transactions t
    where t.grant_id is null and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.credit_type
  ), grants as (
    select g.account_id, g.credit_type, sum(g.remaining) as remaining, sum(g.held) as held,
      sum(g.remaining - g.held) filter (where g.frozen_at is not null
        or g.starts_at > b.settled_at) as withheld,
      sum(g.remaining - g.held) filter (where g.source = 'plan') as plan_free,
      coalesce(sum(g.spent + g.held) filter (where g.source = 'plan'), 0) as plan_taken,
        sum(g.spent) as spent,
      least(min(g.expires_at) filter (where g.is_open and g.expires_at > b.settled_at),
        min(g.starts_at) filter (where g.is_open and g.starts_at > b.settled_at)) as due_at,
      bool_and(g.is_open = (g.remaining > 0)
        and (g.source = 'plan' or g.source = 'trial'
        and g.period_start is not null) = (g.period_start is not null)
        and (g.frozen_at is null) = (g.frozen_reason is null)
        and (g.voided_at is null) = (g.void_reason is null)
        and coalesce(g.expires_at >= g.starts_at, true)
        and greatest(g.created_at, g.frozen_at, g.voided_at) <= b.settled_at
        -- What has ended holds nothing but what live holds have pinned.
        and (g.remaining = g.held or g.voided_at is null
        and coalesce(g.expires_at > b.settled_at, true))
        and case when b.kind = 'limit' then g.expires_at is null
        and coalesce(g.period_start = 'epoch', true)
          when g.source = 'plan' then g.period_start = g.starts_at and g.expires_at is not null
            else true end
        and exists (select 1 from credits.grant_sources o where o.id = g.source)) as are_sane
    from public.credit_grants g
    join credits.balances b on b.account_id = g.account_id and b.credit_type = g.credit_type
    where p_account_id is null or g.account_id = p_account_id
    group by g.account_id, g.credit_type
  ), holds as (
    select r.account_id, r.credit_type,
      sum(r.amount + r.extra - r.captured - r.unlimited + r.unlimited_captured) as reserved,
      sum(r.unlimited - r.unlimited_captured) as unlimited, min(r.expires_at) as due_at
    from public.credit_reservations r
    where r.status = 'open' and (p_account_id is null or r.account_id = p_account_id)
    group by r.account_id, r.credit_type
  ), owners as (
    -- What a balance copies from its account, so that a spend needs no second row.
    select a.account_id, a.status, a.test_now, case when a.kind <> 'workspace'
      then a.account_id end as user_id,
      s.user_id is not distinct from case when a.kind <> 'workspace' then a.account_id end
        and (f.account_id is null or a.status = 'closed') as are_sane
    from credits.accounts a
    join credits.subscriptions s on s.account_id = a.account_id
    left join credits.forgotten_accounts f on f.account_id = a.account_id
    where p_account_id is null or a.account_id = p_account_id
  ), compared as (
    select coalesce(b.account_id, l.account_id) as account_id,
      coalesce(b.credit_type, l.credit_type) as credit_type,
      b.account_id is not null and b.version = coalesce(l.version, 0)
        and b.balance = coalesce(l.balance_after, 0)
        and b.balance = coalesce(g.remaining, 0) and b.withheld = coalesce(g.withheld, 0)
        and b.reserved = coalesce(g.held, 0) and b.reserved = coalesce(h.reserved, 0)
        and b.reserved_unlimited = coalesce(h.unlimited, 0) and coalesce(g.are_sane, true)
        and o.are_sane and b.user_id is not distinct from o.user_id and b.account_status = o.status
        and b.test_now is not distinct from o.test_now
        and b.kind = (select t.kind from credits.credit_types t where t.id = b.credit_type)
        -- Until due_at this row is taken for the truth, so nothing may fall due before.
        and b.due_at <= least(g.due_at, h.due_at, b.period_end, (
            select min(x.started_at) from credits.subscription_spells x
            where x.account_id = b.account_id and x.replaced_at is null
              and x.started_at > b.settled_at), 'infinity')
        and (not b.is_floating or b.due_at = '-infinity')
        and case b.kind
          when 'credit' then b.settled_at >= b.period_start and b.settled_at < b.period_end
            and b.used_since <= b.settled_at
            and coalesce(b.restarted_at <= b.settled_at, true)
          else b.period_start is null and b.period_end is null
            and b.used = coalesce(g.spent, 0) + coalesce(u.spent, 0)
            and (b.allowance is null or coalesce(g.plan_free, 0) = greatest(0,
              b.allowance - coalesce(g.plan_taken, 0) - coalesce(u.spent, 0)
                - b.reserved_unlimited)) end as ok
    from (select * from credits.balances x where p_account_id is null
      or x.account_id = p_account_id) b
    full join last l on l.account_id = b.account_id and l.credit_type = b.credit_type
    left join grants g on g.account_id = b.account_id and g.credit_type = b.credit_type
    left join unlimited u on u.account_id = b.account_id and u.credit_type = b.credit_type
    left join holds h on h.account_id = b.account_id and h.credit_type = b.credit_type
    left join owners o on o.account_id = b.account_id
  ), broken as materialized (
    select c.account_id, c.credit_type from compared c where c.ok is not true
  )
  select (select count(*) from credits.balances x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_balances(uuid) is
  'Rule 2: a balance is what its grants hold and what its last ledger row says, less what is '
  'withheld and what live holds pin; it is on its guard for all that falls due, and copies its '
  'account truly.';
revoke all on function credits.verify_balances(uuid) from public, anon, authenticated, service_role;
