-- A budget that has no room left is told to the people who can raise it, once a window: by the
-- spend that uses it up, or by the first denial where something smaller would still fit.

create function credits.announce_budget(
  p_account_id uuid, p_credit_type text, p_user_id uuid, p_metadata jsonb, p_at timestamptz,
  p_period_start timestamptz, p_budget_id uuid default null, p_counts_holds boolean default true)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_state credits.budget_state;
  v_once text;
begin
  foreach v_state in array credits.budget_states(p_account_id, p_credit_type, p_user_id,
    p_metadata, p_at, p_period_start)
  loop
    v_state.held := case when p_counts_holds then v_state.held else 0 end;
    -- What is too much for one draw uses nothing up.
    continue when v_state.window_kind = 'draw' or not case
      when p_budget_id is null then v_state.used + v_state.held >= v_state.credit_limit
      else v_state.budget_id = p_budget_id end;
    v_once := credits.budget_once(v_state, p_at);
    continue when exists (
      select 1 from credits.outbox o
      where o.account_id = p_account_id and o.once_key = v_once);
    perform credits.announce(p_account_id, 'budget.reached',
      jsonb_build_object('budget', credits.budget_story(p_account_id, v_state, 1), 'name', (
        select t.description from credits.credit_types t where t.id = p_credit_type)),
      p_credit_type, p_user_id, v_once);
  end loop;
end
$$;
comment on function credits.announce_budget(uuid, text, uuid, jsonb, timestamptz, timestamptz,
  uuid, boolean) is
  'Tells of the budgets that have no room left for what a person does with this metadata, or of '
  'the one that has just denied it: once a window and limit. What is captured still counts among '
  'the holds; p_counts_holds leaves them out.';
revoke all on function credits.announce_budget(uuid, text, uuid, jsonb, timestamptz, timestamptz,
  uuid, boolean)
  from public, anon, authenticated, service_role;

create function credits.budget_once(p_state credits.budget_state, p_at timestamptz)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Rolling hours never end, and holds have no window: they are told of once in so many hours.
  return format('budget:%s:%s:%s:%s', p_state.budget_id, p_state.user_id, p_state.credit_limit,
    case when p_state.window_kind in ('rolling', 'in_flight')
      then div(extract(epoch from p_at), 3600 * coalesce(p_state.hours, 24))::text
      else extract(epoch from p_state.window_start)::text end);
end
$$;
comment on function credits.budget_once(credits.budget_state, timestamptz) is
  'Under which key a budget that is used up is told, so that it is told once: a limit that is '
  'raised, and used up again, is told anew.';
revoke all on function credits.budget_once(credits.budget_state, timestamptz)
  from public, anon, authenticated, service_role;
