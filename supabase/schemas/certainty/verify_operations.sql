create function credits.verify_operations(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- By chance enough: nobody knows it before the call. random() would make this volatile.
  v_seed bigint := pg_catalog.hashtextextended(statement_timestamp()::text,
    pg_backend_pid()::bigint);
  -- A project with a usage table of its own may have rows of its own there, whatever their ids.
  v_is_ours boolean := exists (
    select 1 from pg_catalog.pg_attribute a
    where a.attrelid = 'public.usage'::regclass and a.attname = 'operation_id' and a.attnotnull);
begin
  return query
  -- To sort or hash every operation is what takes longest of all. So each amount is multiplied by
  -- two numbers that its operation and type are drawn by chance, and added up per account: sums
  -- that agree, twice, belong to operations that agree (the odds are 2^-62). Only accounts where
  -- they do not are looked at operation by operation. Halves of 31 bits keep the products within
  -- bigint.
  with weighed as (
    select t.account_id, -t.amount as amount,
      pg_catalog.uuid_hash_extended(t.operation_id,
        v_seed) # pg_catalog.hashtextextended(t.credit_type, v_seed) as draw
    from public.credit_transactions t
    where t.kind in ('consume', 'capture') and (p_account_id is null or t.account_id = p_account_id)
    union all
    select u.account_id, -u.credits_used::bigint,
      pg_catalog.uuid_hash_extended(u.operation_id,
        v_seed) # pg_catalog.hashtextextended(u.credit_type, v_seed)
    from public.usage u
    where u.status = 'allowed' and u.operation_id is not null
      and (p_account_id is null or u.account_id = p_account_id)
  ), suspects as (
    select w.account_id from weighed w group by w.account_id
    having sum(w.amount % 2147483648 * (w.draw & 2147483647))
      + sum(w.amount / 2147483648 * (w.draw & 2147483647)) * 2147483648 <> 0
      or sum(w.amount % 2147483648 * (w.draw >> 32 & 2147483647))
        + sum(w.amount / 2147483648 * (w.draw >> 32 & 2147483647)) * 2147483648 <> 0
  ), spends as (
    select t.account_id, t.operation_id, t.credit_type, -sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind in ('consume', 'capture') and t.account_id in (select s.account_id from suspects s)
    group by t.account_id, t.operation_id, t.credit_type
  ), attempts as (
    select u.account_id, u.operation_id, u.credit_type, sum(u.credits_used) as amount
    from public.usage u
    where u.status = 'allowed' and u.operation_id is not null and u.credits_used <> 0
      and u.account_id in (select s.account_id from suspects s)
    group by u.account_id, u.operation_id, u.credit_type
  ), refunds as (
    -- Into the very grants that a spend came from.
    select t.account_id, t.related_operation_id as operation_id, t.grant_id, sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind = 'refund' and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.related_operation_id, t.grant_id
  ), broken as materialized (
    -- The log of attempts may be cleared, so a spend without one is none of these; what is there
    -- has to agree.
    select a.account_id, a.operation_id from attempts a
    left join spends s on s.account_id = a.account_id and s.operation_id = a.operation_id
      and s.credit_type = a.credit_type
    where s.amount <> a.amount or s.amount is null and (v_is_ours
      or exists (select 1 from spends o where o.account_id = a.account_id
        and o.operation_id = a.operation_id))
    union all
    select u.account_id, u.operation_id from public.usage u
    where v_is_ours and (p_account_id is null or u.account_id = p_account_id)
      and case u.status
        when 'allowed' then u.credits_used > 0 or u.credits_used = 0 and exists (
          select 1 from credits.priced_operations o
          where o.account_id = u.account_id and o.operation_id = u.operation_id and o.whole = 0)
        when 'denied' then u.credits_used = 0 else false end is not true
    union all
    select f.account_id, f.operation_id from refunds f
    left join public.credit_transactions t
      on t.account_id = f.account_id and t.operation_id = f.operation_id
        and t.grant_id is not distinct from f.grant_id
      and t.kind in ('consume', 'capture')
    group by f.account_id, f.operation_id, f.grant_id, f.amount
    having f.amount > coalesce(-sum(t.amount), 0)
    union all
    select m.account_id, m.operation_id
    from (
      select r.account_id, r.operation_id, sum(r.amount) as amount
      from credits.metered_rows r
      where p_account_id is null or r.account_id = p_account_id
      group by r.account_id, r.operation_id
    ) m
    where m.amount > coalesce((
      select -sum(t.amount) from public.credit_transactions t
      where t.account_id = m.account_id and t.operation_id = m.operation_id and t.kind = 'consume'),
        0)
  )
  select (select count(*) from public.credit_transactions x
      where x.kind in ('consume', 'capture') and (p_account_id is null
        or x.account_id = p_account_id)),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.operation_id from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_operations(uuid) is
  'Rule 3: the rows of a spend add up to what usage says it was, its refunds never exceed it in '
  'any grant, and a metered row was charged for.';
revoke all on function credits.verify_operations(uuid) from public, anon, authenticated,
  service_role;
