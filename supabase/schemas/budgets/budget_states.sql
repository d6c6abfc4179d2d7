create function credits.budget_subject(
  p_account_id uuid, p_budget public.credit_budgets, p_user_id uuid, p_role text, p_metadata jsonb)
returns uuid
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case p_budget.scope
    when 'workspace' then p_account_id
    when 'member' then case when p_budget.scope_value is null then p_user_id
      when p_budget.scope_value = p_user_id::text then p_account_id end
    when 'role' then case when p_budget.scope_value = p_role then p_account_id end
    when 'metadata' then case
      -- A name is itself also in a list, or a list would be a way around its budget.
      when p_metadata ->> split_part(p_budget.scope_value, '=', 1)
          = substr(p_budget.scope_value, strpos(p_budget.scope_value, '=') + 1)
        or p_metadata -> split_part(p_budget.scope_value, '=', 1)
          ? substr(p_budget.scope_value, strpos(p_budget.scope_value, '=') + 1)
      then p_account_id end
    end;
end
$$;
comment on function credits.budget_subject(uuid, public.credit_budgets, uuid, text, jsonb) is
  'For whom a budget counts what a person does under a role with this metadata: the person, for a '
  'budget of each member; the account, for what all share; null where it does not apply.';
revoke all on function credits.budget_subject(uuid, public.credit_budgets, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.budget_window(
  p_account_id uuid, p_kind text, p_hours integer, p_at timestamptz, p_period_start timestamptz,
  out window_start timestamptz, out window_end timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_zone text;
begin
  window_start := '-infinity';
  window_end := 'infinity';
  if p_kind = 'rolling' then
    -- What was booked exactly so many hours ago has left. It ends when the next entry leaves.
    window_start := p_at - make_interval(hours => p_hours) + interval '1 microsecond';
    window_end := p_at + make_interval(hours => p_hours);
  elsif p_kind = 'period' then
    window_start := coalesce(p_period_start, '-infinity');
  elsif p_kind in ('day', 'week', 'month') then
    v_zone := (credits.spell_at(p_account_id, p_at)).time_zone;
    window_start := date_trunc(p_kind, p_at at time zone v_zone) at time zone v_zone;
    window_end := (date_trunc(p_kind, p_at at time zone v_zone) + ('1 ' || p_kind)::interval)
      at time zone v_zone;
  end if;
end
$$;
comment on function credits.budget_window(uuid, text, integer, timestamptz, timestamptz) is
  'The window of a budget at an instant, from window_start on, before window_end.';
revoke all on function credits.budget_window(uuid, text, integer, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.counted_of(
  p_account_id uuid, p_budget public.credit_budgets, p_subject_id uuid,
  p_entry public.credit_transactions)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_entry.kind not in ('consume', 'capture') or credits.budget_subject(p_account_id, p_budget,
      p_entry.user_id, credits.role_for_budget(p_account_id, p_budget, p_entry.user_id),
      p_entry.metadata) is distinct from p_subject_id then
    return 0;
  end if;
  -- What was refunded of an operation of several rows is counted with its first.
  return -p_entry.amount - case when exists (
    select 1 from public.credit_transactions o
    where o.account_id = p_account_id and o.operation_id = p_entry.operation_id
      and o.credit_type = p_entry.credit_type and o.kind = p_entry.kind
      and o.version < p_entry.version) then 0
    else (
      select coalesce(sum(f.amount), 0) from public.credit_transactions f
      where f.account_id = p_account_id and f.related_operation_id = p_entry.operation_id
        and f.kind = 'refund') end;
end
$$;
comment on function credits.counted_of(uuid, public.credit_budgets, uuid,
  public.credit_transactions) is
  'What a budget counts of an entry of the ledger: the spend, less what was refunded of it.';
revoke all on function credits.counted_of(uuid, public.credit_budgets, uuid,
  public.credit_transactions)
  from public, anon, authenticated, service_role;

create function credits.role_for_budget(
  p_account_id uuid, p_budget public.credit_budgets, p_user_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_budget.scope <> 'role' then
    return null;
  end if;
  return (
    select m.role from public.credit_workspace_members m
    where m.account_id = p_account_id and m.user_id = p_user_id);
end
$$;
comment on function credits.role_for_budget(uuid, public.credit_budgets, uuid) is
  'The role that a person has now, where the budget asks for it.';
revoke all on function credits.role_for_budget(uuid, public.credit_budgets, uuid)
  from public, anon, authenticated, service_role;

create function credits.spent_under_budget(
  p_account_id uuid, p_budget public.credit_budgets, p_subject_id uuid, p_from timestamptz,
  p_to timestamptz, out spent bigint, out tail bigint, out next_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_entry public.credit_transactions;
begin
  spent := 0;
  tail := 0;
  -- From the newest entry back: their order is that of time.
  for v_entry in
    select t.* from public.credit_transactions t
    where t.account_id = p_account_id and t.credit_type = p_budget.credit_type
    order by t.version desc
  loop
    tail := v_entry.version;
    exit when v_entry.created_at < p_from;
    tail := 0;
    next_at := v_entry.created_at;
    if v_entry.created_at < p_to then
      spent := spent + credits.counted_of(p_account_id, p_budget, p_subject_id, v_entry);
    end if;
  end loop;
end
$$;
comment on function credits.spent_under_budget(uuid, public.credit_budgets, uuid, timestamptz,
  timestamptz) is
  'What the ledger says was spent under a budget in a stretch of time; tail is the version of the '
  'last entry before, next_at the time of the first one in it.';
revoke all on function credits.spent_under_budget(uuid, public.credit_budgets, uuid, timestamptz,
  timestamptz)
  from public, anon, authenticated, service_role;

create function credits.left_window(
  p_account_id uuid, p_budget public.credit_budgets, p_subject_id uuid, p_before timestamptz,
  p_tail bigint, out spent bigint, out tail bigint, out next_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_entry public.credit_transactions;
begin
  spent := 0;
  tail := p_tail;
  for v_entry in
    select t.* from public.credit_transactions t
    where t.account_id = p_account_id and t.credit_type = p_budget.credit_type
      and t.version > p_tail
    order by t.version
  loop
    next_at := v_entry.created_at;
    exit when v_entry.created_at >= p_before;
    next_at := null;
    tail := v_entry.version;
    spent := spent + credits.counted_of(p_account_id, p_budget, p_subject_id, v_entry);
  end loop;
end
$$;
comment on function credits.left_window(uuid, public.credit_budgets, uuid, timestamptz, bigint) is
  'What has left the rolling hours of a budget since its tail: each entry of the ledger is looked '
  'at once. next_at is that of the first that has not left.';
revoke all on function credits.left_window(uuid, public.credit_budgets, uuid, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.held_under_budget(
  p_account_id uuid, p_budget public.credit_budgets, p_subject_id uuid, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(r.amount + r.extra - r.captured), 0)::bigint
    from public.credit_reservations r
    where r.account_id = p_account_id and r.credit_type = p_budget.credit_type
      and r.status = 'open' and r.expires_at > p_at
      and credits.budget_subject(p_account_id, p_budget, r.user_id,
        credits.role_for_budget(p_account_id, p_budget, r.user_id), r.metadata) = p_subject_id);
end
$$;
comment on function credits.held_under_budget(uuid, public.credit_budgets, uuid, timestamptz) is
  'What the holds that live at an instant have pinned under a budget.';
revoke all on function credits.held_under_budget(uuid, public.credit_budgets, uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.budget_state(
  p_account_id uuid, p_budget public.credit_budgets, p_subject_id uuid, p_at timestamptz,
  p_period_start timestamptz)
returns credits.budget_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_use credits.budget_uses;
  v_window record;
  v_spent record;
  v_state credits.budget_state;
begin
  v_state := row(p_budget.id, p_budget.scope, p_budget.scope_value, p_budget.window_kind,
    p_budget.hours, p_budget.credit_limit, p_subject_id, 0, 0, null, null, 0);
  if p_budget.window_kind <> 'draw' then
    v_state.held := credits.held_under_budget(p_account_id, p_budget, p_subject_id, p_at);
  end if;
  if p_budget.window_kind in ('draw', 'in_flight') then
    return v_state;
  end if;
  select * into v_use from credits.budget_uses u
  where u.account_id = p_account_id and u.budget_id = p_budget.id and u.user_id = p_subject_id;
  if v_use.window_end > p_at and (p_budget.window_kind <> 'period'
       or v_use.window_start = coalesce(p_period_start, '-infinity')) then
    v_state.used := v_use.used;
    v_state.window_start := v_use.window_start;
    v_state.window_end := v_use.window_end;
    v_state.tail := v_use.tail;
    return v_state;
  end if;
  v_window := credits.budget_window(p_account_id, p_budget.window_kind, p_budget.hours, p_at,
    p_period_start);
  v_state.window_start := v_window.window_start;
  v_state.window_end := v_window.window_end;
  if p_budget.window_kind = 'rolling' and v_use.used is not null then
    v_spent := credits.left_window(p_account_id, p_budget, p_subject_id, v_window.window_start,
      v_use.tail);
    v_state.used := v_use.used - v_spent.spent;
  else
    v_spent := credits.spent_under_budget(p_account_id, p_budget, p_subject_id,
      v_window.window_start, 'infinity');
    v_state.used := v_spent.spent;
  end if;
  if p_budget.window_kind = 'rolling' then
    v_state.window_end := coalesce(v_spent.next_at + make_interval(hours => p_budget.hours),
      v_state.window_end);
  end if;
  v_state.tail := v_spent.tail;
  return v_state;
end
$$;
comment on function credits.budget_state(uuid, public.credit_budgets, uuid, timestamptz,
  timestamptz) is
  'What a budget has counted and holds for one subject at an instant: the one definition, for the '
  'spend and for whoever reads.';
revoke all on function credits.budget_state(uuid, public.credit_budgets, uuid, timestamptz,
  timestamptz)
  from public, anon, authenticated, service_role;

create function credits.budget_states(
  p_account_id uuid, p_credit_type text, p_user_id uuid, p_metadata jsonb, p_at timestamptz,
  p_period_start timestamptz)
returns credits.budget_state[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_budget public.credit_budgets;
  v_subject_id uuid;
  v_states credits.budget_state[] := array[]::credits.budget_state[];
begin
  for v_budget in
    select b.* from public.credit_budgets b
    where b.account_id = p_account_id and b.credit_type = p_credit_type
  loop
    v_subject_id := credits.budget_subject(p_account_id, v_budget, p_user_id,
      credits.role_for_budget(p_account_id, v_budget, p_user_id), p_metadata);
    if v_subject_id is not null then
      v_states := v_states || credits.budget_state(
        p_account_id, v_budget, v_subject_id, p_at, p_period_start);
    end if;
  end loop;
  return v_states;
end
$$;
comment on function credits.budget_states(uuid, text, uuid, jsonb, timestamptz, timestamptz) is
  'The budgets that apply to what a person would do with this metadata, and how they stand.';
revoke all on function credits.budget_states(uuid, text, uuid, jsonb, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;
