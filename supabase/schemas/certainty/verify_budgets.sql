create function credits.verify_budgets(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with uses as (
    select u.account_id, u.budget_id, u.user_id, u.used,
      (u.credit_type, u.credit_limit, u.is_of_period)
        = (b.credit_type, b.credit_limit, b.window_kind = 'period') as is_copy,
      (credits.spent_under_budget(
      u.account_id, b, u.user_id, u.window_start,
      case when b.window_kind in ('day', 'week', 'month') then u.window_end else 'infinity' end
      )).spent
    from credits.budget_uses u
    join public.credit_budgets b on b.account_id = u.account_id and b.id = u.budget_id
    join credits.balances l on l.account_id = u.account_id and l.credit_type = b.credit_type
    where (p_account_id is null or u.account_id = p_account_id)
      -- What was counted in a period that is over is counted anew before it is asked again.
      and (b.window_kind <> 'period'
        or u.window_start = coalesce(l.period_start, '-infinity'))
  ), compared as (
    select u.account_id, u.budget_id, u.user_id, u.used = u.spent and u.is_copy as ok from uses u
    union all
    select l.account_id, null, null,
      l.has_budgets = exists (
        select 1 from public.credit_budgets b
        where b.account_id = l.account_id and b.credit_type = l.credit_type)
      and l.common_budgets is not distinct from case when l.has_budgets
        then (credits.counted_budgets(l.account_id, l.credit_type)).common_budgets end
    from credits.balances l where p_account_id is null or l.account_id = p_account_id
  )
  select count(*), coalesce((
    select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.budget_id, c.user_id from compared c
      where c.ok is not true order by c.account_id, c.budget_id, c.user_id limit 10) b), '[]')
  from compared;
end
$$;
comment on function credits.verify_budgets(uuid) is
  'Rule 11: what each budget has counted is what the ledger says was spent in its window, less '
  'what was refunded of it.';
revoke all on function credits.verify_budgets(uuid)
  from public, anon, authenticated, service_role;
