create function credits.verify_accounts(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with broken as materialized (
    -- Free credits are held by an account of that person.
    select h.account_id, 'holds the free credits of an identity that it has never had' as problem
    from credits.identity_holders h
    where (p_account_id is null or h.account_id = p_account_id) and not exists (
      select 1 from credits.account_identities i where i.account_id = h.account_id
        and i.identity = h.identity)
    union all
    select i.account_id, 'has free credits of an identity that no account holds'
    from credits.account_identities i
    join credits.accounts a on a.account_id = i.account_id and a.status <> 'closed'
      and a.free_credits = 'own'
    where (p_account_id is null or i.account_id = p_account_id)
      and not exists (select 1 from credits.identity_holders h where h.identity = i.identity)
    union all
    select r.account_id, 'is closed and holds credits'
    from public.credit_reservations r
    join credits.accounts a on a.account_id = r.account_id and a.closed_at < r.expires_at
    where r.status = 'open' and (p_account_id is null or r.account_id = p_account_id)
      and not exists (select 1 from credits.forgotten_accounts f where f.account_id = r.account_id)
  )
  select (select count(*) from credits.accounts a where p_account_id is null
    or a.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.problem from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_accounts(uuid) is
  'Rule 5: the free credits of a person are held by an account of that person, and an account '
  'that was closed holds nothing.';
revoke all on function credits.verify_accounts(uuid) from public, anon, authenticated, service_role;
