-- edge: result=Advice callers=service_role repeatable
--   Whether ``amount`` credits could be spent now.
--
--   Advice for a user interface: it changes nothing, holds nothing and does not raise when there is
--   not enough. To be sure, reserve.
create function public.check_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint default 1, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_balance credits.balances;
  v_now record;
  v_budget jsonb;
begin
  perform credits.check_request(p_amount, null, null, null);
  v_account_id := credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, ''));
  if p_workspace_id is not null then
    perform credits.require_spender(v_account_id, p_user_id);
  end if;
  perform credits.give_deleted_rows_back(v_account_id);
  select * into v_balance from credits.balances b where b.account_id = v_account_id
    and b.credit_type = p_credit_type;
  v_balance.settled_at := greatest(coalesce(v_balance.test_now, statement_timestamp()),
    v_balance.settled_at);
  select * into v_now from credits.balance_at(v_account_id, v_balance, v_balance.settled_at);
  v_balance.allowance := v_now.allowance;
  v_balance.used := v_now.used;
  v_balance.reserved := v_now.reserved;
  v_balance.reserved_unlimited := 0;
  v_balance.withheld := 0;
  v_balance.balance := v_now.remaining + v_now.reserved;
  v_balance.period_end := v_now.period_end;
  if v_balance.account_status = 'frozen' then
    return credits.explain_denial(credits.denial(v_account_id, v_balance, null, p_amount))
      || jsonb_build_object(
      'code', 'account_frozen', 'message', 'This account is frozen.', 'hint',
      credits.frozen_words());
  end if;
  if v_now.remaining < p_amount then
    return credits.explain_denial(credits.denial(v_account_id, v_balance, null, p_amount));
  end if;
  if v_balance.has_budgets then
    v_budget := credits.budget_without_room(v_account_id, p_credit_type, p_user_id, p_amount, '{}',
      v_balance.settled_at, v_now.period_start);
    if v_budget is not null then
      return credits.explain_denial(
        credits.denial_by_budget(v_account_id, v_balance, null, p_amount, v_budget));
    end if;
  end if;
  return credits.respond(credits.answer(v_balance, null, p_amount));
end
$$;
comment on function public.check_credits(uuid, text, bigint, uuid) is
  'Whether p_amount could be spent now: advice for a UI, with the answer that consume_credits '
  'would give, or the code account_frozen. Changes nothing and holds nothing; to be sure, reserve.';
revoke all on function public.check_credits(uuid, text, bigint, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.check_credits(uuid, text, bigint, uuid) to service_role;
