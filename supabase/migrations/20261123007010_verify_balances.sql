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
      select x.account_id, x.credit_type, max(x.version) as version
      from public.credit_transactions x
      where p_account_id is null or x.account_id = p_account_id
      group by x.account_id, x.credit_type) n
    join public.credit_transactions t
      on t.account_id = n.account_id and t.credit_type = n.credit_type and t.version = n.version
  ), held as (
    select g.account_id, g.credit_type, sum(g.remaining) as remaining, sum(g.held) as held,
      bool_and(g.is_open = (g.remaining > 0) and (g.source = 'plan') = (g.period_start is not null)
        and (g.frozen_at is null) = (g.frozen_reason is null) and (g.voided_at is null) = (g.void_reason is null)
        and coalesce(g.expires_at >= g.starts_at, true)) as sane
    from public.credit_grants g
    where p_account_id is null or g.account_id = p_account_id
    group by g.account_id, g.credit_type
  ), reserved as (
    select r.account_id, r.credit_type, sum(r.amount) as reserved
    from public.credit_reservations r
    where r.status = 'open' and (p_account_id is null or r.account_id = p_account_id)
    group by r.account_id, r.credit_type
  ), compared as (
    select coalesce(b.account_id, l.account_id) as account_id, coalesce(b.credit_type, l.credit_type) as credit_type,
      b.account_id is not null and b.version = coalesce(l.version, 0) and b.balance = coalesce(l.balance_after, 0)
        and b.balance = coalesce(h.remaining, 0) and b.reserved = coalesce(h.held, 0)
        and b.reserved = coalesce(r.reserved, 0) and coalesce(h.sane, true) as ok
    from (select * from credits.balances x where p_account_id is null or x.account_id = p_account_id) b
    full join last l on l.account_id = b.account_id and l.credit_type = b.credit_type
    left join held h on h.account_id = b.account_id and h.credit_type = b.credit_type
    left join reserved r on r.account_id = b.account_id and r.credit_type = b.credit_type
  )
  select (select count(*) from credits.balances x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_balances(uuid) is
  'Rule 2: a balance is what its grants hold and what its last ledger row says, and what is reserved is what live holds pin.';
revoke all on function credits.verify_balances(uuid) from public, anon, authenticated, service_role;
