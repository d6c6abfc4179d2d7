create function credits.verify_orders(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with compared as (
    select o.account_id, o.id as order_id,
      case when o.state = 'paid' and o.credits is not null then g.id is not null
          and g.source = 'top_up' and g.credit_type = o.credit_type and g.amount = o.credits
          and exists (
            select 1 from credits.idempotency_keys k
            where k.account_id = o.account_id and k.operation_id = t.operation_id)
        else o.grant_id is null end
      and (o.grant_id is null or not exists (
        select 1 from credits.billing_orders x
        where x.account_id = o.account_id and x.id <> o.id and x.grant_id = o.grant_id)) as ok
    from credits.billing_orders o
    left join public.credit_grants g on g.account_id = o.account_id and g.id = o.grant_id
    left join lateral (
      select e.operation_id from public.credit_transactions e
      where e.account_id = o.account_id and e.credit_type = o.credit_type
        and e.grant_id = o.grant_id and e.kind = 'grant' order by e.version limit 1) t on true
    where p_account_id is null or o.account_id = p_account_id
  ), broken as materialized (
    select c.account_id, c.order_id from compared c where c.ok is not true
  )
  select (select count(*) from compared), coalesce((
    select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.order_id from broken c
      order by c.account_id, c.order_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_orders(uuid) is
  'Rule 6: every order that was paid gave exactly one grant, of the credits that were ordered; '
  'no other order gave any.';
revoke all on function credits.verify_orders(uuid) from public, anon, authenticated, service_role;

create function credits.verify_refunds(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with compared as (
    select o.account_id, o.id as order_id,
      o.target = credits.order_target(o)
      and o.is_disputed = credits.is_disputed(credits.payments_of_order(o.account_id, o.id))
      and e.voided >= o.voided
      and coalesce(d.amount, 0) <= o.target - o.voided
      and (coalesce(d.amount, 0) = o.target - o.voided or e.expired > 0
        or e.voided > o.voided) as ok
    from credits.billing_orders o
    left join credits.debts d on d.account_id = o.account_id
      and d.credit_type = o.credit_type and d.source = 'order:' || o.id
    cross join lateral (
      select coalesce(sum(-t.amount) filter (where t.kind = 'void' and not exists (
          select 1 from credits.debt_payments p
          where p.account_id = t.account_id and p.operation_id = t.operation_id)), 0) as voided,
        coalesce(sum(-t.amount) filter (where t.kind = 'expire'), 0) as expired
      from public.credit_transactions t
      where t.account_id = o.account_id and t.credit_type = o.credit_type
        and t.grant_id = o.grant_id) e
    where o.grant_id is not null and (p_account_id is null or o.account_id = p_account_id)
  ), broken as materialized (
    select c.account_id, c.order_id from compared c where c.ok is not true
  )
  select (select count(*) from compared), coalesce((
    select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.order_id from broken c
      order by c.account_id, c.order_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_refunds(uuid) is
  'Rule 10: what was taken back of a purchase, voided or owed, is what its refunds and lost '
  'disputes come to.';
revoke all on function credits.verify_refunds(uuid) from public, anon, authenticated, service_role;
