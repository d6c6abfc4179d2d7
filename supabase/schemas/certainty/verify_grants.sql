-- The always-true rules. Each function looks at one account, or at all of them when p_account_id is
-- null, and answers how much it has looked at and the first ten violations. All are stable, so one
-- call sees one snapshot. What is broken is materialized before ten of it are taken: else the
-- planner takes a plan that finds ten rows soon, and there are none to be found.

create function credits.verify_grants(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with entries as (
    select t.account_id, t.grant_id, t.credit_type, sum(t.amount) as remaining,
      bool_or(case when t.kind = 'void' then not exists (
        -- What took a part relates to what issued the grant, which goes on.
        select 1 from public.credit_transactions i
        where i.account_id = t.account_id and i.operation_id = t.related_operation_id
          and i.grant_id = t.grant_id and i.kind = 'grant') end) as is_voided,
      min(t.created_at) as since, max(t.created_at) filter (where t.kind = 'expire') as expired_at,
      coalesce(sum(t.amount) filter (where t.kind = 'grant'), 0) as amount,
      -coalesce(sum(t.amount) filter (where t.kind in ('consume', 'capture', 'refund')),
        0) as spent,
      -coalesce(sum(t.amount) filter (where t.kind in ('expire', 'void')), 0) as lapsed
    from public.credit_transactions t
    where t.grant_id is not null and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.grant_id, t.credit_type
  ), pinned as (
    select s.account_id, s.grant_id, sum(s.amount - s.captured) as held
    from credits.reservation_slices s
    join public.credit_reservations r on r.account_id = s.account_id and r.id = s.reservation_id
      and r.status = 'open'
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.grant_id
  ), compared as (
    select coalesce(g.account_id, e.account_id) as account_id,
      coalesce(g.id, e.grant_id) as grant_id,
      g.id is not null and e.grant_id is not null and g.remaining = e.remaining
        and g.amount = e.amount
        and g.spent = e.spent and g.lapsed = e.lapsed and g.held = coalesce(p.held, 0)
        and e.since = g.created_at and case when g.voided_at is null then e.is_voided is not true
          else coalesce(e.expired_at <= g.voided_at, true) end
        and (g.paid_amount is null) = (g.currency is null)
        and g.remaining between 0 and g.amount and g.held between 0 and g.remaining as ok
    from (select * from public.credit_grants x where p_account_id is null
      or x.account_id = p_account_id) g
    full join entries e on e.account_id = g.account_id and e.grant_id = g.id
      and e.credit_type = g.credit_type
    left join pinned p on p.account_id = g.account_id and p.grant_id = g.id
  ), broken as materialized (
    select c.account_id, c.grant_id from compared c where c.ok is not true
  )
  select (select count(*) from public.credit_grants x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.grant_id from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_grants(uuid) is
  'Rule 1: what a grant has issued, spent, lapsed and left is what its ledger rows say, and what '
  'it holds is what live holds have pinned.';
revoke all on function credits.verify_grants(uuid) from public, anon, authenticated, service_role;
