create function credits.set_credit_alerts(
  p_user_id uuid, p_credit_type text, p_percents integer[], p_amounts bigint[],
  p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.overseen_account(p_user_id, p_workspace_id);
  -- Lists that are far too long are refused as they are, before anything is done for each entry.
  v_percents integer[] := case when cardinality(p_percents) > 100 then p_percents
    else array(select distinct l from unnest(p_percents) l order by l) end;
  v_amounts bigint[] := case when cardinality(p_amounts) > 100 then p_amounts
    else array(select distinct a from unnest(p_amounts) a order by a) end;
  v_before record;
begin
  if not exists (select 1 from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type',
      jsonb_build_object('credit_type', p_credit_type));
  end if;
  if cardinality(v_percents) > 10 or not coalesce(1 <= all (v_percents), false)
     or not coalesce(100 >= all (v_percents), false) then
    perform credits.refuse_argument('p_percents',
      'Levels are up to ten shares used, from 1 to 100 percent; null for the usual ones.');
  end if;
  if cardinality(v_amounts) > 10 or not coalesce(0 <= all (v_amounts), false)
     or not coalesce(9007199254740992 >= all (v_amounts), false) then
    perform credits.refuse_argument('p_amounts', 'Levels are up to ten amounts left, from 0.');
  end if;
  perform 1 from credits.balances b
  where b.account_id = v_account_id and b.credit_type = p_credit_type for no key update;
  v_before := credits.levels_of(v_account_id, p_credit_type);
  if p_percents is null and p_amounts is null then
    delete from credits.alert_settings s
    where s.account_id = v_account_id and s.credit_type = p_credit_type;
  else
    insert into credits.alert_settings (account_id, credit_type, percents, amounts)
    values (v_account_id, p_credit_type, case when p_percents is null
      then (select c.alert_percents from credits.settings c) else v_percents end, v_amounts)
    on conflict (account_id, credit_type) do update
      set percents = excluded.percents, amounts = excluded.amounts;
  end if;
  perform credits.move_levels(v_account_id, p_credit_type, v_before.percents, v_before.amounts);
  return credits.alerts_answer(v_account_id, credits.acting_user(p_user_id));
end
$$;
comment on function credits.set_credit_alerts(uuid, text, integer[], bigint[], uuid) is
  'What set_credit_alerts does, after asking who calls.';
revoke all on function credits.set_credit_alerts(uuid, text, integer[], bigint[], uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.set_credit_alerts(uuid, text, integer[], bigint[], uuid)
  to authenticated, service_role;

-- edge: result=Alerts callers=authenticated,service_role repeatable required=percents
--   Warn at these shares used (``percents``) and these ``amounts`` left of a credit type.
--
--   Empty lists warn of nothing; None for both takes the usual levels again. What was told of
--   stays told in this period.
--
--   Raises:
--       UnknownCreditType, InvalidArgument.
--       Forbidden: of a workspace, by others than its owners and admins.
--       AccountNotFound.
create function public.set_credit_alerts(
  p_user_id uuid, p_credit_type text, p_percents integer[] default null,
  p_amounts bigint[] default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.set_credit_alerts(
  p_user_id, p_credit_type, p_percents, p_amounts, p_workspace_id);
comment on function public.set_credit_alerts(uuid, text, integer[], bigint[], uuid) is
  'At which shares used and at which amounts left the people of an account are warned, for one '
  'credit type. Null for both takes the usual levels again.';
revoke all on function public.set_credit_alerts(uuid, text, integer[], bigint[], uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.set_credit_alerts(uuid, text, integer[], bigint[], uuid)
  to authenticated, service_role;

create function credits.move_levels(
  p_account_id uuid, p_credit_type text, p_percents integer[], p_amounts bigint[])
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_levels record := credits.levels_of(p_account_id, p_credit_type);
  v_balance credits.balances;
  v_told_percent integer;
  v_told_amount bigint;
begin
  select * into v_balance from credits.balances b
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  -- Before anything was told in the period, the next spend works the levels out.
  if not found or v_balance.alert_percent = 0 then
    return;
  end if;
  select max(l) into v_told_percent from unnest(p_percents) l
  where l < coalesce(v_balance.alert_percent, 101);
  select min(a) into v_told_amount from unnest(p_amounts) a
  where a > coalesce(v_balance.alert_amount, -1);
  update credits.balances b set
    alert_percent = (select min(l) from unnest(v_levels.percents) l
      where v_told_percent is null or l > v_told_percent),
    alert_amount = (select max(a) from unnest(v_levels.amounts) a
      where v_told_amount is null or a < v_told_amount)
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
end
$$;
comment on function credits.move_levels(uuid, text, integer[], bigint[]) is
  'Makes the locked balance follow new levels, given the ones before: what is beyond all that was '
  'told of in this period is told when it is reached.';
revoke all on function credits.move_levels(uuid, text, integer[], bigint[])
  from public, anon, authenticated, service_role;
