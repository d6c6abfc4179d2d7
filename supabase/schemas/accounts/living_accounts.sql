-- Who is there. An account whose user or workspace is gone spends nothing from that instant,
-- whatever was booked about it.

create view credits.living_accounts
with (security_invoker = true)
as
select u.id as account_id from auth.users u where u.deleted_at is null
union all
select w.account_id from public.credit_workspaces w
union all
select a.account_id from credits.accounts a where a.is_elsewhere;
comment on view credits.living_accounts is
  'The accounts whose person or workspace exists: not deleted, not deleted softly by Auth. Part '
  'of the statement that spends, by account_id.';
revoke all on table credits.living_accounts from public, anon, authenticated, service_role;

create function credits.is_living(p_account_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (select 1 from credits.living_accounts l where l.account_id = p_account_id);
end
$$;
comment on function credits.is_living(uuid) is
  'Whether the person or workspace of an account exists.';
revoke all on function credits.is_living(uuid) from public, anon, authenticated, service_role;
