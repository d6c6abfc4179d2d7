-- The hooks of the core: one call behind credits.balances.has_budgets, with the balance locked.

create function credits.take_from_budgets(
  p_account_id uuid, p_credit_type text, p_user_id uuid, p_amount bigint, p_metadata jsonb,
  p_at timestamptz, p_period_start timestamptz, p_reserved bigint, p_common_budgets smallint,
  p_is_forced boolean default false)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_counted uuid[];
begin
  if p_common_budgets is null or p_reserved > 0 or p_is_forced then
    return credits.take_one_by_one(p_account_id, p_credit_type, p_user_id, p_amount, p_metadata,
      p_at, p_period_start, p_reserved, p_is_forced);
  end if;
  with counted as (
    update credits.budget_uses u set used = u.used + p_amount
    where u.account_id = p_account_id and u.user_id in (p_account_id, p_user_id)
      and u.credit_type = p_credit_type and u.used + p_amount < u.credit_limit
      and u.window_end > p_at
      and (not u.is_of_period or u.window_start = coalesce(p_period_start, '-infinity'))
    returning u.budget_id
  )
  select array_agg(c.budget_id) into v_counted from counted c;
  if coalesce(cardinality(v_counted), 0) = p_common_budgets then
    return true;
  end if;
  -- One has no room, is used up by this spend, or has not counted in this window yet.
  update credits.budget_uses u set used = u.used - p_amount
  where u.account_id = p_account_id and u.user_id in (p_account_id, p_user_id)
    and u.budget_id = any (v_counted);
  return credits.take_with_care(p_account_id, p_credit_type, p_user_id, p_amount, p_metadata,
    p_at, p_period_start, false);
end
$$;
comment on function credits.take_from_budgets(uuid, text, uuid, bigint, jsonb, timestamptz,
  timestamptz, bigint, smallint, boolean) is
  'Counts a spend in all budgets that apply to it, when all have room; else answers false and '
  'counts nothing. p_is_forced counts what is spent whatever the budgets say. Call it with the '
  'balance locked, before the spend is on the ledger.';
revoke all on function credits.take_from_budgets(uuid, text, uuid, bigint, jsonb, timestamptz,
  timestamptz, bigint, smallint, boolean)
  from public, anon, authenticated, service_role;

create function credits.take_one_by_one(
  p_account_id uuid, p_credit_type text, p_user_id uuid, p_amount bigint, p_metadata jsonb,
  p_at timestamptz, p_period_start timestamptz, p_reserved bigint, p_is_forced boolean)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v record;
  v_counting uuid[];
  v_holds boolean := p_reserved > 0;
  v_is_reached boolean := false;
begin
  -- Two statements where all have counted in this window already, and have room.
  for v in
    select b.id, b.window_kind in ('draw', 'in_flight') as is_uncounted, u.used, u.window_end > p_at
        and (b.window_kind <> 'period' or u.window_start = coalesce(p_period_start, '-infinity'))
        as is_current, b.credit_limit - case when v_holds and b.window_kind <> 'draw'
        then credits.held_under_budget(p_account_id, b, u.user_id, p_at) else 0 end as most,
      b.window_kind = 'draw' as is_draw
    from public.credit_budgets b
    left join credits.budget_uses u on u.account_id = p_account_id and u.budget_id = b.id
      and u.user_id = case when b.scope = 'member' and b.scope_value is null then p_user_id
        else p_account_id end
    where b.account_id = p_account_id and b.credit_type = p_credit_type
      and (b.scope = 'workspace' or b.scope = 'member' and b.scope_value is null
        or credits.budget_subject(p_account_id, b, p_user_id,
        case when b.scope = 'role' then credits.role_for_budget(p_account_id, b, p_user_id) end,
        p_metadata) is not null)
  loop
    if v.is_uncounted then
      continue when not v.is_draw or p_is_forced or p_amount <= v.most;
    elsif v.is_current and (p_is_forced or v.used + p_amount <= v.most) then
      v_counting := v_counting || v.id;
      v_is_reached := v_is_reached or v.used + p_amount >= v.most;
      continue;
    end if;
    return credits.take_with_care(p_account_id, p_credit_type, p_user_id, p_amount, p_metadata,
      p_at, p_period_start, p_is_forced);
  end loop;
  update credits.budget_uses u set used = u.used + p_amount
  where u.account_id = p_account_id and u.budget_id = any (v_counting)
    and u.user_id in (p_account_id, p_user_id);
  if v_is_reached then
    perform credits.announce_budget(p_account_id, p_credit_type, p_user_id, p_metadata, p_at,
      p_period_start, null, not p_is_forced);
  end if;
  return true;
end
$$;
comment on function credits.take_one_by_one(uuid, text, uuid, bigint, jsonb, timestamptz,
  timestamptz, bigint, boolean) is
  'What take_from_budgets does where a budget may not apply, or holds count: finds out which ones '
  'apply, and counts those.';
revoke all on function credits.take_one_by_one(uuid, text, uuid, bigint, jsonb, timestamptz,
  timestamptz, bigint, boolean)
  from public, anon, authenticated, service_role;

create function credits.take_with_care(
  p_account_id uuid, p_credit_type text, p_user_id uuid, p_amount bigint, p_metadata jsonb,
  p_at timestamptz, p_period_start timestamptz, p_is_forced boolean)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_states credits.budget_state[] := credits.budget_states(p_account_id, p_credit_type, p_user_id,
    p_metadata, p_at, p_period_start);
