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
      -coalesce(sum(t.amount) filter (where t.kind <> 'grant'), 0) as gone
    from public.credit_transactions t
    where p_account_id is null or t.account_id = p_account_id
    group by t.account_id, t.credit_type
  ), compared as (
    select s.account_id, s.credit_type, s.granted = s.gone + b.balance as ok
    from sums s
    left join credits.balances b on b.account_id = s.account_id and b.credit_type = s.credit_type
  )
  select (select count(*) from credits.balances x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_conservation(uuid) is 'Rule 7: everything granted is spent, expired, voided or left.';
revoke all on function credits.verify_conservation(uuid) from public, anon, authenticated, service_role;
