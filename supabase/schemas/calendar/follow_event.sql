-- What a change of the plan, and what a status, does to a subscription.

create function credits.change_plan_event(
  p_state credits.subscription_state, p_event credits.subscription_events)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_at timestamptz := p_event.happened_at;
  v_is_same boolean := p_event.plan_id = (s.spell).plan_id;
  v_is_paid boolean := (credits.plan_condition_at(p_event.plan_id, s.known_at)).is_paid;
  v_quantity integer := coalesce(p_event.quantity, case when s.is_paid and v_is_paid
    then (s.spell).quantity else 1 end);
  v_period record;
begin
  select * into v_period from credits.spell_period(s.spell, v_at);
  if p_event.at_period_end and not (v_is_same and v_quantity = (s.spell).quantity) then
    s.cancel_at := null;
    s.spell.pending_plan_id := p_event.plan_id;
    s.spell.pending_at := v_period.period_end;
    s.pending_quantity := v_quantity;
    s.next_quantity := null;
    s.next_quantity_at := null;
    if (s.spell).status = 'canceled' then
      s.spell.status := 'active';
    end if;
  elsif v_is_same then
    s.spell.pending_plan_id := null;
    s.spell.pending_at := null;
    s.cancel_at := null;
    s.next_quantity := null;
    s.next_quantity_at := null;
    if (s.spell).status = 'canceled' then
      s.spell.status := 'active';
    end if;
    -- Fewer seats count from the next period.
    if v_quantity < (s.spell).quantity then
      s.next_quantity := v_quantity;
      s.next_quantity_at := v_period.period_end;
    else
      s.spell.quantity := v_quantity;
    end if;
  elsif v_is_paid and not s.is_paid then
    s := credits.enter_plan(s, p_event.plan_id, v_quantity, p_event.plan_version, v_at);
    s := credits.anchor_periods(s, v_at);
  elsif s.is_paid and not v_is_paid then
    s := credits.leave_plan(s, true, p_event.plan_id, v_quantity, p_event.plan_version, v_at);
  else
    s := credits.enter_plan(s, p_event.plan_id, greatest(v_quantity, case when s.is_paid
      then (s.spell).quantity end),
      p_event.plan_version, v_at);
    if v_quantity < (s.spell).quantity then
      s.next_quantity := v_quantity;
      s.next_quantity_at := v_period.period_end;
    end if;
  end if;
  return s;
end
$$;
comment on function credits.change_plan_event(credits.subscription_state,
  credits.subscription_events) is
  'What a change of plan or seats does: up at once, from free to paid with a new period, fewer '
  'seats from the next period.';
revoke all on function credits.change_plan_event(credits.subscription_state,
  credits.subscription_events)
  from public, anon, authenticated, service_role;

create function credits.change_status_event(
  p_state credits.subscription_state, p_event credits.subscription_events, p_default text)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_at timestamptz := p_event.happened_at;
  v_period record;
begin
  -- A plan without a price has nothing that could be owed, paused or canceled.
  if not s.is_paid then
    return s;
  end if;
  select * into v_period from credits.spell_period(s.spell, v_at);
  case p_event.status
  when 'active' then
    s.cancel_at := null;
    if (s.spell).status = 'canceled' then
      s.spell.pending_plan_id := null;
      s.spell.pending_at := null;
    end if;
    if (s.spell).trial_ends_at is not null then
      s.trial_is_paid := true;
      return s;
    end if;
    -- What was not granted meanwhile is made up for. A provider says by payments and periods of its
    -- own what there is.
    if not s.is_managed then
      s.earns_from := least((s.spell).paused_since, (s.spell).past_due_since);
    end if;
    s.spell.paused_since := null;
    -- Of a managed subscription only a payment says that it is paid: covered_until.
    if not s.is_managed then
      s.spell.past_due_since := null;
    end if;
    s.spell.status := 'active';
  when 'past_due', 'unpaid' then
    if (s.spell).trial_ends_at is not null then
      s.trial_is_paid := false;
    elsif (s.spell).status <> 'canceled'
      and not (s.is_managed and coalesce(s.covered_until >= v_period.period_end, false)) then
      s.spell.status := p_event.status;
      s.spell.paused_since := null;
      s.spell.past_due_since := coalesce((s.spell).past_due_since, v_at);
    end if;
  when 'paused' then
    if (s.spell).trial_ends_at is not null then
      s.trial_is_paid := false;
    elsif (s.spell).status <> 'canceled' then
      s.spell.status := 'paused';
      s.spell.paused_since := coalesce((s.spell).paused_since, v_at);
    end if;
  when 'trialing' then
    -- A trial that is prolonged is the same trial.
    if (s.spell).trial_ends_at is not null then
      s.spell.trial_ends_at := p_event.ends_at;
      return s;
    end if;
    s := credits.anchor_periods(s, v_at);
    s.spell.status := 'trialing';
    s.spell.paused_since := null;
    s.spell.trial_ends_at := p_event.ends_at;
    s.trial_is_paid := false;
  when 'canceled' then
    if (s.spell).status = 'canceled' and p_event.ends_at is null then
      if not p_event.keeps_paid then
        s := credits.leave_plan(s, false, p_default, 1, null, v_at);
      end if;
    elsif p_event.ends_at is not null then
      s.cancel_at := p_event.ends_at;
      s.cancel_keeps := p_event.keeps_paid;
    else
      s := credits.cancel_plan(s, p_event.keeps_paid, p_default, v_at);
    end if;
  end case;
  return s;
end
$$;
comment on function credits.change_status_event(credits.subscription_state,
  credits.subscription_events, text) is
  'What a status does to a paid plan.';
revoke all on function credits.change_status_event(credits.subscription_state,
  credits.subscription_events, text)
  from public, anon, authenticated, service_role;
