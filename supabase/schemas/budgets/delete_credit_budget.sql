create function credits.delete_credit_budget(
  p_user_id uuid, p_workspace_id uuid, p_budget_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid := credits.budget_account(v_user_id, p_workspace_id, '{owner,admin}', null);
  v_credit_type text;
  v_answer jsonb;
begin
  if p_budget_id is null then
    perform credits.refuse_argument('p_budget_id', 'Pass the id of the budget.');
  end if;
  select b.credit_type into v_credit_type from public.credit_budgets b
  where b.account_id = v_account_id and b.id = p_budget_id;
  if not found then
    perform credits.raise_error('budget_not_found', jsonb_build_object('budget_id', p_budget_id));
  end if;
  perform credits.lock_balance(v_account_id, v_credit_type);
  v_answer := credits.budget_answer(v_account_id, v_user_id, p_workspace_id, p_budget_id);
  delete from public.credit_budgets b where b.account_id = v_account_id and b.id = p_budget_id;
  perform credits.note_budgets(v_account_id, v_credit_type);
  return credits.respond(v_answer);
end
$$;
comment on function credits.delete_credit_budget(uuid, uuid, uuid) is
  'What delete_credit_budget does, after asking who calls.';
revoke all on function credits.delete_credit_budget(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.delete_credit_budget(uuid, uuid, uuid)
  to authenticated, service_role;

-- edge: result=Budget callers=authenticated,service_role required=user_id,budget_id
--   Delete a budget: what it limited is limited by the others alone.
--
--   Raises:
--       BudgetNotFound, Forbidden, AccountNotFound.
create function public.delete_credit_budget(
  p_user_id uuid default null, p_workspace_id uuid default null, p_budget_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.delete_credit_budget(p_user_id, p_workspace_id, p_budget_id);
comment on function public.delete_credit_budget(uuid, uuid, uuid) is
  'Deletes a budget of a workspace, or of one''s own account. Raises budget_not_found.';
revoke all on function public.delete_credit_budget(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.delete_credit_budget(uuid, uuid, uuid)
  to authenticated, service_role;
