create function credits.account_answer(p_account_id uuid, p_operation_id uuid default null)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', p_operation_id, 'credit_type', null, 'amount',
    null, 'remaining', null,
    'limit', null, 'used', null, 'reserved', null, 'unlimited', null,
    'period_end', (select max(n.period_end) from public.credit_balances n
      where n.account_id = p_account_id),
    'replayed', false, 'balances', coalesce(credits.balances_of(p_account_id), '[]'))
$$;
comment on function credits.account_answer(uuid, uuid) is
  'The answer of an operation on a whole account: what belongs to one credit type is null, '
  'balances has all of them.';
revoke all on function credits.account_answer(uuid, uuid)
  from public, anon, authenticated, service_role;
