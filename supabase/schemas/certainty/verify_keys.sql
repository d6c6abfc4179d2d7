create function credits.verify_keys(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with keys as (
    select k.account_id, k.idempotency_key, k.operation_id,
      case when k.request is null then 'consume_credits'
        else k.request ->> 'function' end as function,
      case when k.request is not null then
          (k.answer ->> 'success')::boolean
            and coalesce(k.answer ->> 'operation_id',
              k.answer ->> 'order_id') = k.operation_id::text
            and k.created_at is not null and num_nonnulls(k.allowance, k.period_end) = 0
        else k.created_at is null and coalesce(k.allowance >= 0, true)
          and coalesce(k.answer <> '{}' and k.answer - '{remaining, used, reserved}'::text[] = '{}'
            and coalesce((k.answer ->> 'remaining')::bigint >= 0, true)
            and coalesce((k.answer ->> 'reserved')::bigint > 0, true), true)
          -- What is unlimited has no balance, and no allowance that what was used is a part of.
          and coalesce((k.answer ->> 'used')::bigint > 0, k.allowance is not null)
          and not exists (select 1 from public.credit_transactions t
            where t.account_id = k.account_id and t.operation_id = k.operation_id
            and (t.balance_after is null) <> (k.allowance is null)) end as answered
    from credits.idempotency_keys k
    where p_account_id is null or k.account_id = p_account_id
  ), broken as materialized (
    select k.account_id, k.idempotency_key from keys k where k.answered is not true
      or k.function is null
    union all
    select k.account_id, k.idempotency_key from keys k
    where k.function is distinct from 'change_plan'
      and not exists (select 1 from public.credit_transactions t where t.account_id = k.account_id
      and t.operation_id = k.operation_id)
      and not exists (select 1 from public.credit_reservations r where r.account_id = k.account_id
      and r.operation_id = k.operation_id)
      -- What the remainder has paid for, or given back into it, has no row in the ledger.
      and not exists (select 1 from credits.priced_operations o
        where o.account_id = k.account_id and o.operation_id = k.operation_id)
      and not exists (select 1 from credits.priced_refunds f
        where f.account_id = k.account_id and f.refund_id = k.operation_id)
      -- An order moves no credits: its payment does.
      and not exists (
        select 1 from credits.billing_orders o
        where o.account_id = k.account_id and o.id = k.operation_id)
    union all
    -- A hold and its capture are one operation, and may have a key each.
    select k.account_id, max(k.idempotency_key) from keys k group by k.account_id, k.operation_id,
      k.function having count(*) > 1
  )
  select (select count(*) from credits.idempotency_keys x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.idempotency_key from broken c order by c.account_id limit 10) b),
        '[]');
end
$$;
comment on function credits.verify_keys(uuid) is
  'Rule 3: each idempotency key stands for one operation that took effect.';
revoke all on function credits.verify_keys(uuid) from public, anon, authenticated, service_role;
