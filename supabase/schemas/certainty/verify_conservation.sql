create function credits.verify_conservation(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with sums as (
    select t.account_id, t.credit_type,
      coalesce(sum(t.amount) filter (where t.kind = 'grant'), 0) as granted,
      -coalesce(sum(t.amount) filter (where t.kind <> 'grant' and t.grant_id is not null),
        0) as gone,
      -coalesce(sum(t.amount) filter (where t.kind in ('consume', 'capture')
        and t.created_at >= b.used_since), 0) as spent,
      -- Whether a spend at the very instant of a restart counts, only its place in the ledger could
      -- tell.
      coalesce(bool_or(t.created_at = b.used_since and t.kind in ('consume', 'capture')),
        false) as is_unclear
    from public.credit_transactions t
    left join credits.balances b on b.account_id = t.account_id and b.credit_type = t.credit_type
    where p_account_id is null or t.account_id = p_account_id
    group by t.account_id, t.credit_type
  ), refunds as (
    -- A refund counts against the period that its spend counted in.
    select f.account_id, f.credit_type, sum(f.amount) as amount
    from public.credit_transactions f
    join credits.balances b on b.account_id = f.account_id and b.credit_type = f.credit_type
    where f.kind = 'refund' and f.created_at >= b.used_since
      and (p_account_id is null or f.account_id = p_account_id)
      and exists (select 1 from public.credit_transactions t
        where t.account_id = f.account_id and t.operation_id = f.related_operation_id
          and t.created_at >= b.used_since)
    group by f.account_id, f.credit_type
  ), compared as (
    select s.account_id, s.credit_type, s.granted = s.gone + b.balance
        and (b.kind = 'limit' or s.is_unclear or b.used = s.spent - coalesce(f.amount, 0)) as ok
    from sums s
    left join credits.balances b on b.account_id = s.account_id and b.credit_type = s.credit_type
    left join refunds f on f.account_id = s.account_id and f.credit_type = s.credit_type
  ), broken as materialized (
    select c.account_id, c.credit_type from compared c where c.ok is not true
  )
  select (select count(*) from credits.balances x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_conservation(uuid) is
  'Rule 7: everything granted is spent, expired, voided or left; what counts as used is what was '
  'spent since, less refunds.';
revoke all on function credits.verify_conservation(uuid) from public, anon, authenticated,
  service_role;
