-- Entering, leaving and canceling a plan, from one state of a subscription to the next.

create function credits.enter_plan(
  p_state credits.subscription_state, p_plan_id text, p_quantity integer, p_version integer,
  p_at timestamptz)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_was_paid boolean := s.is_paid;
  v_plan record := credits.plan_condition_at(p_plan_id, s.known_at);
begin
  s.is_paid := v_plan.is_paid;
  s.spell.is_default := v_plan.is_default;
  if v_was_paid and not s.is_paid and credits.running_period_is_unpaid(s, p_at) then
    s.unpaid_at := p_at;
  end if;
  s.spell.plan_id := p_plan_id;
  s.spell.quantity := p_quantity;
  s.spell.plan_version := p_version;
  s.spell.versioned_at := case when p_version is not null then p_at end;
  s.spell.pending_plan_id := null;
  s.spell.pending_at := null;
  s.next_quantity := null;
  s.next_quantity_at := null;
  s.cancel_at := null;
  s.blocked_until := null;
  s.spell.is_whole := false;
  if not s.is_paid or not v_was_paid or (s.spell).status = 'canceled' then
    s.spell.status := 'active';
    s.spell.past_due_since := null;
    s.spell.paused_since := null;
    s.spell.trial_ends_at := null;
  end if;
  if s.is_paid and not v_was_paid then
    s.paid_from := p_at;
  end if;
  return s;
end
$$;
comment on function credits.enter_plan(credits.subscription_state, text, integer, integer,
  timestamptz) is
  'Moves a subscription to a plan. Between paid plans it keeps its status: to change the plan is '
  'no payment.';
revoke all on function credits.enter_plan(credits.subscription_state, text, integer, integer,
  timestamptz)
  from public, anon, authenticated, service_role;

create function credits.running_period_is_unpaid(
  p_state credits.subscription_state, p_at timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_spells := p_state.spell;
begin
  return p_state.is_managed and s.trial_ends_at is null and not coalesce(
    p_state.covered_until >= (select p.period_end from credits.period_ending_at(s, p_at) p), false);
end
$$;
comment on function credits.running_period_is_unpaid(credits.subscription_state, timestamptz) is
  'Whether a provider has not been paid for the period that runs, or ends at this instant. A trial '
  'is not to be paid.';
revoke all on function credits.running_period_is_unpaid(credits.subscription_state, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.anchor_periods(p_state credits.subscription_state, p_at timestamptz)
returns credits.subscription_state
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  s.spell.anchor_at := p_at;
  s.spell.anchored_from := p_at;
  s.spell.anchored_by := (s.spell).anchored_by + 1;
  s.spell.time_zone := coalesce(s.zone_next, (s.spell).time_zone);
  s.zone_next := null;
  s.zone_at := null;
  s.blocked_until := null;
  -- Fewer seats count from the next period: this one.
  s.spell.quantity := coalesce(s.next_quantity, (s.spell).quantity);
  s.next_quantity := null;
  s.next_quantity_at := null;
  return s;
end
$$;
comment on function credits.anchor_periods(credits.subscription_state, timestamptz) is
  'Starts a new period at an instant.';
revoke all on function credits.anchor_periods(credits.subscription_state, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.running_period_is_paid(p_state credits.subscription_state,
  p_end timestamptz)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return (p_state).is_paid and (p_state.spell).past_due_since is null
    and (p_state.spell).trial_ends_at is null
    and (not p_state.is_managed or coalesce(p_state.covered_until >= p_end, false));
end
$$;
comment on function credits.running_period_is_paid(credits.subscription_state, timestamptz) is
  'Whether the period that ends at p_end was paid for.';
revoke all on function credits.running_period_is_paid(credits.subscription_state, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.leave_plan(p_state credits.subscription_state, p_keeps boolean,
  p_plan_id text, p_quantity integer,
  p_version integer, p_at timestamptz)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_period record;
  v_is_paid boolean;
  v_was_trial boolean := (s.spell).trial_ends_at is not null;
begin
  select * into v_period from credits.period_ending_at(s.spell, p_at);
  v_is_paid := credits.running_period_is_paid(s, v_period.period_end);
  s := credits.enter_plan(s, p_plan_id, p_quantity, p_version, p_at);
  if p_at < v_period.period_end and not (v_is_paid and p_keeps) then
    s.forfeits_from := v_period.period_start;
    s.spell.is_whole := not v_is_paid;
    if v_is_paid then
      s.blocked_until := v_period.period_end;
    elsif v_was_trial then
      -- The period of the trial goes on as one of the new plan.
      s.spell.anchored_by := (s.spell).anchored_by + 1;
    end if;
  elsif p_at >= v_period.period_end then
    -- The period that would begin here is the new plan's alone.
    s.forfeits_from := p_at;
  end if;
  return s;
end
$$;
comment on function credits.leave_plan(credits.subscription_state, boolean, text, integer, integer,
  timestamptz) is
  'Leaves a paid plan at once. What was paid for stays, if it is to be kept; what was not gives '
  'way to the new plan''s allowance.';
revoke all on function credits.leave_plan(credits.subscription_state, boolean, text, integer,
  integer, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.cancel_plan(p_state credits.subscription_state, p_keeps boolean,
  p_default text, p_at timestamptz)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_period record;
begin
  s.cancel_at := null;
  select * into v_period from credits.period_ending_at(s.spell, p_at);
  if not p_keeps or not credits.running_period_is_paid(s, v_period.period_end)
    or p_at >= v_period.period_end then
    return credits.leave_plan(s, p_keeps, p_default, 1, null, p_at);
  end if;
  s.spell.status := 'canceled';
  s.spell.pending_plan_id := p_default;
  s.spell.pending_at := v_period.period_end;
  s.pending_quantity := 1;
  return s;
end
$$;
comment on function credits.cancel_plan(credits.subscription_state, boolean, text, timestamptz) is
  'Ends a plan: what was paid for stays to the end of its period, where it is to be kept.';
revoke all on function credits.cancel_plan(credits.subscription_state, boolean, text, timestamptz)
  from public, anon, authenticated, service_role;
