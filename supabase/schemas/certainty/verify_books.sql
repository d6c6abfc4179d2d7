create function credits.verify_all(p_account_id uuid default null, p_rule integer default null)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set work_mem = '256MB'
as $$
declare
  v_checks jsonb;
begin
  with checks as (
    select 1 as rule, 'every grant is what its ledger rows say' as name, v.*
      from credits.verify_grants(p_account_id) v
    where coalesce(p_rule, 1) = 1
    union all
    select 2, 'the ledger is a chain without a gap', v.* from credits.verify_chain(p_account_id) v
    where coalesce(p_rule, 2) = 2
    union all
    select 2, 'every balance is what its grants hold', v.*
      from credits.verify_balances(p_account_id) v
    where coalesce(p_rule, 2) = 2
    union all
    select 3, 'refunds never exceed their operation, usage agrees', v.*
      from credits.verify_operations(p_account_id) v
    where coalesce(p_rule, 3) = 3
    union all
    select 3, 'every idempotency key took effect once', v.* from credits.verify_keys(p_account_id) v
    where coalesce(p_rule, 3) = 3
    union all
    select 4, 'captured and returned is what was held', v.*
      from credits.verify_holds(p_account_id) v
    where coalesce(p_rule, 4) = 4
    union all
    select 5, 'one allowance per account, type and period', v.*
      from credits.verify_allowances(p_account_id) v
    where coalesce(p_rule, 5) = 5
    union all
    select 5, 'every account is on the plan that its history says', v.*
      from credits.verify_plans(p_account_id) v
    where coalesce(p_rule, 5) = 5
    union all
    select 5, 'free credits are held once per person', v.*
      from credits.verify_accounts(p_account_id) v
    where coalesce(p_rule, 5) = 5
    union all
    select 6, 'every order that was paid gave one grant', v.*
      from credits.verify_orders(p_account_id) v
    where coalesce(p_rule, 6) = 6
    union all
    select 7, 'everything granted is spent, lapsed or left', v.*
      from credits.verify_conservation(p_account_id) v
    where coalesce(p_rule, 7) = 7
    union all
    select 8, 'only the service role moves credits, nobody changes the ledger', v.*
      from credits.verify_privileges() v
    -- Who may do what is a matter of the whole database, and of no account.
    where coalesce(p_rule, 8) = 8 and p_account_id is null
    union all
    select 9, 'priced operations cost what was taken, to the billionth', v.*
    from credits.verify_prices(p_account_id) v
    where coalesce(p_rule, 9) = 9
    union all
    select 10, 'nothing is spendable that is not paid for', v.*
      from credits.verify_coverage(p_account_id) v
    where coalesce(p_rule, 10) = 10
    union all
    select 10, 'what was taken back is what was refunded', v.*
      from credits.verify_refunds(p_account_id) v
    where coalesce(p_rule, 10) = 10
    union all
    select 10, 'every debt is what it was set to, less what was paid', v.*
      from credits.verify_debts(p_account_id) v
    where coalesce(p_rule, 10) = 10
    union all
    select 11, 'every budget has counted what was spent in its window', v.*
    from credits.verify_budgets(p_account_id) v
    where coalesce(p_rule, 11) = 11
  )
  select coalesce(
    jsonb_agg(jsonb_build_object('rule', c.rule, 'name', c.name, 'ok', c.violations = '[]',
    'checked', c.checked,
    'violations', c.violations)), '[]') into v_checks
  from checks c;
  return jsonb_build_object(
    'success', not v_checks @> '[{"ok": false}]',
    'code', case when v_checks @> '[{"ok": false}]' then 'violated' else 'ok' end, 'checks',
    v_checks);
end
$$;
comment on function credits.verify_all(uuid, integer) is
  'All always-true rules, or one of them, in one snapshot.';
revoke all on function credits.verify_all(uuid, integer)
  from public, anon, authenticated, service_role;

-- edge: result=Verification callers=service_role repeatable slow
--   Check the always-true rules, or the one with this number (1 to 11), for one account or for all.
--
--   Raises:
--       InvalidArgument: another ``rule``.
--       AccountNotFound: there is no such account.
create function public.verify_books(
  p_user_id uuid default null, p_workspace_id uuid default null, p_rule integer default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
begin
  if p_rule not between 1 and 11 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_rule', 'value', p_rule),
      'The rules are numbered 1 to 11.');
  end if;
  -- Nothing is wrong with an account that does not exist, which is what a mistyped id would be
  -- told. One that was lost from the books, but not without a trace, is looked at.
  if v_account_id is not null
     and not exists (select 1 from credits.accounts a where a.account_id = v_account_id)
     and not exists (select 1 from credits.balances b where b.account_id = v_account_id)
     and not exists (select 1 from public.credit_transactions t where t.account_id = v_account_id)
     and not exists (select 1 from auth.users u where u.id = v_account_id) then
    perform credits.raise_error('account_not_found',
      jsonb_build_object('user_id', p_user_id, 'workspace_id', p_workspace_id));
  end if;
  return credits.verify_all(v_account_id, p_rule);
end
$$;
comment on function public.verify_books(uuid, uuid, integer) is
  'Checks the always-true rules of the books, or the one with number p_rule, for one account or '
  'for all, in one snapshot. Answers checks with rule, name, ok, checked and the first '
  'violations. Raises account_not_found.';
revoke all on function public.verify_books(uuid, uuid, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.verify_books(uuid, uuid, integer) to service_role;
