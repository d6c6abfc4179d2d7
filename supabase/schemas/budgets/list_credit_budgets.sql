create function credits.budget_now(
  p_account_id uuid, p_budget public.credit_budgets, p_reader_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_now record;
  v_state credits.budget_state;
  v_is_of_each boolean := p_budget.scope = 'member' and p_budget.scope_value is null;
begin
  select * into v_balance from credits.balances b
  where b.account_id = p_account_id and b.credit_type = p_budget.credit_type;
  v_balance.settled_at := greatest(
    coalesce(v_balance.test_now, statement_timestamp()), v_balance.settled_at);
  select * into v_now from credits.balance_at(p_account_id, v_balance, v_balance.settled_at);
  v_state := credits.budget_state(p_account_id, p_budget,
    case when v_is_of_each then p_reader_id else p_account_id end, v_balance.settled_at,
    v_now.period_start);
  return jsonb_build_object(
    'budget_id', p_budget.id, 'credit_type', p_budget.credit_type, 'scope', p_budget.scope,
    'scope_value', p_budget.scope_value, 'window', p_budget.window_kind,
    'hours', p_budget.hours, 'limit', p_budget.credit_limit,
    'used', v_state.used + v_state.held,
    'remaining', greatest(0, p_budget.credit_limit - v_state.used - v_state.held),
    'resets_at', case when p_budget.window_kind = 'period' then v_now.period_end
      when isfinite(v_state.window_end) then v_state.window_end end,
    'members', case when v_is_of_each and credits.only_actor(p_account_id, p_reader_id) is null
      then credits.uses_of_each(p_account_id, p_budget, v_balance.settled_at, v_now.period_start)
      else '[]' end);
end
$$;
comment on function credits.budget_now(uuid, public.credit_budgets, uuid) is
  'A budget and how it stands for its reader; for who oversees the account, for each member.';
revoke all on function credits.budget_now(uuid, public.credit_budgets, uuid)
  from public, anon, authenticated, service_role;

create function credits.uses_of_each(
  p_account_id uuid, p_budget public.credit_budgets, p_at timestamptz, p_period_start timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('user_id', m.user_id, 'used', s.used + s.held)
      order by s.used + s.held desc, m.user_id), '[]')
    from public.credit_workspace_members m
    cross join lateral credits.budget_state(
      p_account_id, p_budget, m.user_id, p_at, p_period_start) s
    where m.account_id = p_account_id);
end
$$;
comment on function credits.uses_of_each(uuid, public.credit_budgets, timestamptz, timestamptz) is
  'What each member has used of a budget of each member.';
revoke all on function credits.uses_of_each(uuid, public.credit_budgets, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.budget_answer(
  p_account_id uuid, p_reader_id uuid, p_workspace_id uuid, p_budget_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('success', true, 'code', 'ok', 'workspace_id', p_workspace_id) || (
    select credits.budget_now(p_account_id, b, p_reader_id) from public.credit_budgets b
    where b.account_id = p_account_id and b.id = p_budget_id);
end
$$;
comment on function credits.budget_answer(uuid, uuid, uuid, uuid) is
  'The answer of an operation on a budget.';
revoke all on function credits.budget_answer(uuid, uuid, uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.budgets_of(p_account_id uuid, p_reader_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(credits.budget_now(p_account_id, b, p_reader_id)
      order by b.credit_type, array_position('{workspace,role,member,metadata}'::text[], b.scope),
        b.scope_value nulls first, b.window_kind, b.hours), '[]')
    from public.credit_budgets b where b.account_id = p_account_id);
end
$$;
comment on function credits.budgets_of(uuid, uuid) is
  'The budgets of an account and how they stand, from the widest to the narrowest.';
revoke all on function credits.budgets_of(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.list_credit_budgets(p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid := credits.budget_account(
    v_user_id, p_workspace_id, '{owner,admin,member,viewer}', null);
begin
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'workspace_id', p_workspace_id, 'budgets', credits.budgets_of(v_account_id, v_user_id)));
end
$$;
comment on function credits.list_credit_budgets(uuid, uuid) is
  'What list_credit_budgets does, after asking who calls.';
revoke all on function credits.list_credit_budgets(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.list_credit_budgets(uuid, uuid) to authenticated, service_role;

-- edge: result=BudgetList callers=authenticated,service_role repeatable required=user_id
--   The budgets of a workspace, or of one's own account, and how much of each is used.
--
--   Of a budget of each member, ``used`` is the user's own use; owners and admins see that of each
--   in ``members``.
--
--   Raises:
--       AccountNotFound: there is no such workspace, or the user is not in it.
create function public.list_credit_budgets(
  p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.list_credit_budgets(p_user_id, p_workspace_id);
comment on function public.list_credit_budgets(uuid, uuid) is
  'The budgets of a workspace, or without p_workspace_id of one''s own account, and how much of '
  'each is used.';
revoke all on function public.list_credit_budgets(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.list_credit_budgets(uuid, uuid) to authenticated, service_role;
