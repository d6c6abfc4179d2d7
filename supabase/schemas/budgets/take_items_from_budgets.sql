create function credits.take_items_from_budgets(
  p_account_id uuid, p_user_id uuid, p_items credits.batch_item[], p_balances credits.balances[])
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_item credits.batch_item;
  v_balance credits.balances;
  v_budget jsonb;
begin
  for v_item in
    select i.* from unnest(p_items) i
    join unnest(p_balances) b on b.credit_type = i.credit_type and b.has_budgets
    where i.answer is null and i.first_nth = i.nth order by i.nth
  loop
    select b.* into strict v_balance from unnest(p_balances) b
    where b.credit_type = v_item.credit_type;
    continue when credits.take_from_budgets(p_account_id,
      v_item.credit_type, p_user_id, v_item.amount, v_item.metadata, v_balance.settled_at,
      v_balance.period_start, v_balance.reserved + v_balance.reserved_unlimited,
      v_balance.common_budgets);
    v_budget := credits.budget_without_room(p_account_id, v_item.credit_type, p_user_id,
      v_item.amount, v_item.metadata, v_balance.settled_at, v_balance.period_start);
    -- All or none: what the items before it were counted goes back.
    perform credits.return_to_budgets(p_account_id, i.credit_type, p_user_id, i.amount, i.metadata,
      b.settled_at)
    from unnest(p_items) i
    join unnest(p_balances) b on b.credit_type = i.credit_type
    where i.nth < v_item.nth and i.answer is null and i.first_nth = i.nth and b.has_budgets;
    return credits.refuse_by_budget(p_account_id, v_balance, v_item.operation_id, v_item.amount,
      p_user_id, v_item.description, v_item.metadata, v_budget)
      || jsonb_build_object('item', v_item.nth, 'items', '[]'::jsonb);
  end loop;
  return null;
end
$$;
comment on function credits.take_items_from_budgets(
  uuid, uuid, credits.batch_item[], credits.balances[]) is
  'Counts the new items of a batch in the budgets. Answers the denial of the first that has no '
  'room, and counts none then; else null.';
revoke all on function credits.take_items_from_budgets(
  uuid, uuid, credits.batch_item[], credits.balances[])
  from public, anon, authenticated, service_role;
