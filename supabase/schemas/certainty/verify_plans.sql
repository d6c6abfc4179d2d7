create function credits.verify_plans(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with changes as (
    select c.account_id, c.version, c.to_plan,
      c.version = row_number() over chain and c.from_plan is not distinct from lag(c.to_plan) over chain
        and c.changed_at >= coalesce(lag(c.changed_at) over chain, c.changed_at) as ok,
      lead(c.version) over chain is null as is_last
    from credits.plan_changes c
    where p_account_id is null or c.account_id = p_account_id
    window chain as (partition by c.account_id order by c.version)
  ), broken as materialized (
    select c.account_id, c.version from changes c where c.ok is not true
    union all
    select coalesce(s.account_id, c.account_id), c.version
    from (select * from public.subscriptions x where p_account_id is null or x.account_id = p_account_id) s
    full join (select * from changes n where n.is_last) c on c.account_id = s.account_id
    where (s.plan_id = c.to_plan) is not true
  )
  select (select count(*) from credits.plan_changes x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.version from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_plans(uuid) is
  'Rule 5: which plan an account was on when, by which its allowances are judged, is a chain without a gap that ends in the plan it is on.';
revoke all on function credits.verify_plans(uuid) from public, anon, authenticated, service_role;
