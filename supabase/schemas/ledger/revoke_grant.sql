create function credits.revoke(p_account_id uuid, p_user_id uuid, p_grant_id uuid, p_reason text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_grant public.credit_grants;
  v_credit_type text;
  v_operation_id uuid := gen_random_uuid();
  v_free bigint;
begin
  select g.credit_type into v_credit_type from public.credit_grants g
  where g.account_id = p_account_id and g.id = p_grant_id;
  if not found then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_grant_id', 'value', p_grant_id),
      'This account has no such grant.');
  end if;
  v_balance := credits.lock_balance(p_account_id, v_credit_type);
  if v_balance.account_status = 'closed' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  select * into v_grant from public.credit_grants g where g.account_id = p_account_id and g.id = p_grant_id;
  if v_grant.voided_at is not null then
    return credits.answer(v_balance, null, 0) || jsonb_build_object('grant_id', p_grant_id, 'replayed', true);
  end if;
  if v_balance.kind = 'limit' and v_grant.source = 'plan' then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_grant_id', 'value', p_grant_id),
      'The allowance of a limit follows from the plan. Change the plan instead.');
  end if;
  v_free := v_grant.remaining - v_grant.held;
  if v_free > 0 then
    v_balance := credits.take_unspent(p_account_id, v_balance, p_grant_id, v_free, 'void', p_user_id, v_operation_id, null,
      coalesce(p_reason, 'revoked'));
  end if;
  update public.credit_grants g set voided_at = v_balance.settled_at, void_reason = coalesce(p_reason, 'revoked')
  where g.account_id = p_account_id and g.id = p_grant_id;
  v_balance := credits.save_balance(p_account_id, v_balance);
  return credits.answer(v_balance, v_operation_id, v_free) || jsonb_build_object('grant_id', p_grant_id);
end
$$;
comment on function credits.revoke(uuid, uuid, uuid, text) is
  'Voids what a grant has left. What a live hold has pinned stays with the hold, and lapses when it is released.';
revoke all on function credits.revoke(uuid, uuid, uuid, text) from public, anon, authenticated, service_role;

-- edge: result=Grant callers=service_role repeatable
--   Take back what a grant has left; ``amount`` says how much that was.
--
--   What was spent stays spent. A second time changes nothing and answers ``replayed``.
--
--   Raises:
--       InvalidArgument: the account has no such grant.
create function public.revoke_grant(
  p_user_id uuid, p_grant_id uuid, p_reason text default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(1, p_reason, null, null, 'p_reason');
  return credits.revoke(credits.paying_account(p_user_id, p_workspace_id), p_user_id, p_grant_id, p_reason);
end
$$;
comment on function public.revoke_grant(uuid, uuid, text, uuid) is
  'Takes back what a grant has left; amount says how much that was. What was spent stays spent. A second time changes nothing and answers replayed.';
revoke all on function public.revoke_grant(uuid, uuid, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.revoke_grant(uuid, uuid, text, uuid) to service_role;
