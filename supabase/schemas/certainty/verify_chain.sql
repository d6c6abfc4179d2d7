create function credits.verify_chain(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with rows as (
    select t.account_id, t.credit_type, t.version,
      t.version = row_number() over chain
        -- What is unlimited is of no grant and has no balance: the chain passes over it.
        and (t.grant_id is null) = (t.balance_after is null)
        and coalesce(t.balance_after = sum(t.amount)
          filter (where t.grant_id is not null) over chain, t.grant_id is null)
        and t.created_at >= coalesce(lag(t.created_at) over chain, t.created_at)
        and coalesce(t.balance_after >= 0, t.kind in ('consume', 'capture', 'refund'))
        -- A part of a purchase that was taken back comes back when the refund has failed.
        and ((t.kind in ('grant', 'refund')) = (t.amount > 0)
          or t.kind = 'void' and t.related_operation_id is not null) and t.amount <> 0 as ok
    from public.credit_transactions t
    where p_account_id is null or t.account_id = p_account_id
    window chain as (partition by t.account_id, t.credit_type order by t.version)
  ), broken as materialized (
    select c.account_id, c.credit_type, c.version from rows c where c.ok is not true
  )
  select (select count(*) from public.credit_transactions x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.version from broken c order by c.account_id
        limit 10) b), '[]');
end
$$;
comment on function credits.verify_chain(uuid) is
  'Rule 2: versions run 1 to n without a gap, each balance_after follows from the one before, '
  'times never step back, signs follow from kinds. A row of no grant has no balance: it is an '
  'unlimited spend or its refund.';
revoke all on function credits.verify_chain(uuid) from public, anon, authenticated, service_role;
