create function credits.verify_allowances(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with periods as (
    select g.account_id, g.credit_type, g.period_start, count(*) as grants, sum(g.amount) as amount
    from public.credit_grants g
    where g.source = 'plan' and g.voided_at is null and (p_account_id is null or g.account_id = p_account_id)
    group by g.account_id, g.credit_type, g.period_start
  ), compared as (
    select p.account_id, p.credit_type, p.period_start,
      p.grants = 1 and (
        b.kind = 'limit' or b.period_start <> p.period_start or b.allowance is null or p.amount <= b.peak_allowance
        or exists (select from public.credit_transactions t
          where t.account_id = p.account_id and t.credit_type = p.credit_type and t.description = 'unlimited allowance')) as ok
    from periods p
    join credits.balances b on b.account_id = p.account_id and b.credit_type = p.credit_type
  )
  select (select count(*) from public.credit_grants x
      where x.source = 'plan' and x.voided_at is null and (p_account_id is null or x.account_id = p_account_id)),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.period_start from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_allowances(uuid) is
  'Rule 5: one allowance per account, type and period, and no more of it than the largest plan held in the period gives.';
revoke all on function credits.verify_allowances(uuid) from public, anon, authenticated, service_role;
