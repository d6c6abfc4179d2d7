create function credits.verify_debts(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with payments as (
    select p.account_id, p.credit_type, p.source, sum(p.amount) as paid,
      bool_and(exists (
        select 1 from public.credit_transactions t
        where t.account_id = p.account_id and t.operation_id = p.operation_id
          and t.credit_type = p.credit_type and t.amount = -p.amount
          and t.kind = case when p.amount > 0 then 'void' else 'grant' end::credits.entry_kind
          and (p.amount < 0 or t.grant_id = p.grant_id))) as is_on_the_ledger
    from credits.debt_payments p
    where p_account_id is null or p.account_id = p_account_id
    group by p.account_id, p.credit_type, p.source
  ), compared as (
    select coalesce(d.account_id, p.account_id) as account_id,
      coalesce(d.credit_type, p.credit_type) as credit_type, coalesce(d.source, p.source) as source,
      d.paid between 0 and d.amount and d.paid = coalesce(p.paid, 0)
        and coalesce(p.is_on_the_ledger, true) as ok
    from (
      select x.account_id, x.credit_type, x.source, x.amount, x.paid from credits.debts x
      where p_account_id is null or x.account_id = p_account_id) d
    full join payments p
      on p.account_id = d.account_id and p.credit_type = d.credit_type and p.source = d.source
  )
  select count(*), coalesce((
    select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.source from compared c
      where c.ok is not true order by c.account_id, c.source limit 10) b), '[]')
  from compared;
end
$$;
comment on function credits.verify_debts(uuid) is
  'Rule 10: what an account owes is never negative, and what was paid of it is what grants paid on '
  'the ledger, less what came back.';
revoke all on function credits.verify_debts(uuid)
  from public, anon, authenticated, service_role;