begin
  if not p_is_forced and exists (
    select 1 from unnest(v_states) s
    where s.window_kind <> 'in_flight' and s.used + s.held + p_amount > s.credit_limit) then
    return false;
  end if;
  insert into credits.budget_uses as u (
    account_id, budget_id, user_id, credit_type, credit_limit, is_of_period, used, window_start,
    window_end, tail)
  select p_account_id, s.budget_id, s.user_id, p_credit_type, s.credit_limit,
    s.window_kind = 'period', s.used + p_amount, s.window_start, s.window_end, s.tail
  from unnest(v_states) s where s.window_start is not null
  on conflict (account_id, budget_id, user_id) do update set used = excluded.used,
    window_start = excluded.window_start, window_end = excluded.window_end, tail = excluded.tail;
  if exists (
    select 1 from unnest(v_states) s
    where s.window_start is not null and s.used + p_amount
      + case when p_is_forced then 0 else s.held end >= s.credit_limit) then
    perform credits.announce_budget(p_account_id, p_credit_type, p_user_id, p_metadata, p_at,
      p_period_start, null, not p_is_forced);
  end if;
  return true;
end
$$;
comment on function credits.take_with_care(uuid, text, uuid, bigint, jsonb, timestamptz,
  timestamptz, boolean) is
  'What take_from_budgets does where a window has begun, hours have passed, or there is no room.';
revoke all on function credits.take_with_care(uuid, text, uuid, bigint, jsonb, timestamptz,
  timestamptz, boolean)
  from public, anon, authenticated, service_role;

create function credits.return_to_budgets(
  p_account_id uuid, p_credit_type text, p_user_id uuid, p_amount bigint, p_metadata jsonb,
  p_spent_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_budget public.credit_budgets;
begin
  for v_budget in
    select b.* from public.credit_budgets b
    where b.account_id = p_account_id and b.credit_type = p_credit_type
      and b.window_kind not in ('draw', 'in_flight')
  loop
    update credits.budget_uses u set used = u.used - p_amount
    where u.account_id = p_account_id and u.budget_id = v_budget.id
      and u.user_id = credits.budget_subject(p_account_id, v_budget, p_user_id,
        credits.role_for_budget(p_account_id, v_budget, p_user_id), p_metadata)
      and u.window_start <= p_spent_at
      and (v_budget.window_kind = 'rolling' or u.window_end > p_spent_at);
  end loop;
end
$$;
comment on function credits.return_to_budgets(uuid, text, uuid, bigint, jsonb, timestamptz) is
  'Gives budgets room back for what is refunded, or was not spent after all, in the window that '
  'has counted it.';
revoke all on function credits.return_to_budgets(uuid, text, uuid, bigint, jsonb, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.return_spend_to_budgets(
  p_account_id uuid, p_operation_id uuid, p_amount bigint)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.return_to_budgets(
    p_account_id, t.credit_type, t.user_id, p_amount, t.metadata, t.created_at)
  from (
    select o.credit_type, o.user_id, o.metadata, o.created_at from public.credit_transactions o
    where o.account_id = p_account_id and o.operation_id = p_operation_id
      and o.kind in ('consume', 'capture')
    limit 1) t;
end
$$;
comment on function credits.return_spend_to_budgets(uuid, uuid, bigint) is
  'Gives budgets room back for a part of a spend that is refunded.';
revoke all on function credits.return_spend_to_budgets(uuid, uuid, bigint)
  from public, anon, authenticated, service_role;

create function credits.room_for_extra(
  p_account_id uuid, p_balance credits.balances, p_user_id uuid, p_hold public.credit_reservations,
  p_metadata jsonb)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_hold.amount + p_hold.extra - p_hold.captured;
begin
  -- What is left of the hold is counted among the holds where it is the same person's and agent's.
  return (
    select coalesce(min(greatest(0, s.credit_limit - s.used - s.held - case
      when s.window_kind <> 'draw' and credits.budget_subject(p_account_id, b, p_hold.user_id,
        credits.role_for_budget(p_account_id, b, p_hold.user_id), p_hold.metadata) = s.user_id
      then 0 else v_left end)), 9007199254740992)
    from unnest(credits.budget_states(p_account_id, p_balance.credit_type, p_user_id, p_metadata,
      p_balance.settled_at, p_balance.period_start)) s
    join public.credit_budgets b on b.account_id = p_account_id and b.id = s.budget_id
    where s.window_kind <> 'in_flight');
end
$$;
comment on function credits.room_for_extra(uuid, credits.balances, uuid,
  public.credit_reservations, jsonb) is
  'How much a capture may take above its hold, by the budgets that apply.';
revoke all on function credits.room_for_extra(uuid, credits.balances, uuid,
  public.credit_reservations, jsonb)
  from public, anon, authenticated, service_role;

create function credits.forget_budget_uses(p_account_id uuid, p_scope text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if not exists (
    select 1 from public.credit_budgets b where b.account_id = p_account_id and b.scope = p_scope)
  then
    return;
  end if;
  perform 1 from credits.balances b where b.account_id = p_account_id
  order by b.credit_type for no key update;
  delete from credits.budget_uses u
  where u.account_id = p_account_id and u.budget_id in (
    select b.id from public.credit_budgets b
    where b.account_id = p_account_id and b.scope = p_scope);
end
$$;
comment on function credits.forget_budget_uses(uuid, text) is
  'Lets the budgets of a scope count anew from the ledger: who has a role has changed, or what the '
  'ledger says of an agent.';
revoke all on function credits.forget_budget_uses(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.count_roles_anew()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.forget_budget_uses(coalesce(new.account_id, old.account_id), 'role');
  return null;
end
$$;
comment on function credits.count_roles_anew() is
  'A budget of a role counts what those have spent who have the role now.';
revoke all on function credits.count_roles_anew() from public, anon, authenticated, service_role;
create trigger credit_workspace_members_count_roles_anew
  after insert or delete or update of role on public.credit_workspace_members
  for each row execute function credits.count_roles_anew();
