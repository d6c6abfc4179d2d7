create function credits.spendable_grants(p_account_id uuid, p_credit_type text, p_at timestamptz)
returns table (id uuid, free bigint)
language plpgsql
stable
rows 3
security invoker
set search_path = ''
as $$
begin
  return query
  select g.id, g.remaining - g.held
  from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = p_credit_type and g.is_open
    and g.remaining > g.held
    and g.starts_at <= p_at and (g.expires_at is null or g.expires_at > p_at)
    and g.frozen_at is null
  order by g.priority, g.expires_at, g.starts_at, g.id;
end
$$;
comment on function credits.spendable_grants(uuid, text, timestamptz) is
  'The grants that may be spent at an instant, in burn order: started, not expired, with '
  'something free, not frozen (what was voided has nothing free). The fast roads of consume and '
  'reserve say the same in the statement that changes the first one.';
revoke all on function credits.spendable_grants(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;
