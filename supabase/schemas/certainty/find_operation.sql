-- edge: result=FoundOperation callers=service_role repeatable slow
--   Whose operation it is, out of all accounts. For support: it reads the whole ledger.
--
--   Raises:
--       OperationNotFound: no account has such an operation.
create function public.find_operation(p_operation_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_found record;
begin
  select o.account_id, o.user_id into v_found
  from (
    (select t.account_id, t.user_id from public.credit_transactions t
      where t.operation_id = p_operation_id limit 1)
    union all
    (select r.account_id, r.user_id from public.credit_reservations r
      where r.operation_id = p_operation_id limit 1)
    union all
    (select u.account_id, u.user_id from public.usage u where u.operation_id = p_operation_id
      and u.account_id is not null limit 1)
    union all
    (select k.account_id, (k.request ->> 'user_id')::uuid from credits.idempotency_keys k
      where k.operation_id = p_operation_id limit 1)
  ) o
  limit 1;
  if v_found is null then
    perform credits.raise_error('operation_not_found', jsonb_build_object('operation_id',
      p_operation_id),
      'There is no such operation on any account.');
  end if;
  return (
    select jsonb_build_object('success', true, 'code', 'ok', 'operation_id', p_operation_id,
      'account_id', v_found.account_id, 'user_id', case a.kind when 'person' then a.account_id
        else v_found.user_id end,
      'workspace_id', case a.kind when 'workspace' then a.account_id end)
    from credits.accounts a where a.account_id = v_found.account_id);
end
$$;
comment on function public.find_operation(uuid) is
  'Whose operation this is: user_id and workspace_id for explain_operation. It looks through all '
  'accounts, for support only. Raises operation_not_found.';
revoke all on function public.find_operation(uuid) from public, anon, authenticated, service_role;
grant execute on function public.find_operation(uuid) to service_role;
