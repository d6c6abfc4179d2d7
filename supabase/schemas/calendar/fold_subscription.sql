-- The one state machine of subscriptions. It reads the events in the order in which they happened,
-- so that what is heard of late ends as if it had been heard of at once, and says from when on what
-- holds. docs/concepts.md draws it.

create type credits.provider_state as (
  subscription_id text,
  started_at timestamptz,
  n integer,
  is_failure boolean,
  status text,
  plan_id text,
  quantity integer,
  period_start timestamptz,
  anchor_at timestamptz,
  trial_ends_at timestamptz,
  cancel_at timestamptz,
  is_collecting boolean,
  keeps_paid boolean,
  covered_until timestamptz
);
comment on type credits.provider_state is
  'What a provider''s subscription is from an instant on. plan_id is null for a price that is not '
  'registered.';

create type credits.subscription_state as (
  spell credits.subscription_spells,
  is_paid boolean,
  is_managed boolean,
  covered_until timestamptz,
  paid_from timestamptz,
  unpaid_at timestamptz,
  uncovered_from timestamptz,
  blocked_until timestamptz,
  next_quantity integer,
  next_quantity_at timestamptz,
  pending_quantity integer,
  cancel_at timestamptz,
  cancel_keeps boolean,
  zone_next text,
  zone_at timestamptz,
  trial_is_paid boolean,
  earns_from timestamptz,
  forfeits_from timestamptz,
  owed_status text,
  stops_at_cover boolean,
  followed_id text,
  kept_until timestamptz,
  known_at timestamptz,
  grace_plan_id text,
  grace_since timestamptz
);
comment on type credits.subscription_state is
  'A subscription on its way through its events: the spell that runs, and what is to come. '
  'followed_id: which of the provider''s subscriptions it follows; kept_until: the end of what a '
  'larger one had paid for. known_at: the real time of the last event; plans count as what they '
  'were then.';

create function credits.spell_period(
  p_spell credits.subscription_spells, p_at timestamptz, out period_start timestamptz,
  out period_end timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A trial is one period, however long it is.
  if p_spell.trial_ends_at is not null then
    period_start := p_spell.anchored_from;
    period_end := p_spell.trial_ends_at;
    return;
  end if;
  select p.period_start, p.period_end into period_start, period_end
  from credits.period_at(p_spell.anchor_at, p_spell.time_zone, p_at) p;
  -- After a change of the time zone the periods of before end inside of one of the new ones. The
  -- rest is joined to the following period when it is short, so that no account has two allowances
  -- by moving.
  if period_start < p_spell.anchored_from + interval '15 days' then
    period_start := p_spell.anchored_from;
    if period_end < p_spell.anchored_from + interval '15 days' then
      select p.period_end into period_end
        from credits.period_at(p_spell.anchor_at, p_spell.time_zone, period_end) p;
    end if;
  end if;
end
$$;
comment on function credits.spell_period(credits.subscription_spells, timestamptz) is
  'The period [period_start, period_end) of a spell that contains an instant.';
revoke all on function credits.spell_period(credits.subscription_spells, timestamptz)
  from public, anon, authenticated, service_role;

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
  v_at timestamptz := case when p_at > s.anchored_from then p_at - interval '1 microsecond'
    else p_at end;
begin
  return p_state.is_managed and s.trial_ends_at is null and not coalesce(
    p_state.covered_until >= (select p.period_end from credits.spell_period(s, v_at) p), false);
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
  -- At a boundary it is the period before that ends.
  select * into v_period from credits.spell_period(s.spell,
    case when p_at > (s.spell).anchored_from then p_at - interval '1 microsecond' else p_at end);
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
  select * into v_period from credits.spell_period(s.spell,
    case when p_at > (s.spell).anchored_from then p_at - interval '1 microsecond' else p_at end);
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

create function credits.next_transition(p_state credits.subscription_state, p_after timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  return least(
    (s.spell).pending_at, s.next_quantity_at, s.cancel_at, s.zone_at, s.blocked_until,
      (s.spell).trial_ends_at,
    case when s.is_paid and not (s.spell).is_frozen then (s.spell).grace_ends_at end,
    case when s.owed_status is not null and s.covered_until > p_after then s.covered_until end,
    case when s.uncovered_from > p_after then s.uncovered_from end);
end
$$;
comment on function credits.next_transition(credits.subscription_state, timestamptz) is
  'When time alone changes a subscription next; null when it never does.';
revoke all on function credits.next_transition(credits.subscription_state, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.pass_time(p_state credits.subscription_state, p_default text,
  p_at timestamptz)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  if s.zone_at <= p_at then
    s.spell.time_zone := s.zone_next;
    s.spell.anchored_from := s.zone_at;
    s.zone_at := null;
    s.zone_next := null;
  end if;
  if s.blocked_until <= p_at then
    s.blocked_until := null;
  end if;
  -- A payment failed while the period was covered: what follows is owed.
  if s.owed_status is not null and s.covered_until <= p_at then
    s.spell.status := s.owed_status;
    s.spell.past_due_since := coalesce((s.spell).past_due_since, p_at);
    s.owed_status := null;
  end if;
  if (s.spell).pending_at <= p_at then
    s := credits.enter_plan(s, (s.spell).pending_plan_id, s.pending_quantity, null, p_at);
  elsif s.cancel_at <= p_at then
    s := credits.cancel_plan(s, s.cancel_keeps, p_default, p_at);
  elsif s.next_quantity_at <= p_at then
    s.spell.quantity := s.next_quantity;
    s.next_quantity := null;
    s.next_quantity_at := null;
  elsif (s.spell).trial_ends_at <= p_at then
    if s.trial_is_paid or s.is_managed and s.covered_until > p_at then
      s.spell.status := 'active';
      s.spell.trial_ends_at := null;
    else
      s := credits.enter_plan(s, p_default, 1, null, p_at);
    end if;
    s := credits.anchor_periods(s, p_at);
  end if;
  return s;
end
$$;
comment on function credits.pass_time(credits.subscription_state, text, timestamptz) is
  'What time alone does to a subscription at an instant: what was pending begins, trials and paid '
  'times end.';
revoke all on function credits.pass_time(credits.subscription_state, text, timestamptz)
  from public, anon, authenticated, service_role;

create type credits.subscription_fold as (
  spells credits.subscription_spells[],
  state credits.subscription_state
);
comment on type credits.subscription_fold is
  'How far a subscription is folded: the spells so far, and the state it is in.';

create function credits.note_grace(p_state credits.subscription_state)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  if ((s.spell).plan_id, (s.spell).past_due_since) is distinct
    from (s.grace_plan_id, s.grace_since) then
    s.grace_plan_id := (s.spell).plan_id;
    s.grace_since := (s.spell).past_due_since;
    s.spell.grace_ends_at := case when s.grace_since is not null then s.grace_since
      + (credits.plan_condition_at(s.grace_plan_id, s.known_at)).past_due_grace end;
  end if;
  return s;
end
$$;
comment on function credits.note_grace(credits.subscription_state) is
  'Notes until when what is owed for stays spendable, once for each time that a plan comes to be '
  'owed for.';
revoke all on function credits.note_grace(credits.subscription_state)
  from public, anon, authenticated, service_role;

create function credits.emit_spell(
  p_spells credits.subscription_spells[], p_state credits.subscription_state, p_at timestamptz,
  p_always boolean default false)
returns credits.subscription_fold
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_base timestamptz := greatest(p_state.covered_until, p_state.paid_from);
  v_is_used boolean := false;
  v_last credits.subscription_spells;
  v_event_n bigint;
  v_spells credits.subscription_spells[] := p_spells;
  v_state credits.subscription_state := p_state;
begin
  -- Most of what happens leaves the spells before it alone; then their number costs nothing.
  for v_n in 1 .. case when v_state.earns_from is not null or v_state.forfeits_from is not null
      or v_state.is_paid and v_state.is_managed and v_base < (v_state.spell).anchored_from
    then coalesce(cardinality(v_spells), 0) else 0 end loop
    if v_spells[v_n].started_at >= v_state.earns_from then
      v_spells[v_n].is_earning := true;
    end if;
    if v_spells[v_n].started_at >= v_state.forfeits_from
       or coalesce(v_spells[v_n + 1].started_at, p_at) > v_state.forfeits_from
       -- Also those that end here: their allowance may have been restarted at this very instant.
       or v_state.forfeits_from = p_at
         and coalesce(v_spells[v_n + 1].started_at, p_at) = p_at then
      v_spells[v_n].forfeited_at := least(v_spells[v_n].forfeited_at, p_at);
    end if;
    v_is_used := v_is_used or v_spells[v_n].is_earning and v_spells[v_n].forfeited_at is null
      and v_base < (v_state.spell).anchored_from
      and v_spells[v_n].anchored_by < (v_state.spell).anchored_by
      and coalesce(v_spells[v_n + 1].started_at, p_at) > v_base;
  end loop;
  v_state.earns_from := null;
  v_state.forfeits_from := null;

  v_state.uncovered_from := null;
  if v_state.is_paid and v_state.is_managed then
    -- One period beyond what is covered, also when a new anchor came in between, and also when the
    -- account left without having paid for that one: the next subscription begins with a payment.
    v_state.uncovered_from := case when v_is_used or (v_state.spell).trial_ends_at is null
        and not coalesce(v_state.covered_until > v_state.unpaid_at, v_state.unpaid_at is null)
        then (v_state.spell).anchored_from
      when v_state.stops_at_cover then v_base else (
      select p.period_end
      from credits.spell_period(v_state.spell,
        greatest(v_base, (v_state.spell).anchored_from)) p) end;
  end if;
  v_state := credits.note_grace(v_state);
  v_state.spell.is_paid := v_state.is_paid;
  v_state.spell.is_frozen := v_state.is_paid and (
    (v_state.spell).paused_since is not null
    or coalesce((v_state.spell).grace_ends_at <= p_at, false));
  v_state.spell.is_earning := v_state.blocked_until is null and (not v_state.is_paid
    or (v_state.spell).past_due_since is null and (v_state.spell).paused_since is null
      and coalesce(p_at < v_state.uncovered_from, true));
  if not p_always and cardinality(v_spells) > 0 then
    v_last := v_spells[cardinality(v_spells)];
    v_state.spell.started_at := v_last.started_at;
    v_state.spell.n := v_last.n;
    v_event_n := (v_state.spell).event_n;
    v_state.spell.event_n := v_last.event_n;
    if v_state.spell is not distinct from v_last then
      return row(v_spells, v_state)::credits.subscription_fold;
    end if;
  end if;
  v_state.spell.event_n := coalesce(v_event_n, (v_state.spell).event_n);
  v_state.spell.started_at := p_at;
  v_state.spell.n := coalesce(cardinality(v_spells), 0) + 1;
  v_spells := v_spells || v_state.spell;
  return row(v_spells, v_state)::credits.subscription_fold;
end
$$;
comment on function credits.emit_spell(credits.subscription_spells[], credits.subscription_state,
  timestamptz, boolean) is
  'Adds the spell that begins at an instant, if it differs from the one before (p_always: also if '
  'not), and says of those before it what a recovery or a departure changes: whether they earn.';
revoke all on function credits.emit_spell(credits.subscription_spells[], credits.subscription_state,
  timestamptz, boolean)
  from public, anon, authenticated, service_role;

create function credits.fold_subscription(
  p_account_id uuid, p_course credits.provider_state[] default null)
returns credits.subscription_spells[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state;
  v_spells credits.subscription_spells[] := array[]::credits.subscription_spells[];
  v_default text;
  v_course credits.provider_state[] := coalesce(
    p_course, credits.provider_course(p_account_id));
  v_events credits.subscription_events[];
  v_event credits.subscription_events;
  v_emitted credits.subscription_fold;
  v_next timestamptz;
  v_at timestamptz := '-infinity'::timestamptz;
begin
  select b.is_managed, b.covered_until into s.is_managed, s.covered_until
  from credits.subscriptions b where b.account_id = p_account_id;
  if cardinality(v_course) > 0 then
    s.is_managed := false;
    s.covered_until := null;
  end if;
  v_events := credits.all_events(p_account_id, v_course);

  v_event := v_events[1];
  s.known_at := credits.sale_time(p_account_id, v_event.happened_at);
  v_default := credits.default_plan_at(s.known_at);
  s.is_paid := (credits.plan_condition_at(v_event.plan_id, s.known_at)).is_paid;
  s.paid_from := v_event.happened_at;
  s.spell := row(p_account_id, 0, 0, v_event.n, null, v_event.plan_id, v_event.plan_version,
    v_event.happened_at, s.is_paid, true, 1, 'active', false, true, null,
    false, v_event.happened_at, 1,
    v_event.happened_at, 'UTC', null, null, null, null, null, null,
    null)::credits.subscription_spells;
  -- What happened before the account was opened counts from the earliest news of it.
  v_emitted := credits.emit_spell(v_spells, s, least(v_event.happened_at, v_events[2].happened_at));
  for v_n in 2 .. cardinality(v_events) + 1 loop
    v_spells := v_emitted.spells;
    s := v_emitted.state;
    loop
      v_next := credits.next_transition(s, v_at);
      -- A trial is paid when news of the instant of its end says so.
      exit when v_next is null or v_n <= cardinality(v_events)
        and (v_next > v_events[v_n].happened_at
        or v_next = v_events[v_n].happened_at and v_next = (s.spell).trial_ends_at);
      v_at := greatest(v_next, v_at);
      v_emitted := credits.emit_spell(v_spells, credits.pass_time(s, v_default, v_next), v_at);
      v_spells := v_emitted.spells;
      s := v_emitted.state;
    end loop;
    exit when v_n > cardinality(v_events);
    v_event := v_events[v_n];
    v_at := v_event.happened_at;
    s.known_at := credits.sale_time(p_account_id, v_at);
    v_default := credits.default_plan_at(s.known_at);
    -- What falls to the very start of a period comes after it has begun, but for a plan, which
    -- begins with it.
    if v_event.status in ('past_due', 'unpaid', 'paused')
      and (s.spell).started_at < v_event.happened_at
       and (credits.spell_period(s.spell, v_event.happened_at)).period_start
         = v_event.happened_at then
      v_emitted := credits.emit_spell(v_spells, s, v_event.happened_at, true);
      v_spells := v_emitted.spells;
      s := v_emitted.state;
    end if;
    -- What a provider tells has no number of its own: restarts are counted by what was recorded
    -- here.
    s.spell.event_n := case when v_event.kind = 'provider' then (s.spell).event_n
      else v_event.n end;
    v_emitted := credits.emit_spell(v_spells, case when v_event.kind = 'provider'
      then credits.follow_provider(s, v_course[v_event.n], v_default)
      else credits.change_subscription(s, v_event, v_default) end, v_event.happened_at);
  end loop;
  return v_spells;
end
$$;
comment on function credits.fold_subscription(uuid, credits.provider_state[]) is
  'The spells of a subscription, from all its events in the order in which they happened. '
  'p_course: what its provider has told, where that is worked out already.';
revoke all on function credits.fold_subscription(uuid, credits.provider_state[])
  from public, anon, authenticated, service_role;

create function credits.all_events(p_account_id uuid, p_course credits.provider_state[])
returns credits.subscription_events[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- What a provider tells is worked out from its facts, and stands here by its place in the course.
  return (
    select array_agg(u.e order by (u.e).kind <> 'opened', (u.e).happened_at,
      (u.e).kind = 'provider', (u.e).n)
    from (
      select x as e from credits.subscription_events x where x.account_id = p_account_id
      union all
      select row(p_account_id, c.place, 'provider', c.started_at, null, null, null, null, null,
        c.status, null, null,
        null)::credits.subscription_events
      from unnest(p_course) with ordinality c (subscription_id, started_at, n, is_failure, status,
        plan_id, quantity,
        period_start, anchor_at, trial_ends_at, cancel_at, is_collecting, keeps_paid, covered_until,
          place)) u);
end
$$;
comment on function credits.all_events(uuid, credits.provider_state[]) is
  'All that happened to a subscription, recorded here or told by a payment provider, in the order '
  'in which it happened.';
revoke all on function credits.all_events(uuid, credits.provider_state[])
  from public, anon, authenticated, service_role;

create function credits.change_subscription(
  p_state credits.subscription_state, p_event credits.subscription_events, p_default text)
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
  case p_event.kind
  when 'plan' then
    s := credits.change_plan_event(s, p_event);
  when 'status' then
    s := credits.change_status_event(s, p_event, p_default);
  when 'version' then
    if p_event.plan_id = (s.spell).plan_id then
      s.spell.plan_version := p_event.plan_version;
      s.spell.versioned_at := p_event.happened_at;
    end if;
  when 'time_zone' then
    if not (s.is_managed and s.is_paid) then
      s.zone_next := p_event.time_zone;
      select p.period_end into s.zone_at from credits.spell_period(s.spell, p_event.happened_at) p;
    end if;
  when 'period' then
    select * into v_period from credits.spell_period(s.spell, p_event.happened_at);
    if s.is_paid and (s.spell).trial_ends_at is null
      and v_period.period_start <> p_event.happened_at then
      s := credits.anchor_periods(s, p_event.happened_at);
      s.spell.time_zone := 'UTC';
    end if;
  end case;
  return s;
end
$$;
comment on function credits.change_subscription(credits.subscription_state,
  credits.subscription_events, text) is
  'The state of a subscription after an event.';
revoke all on function credits.change_subscription(credits.subscription_state,
  credits.subscription_events, text)
  from public, anon, authenticated, service_role;

create function credits.refold(
  p_account_id uuid, p_at timestamptz, p_course credits.provider_state[] default null)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_spells credits.subscription_spells[] :=
    credits.fold_subscription(p_account_id, p_course);
  v_revision bigint;
  v_written_at timestamptz := clock_timestamp();
  v_replaced bigint;
  v_added bigint;
begin
  select coalesce(max(s.revision), 0) + 1 into v_revision
  from credits.subscription_spells s where s.account_id = p_account_id;
  update credits.subscription_spells s set replaced_at = p_at
  where s.account_id = p_account_id and s.replaced_at is null
    and not credits.is_same_spell(s, v_spells[s.n]);
  get diagnostics v_replaced = row_count;
  insert into credits.subscription_spells
  select (f).* from (
    select row(p_account_id, v_revision, x.n, x.event_n, x.started_at, x.plan_id, x.plan_version,
      x.versioned_at, x.is_paid, x.is_default, x.quantity, x.status,
      x.is_frozen, x.is_earning, x.forfeited_at, x.is_whole, x.anchor_at, x.anchored_by,
      x.anchored_from, x.time_zone,
      x.past_due_since, x.grace_ends_at, x.paused_since, x.trial_ends_at, x.pending_plan_id,
      x.pending_at,
      null)::credits.subscription_spells as f
    from unnest(v_spells) x
    where not exists (
      select 1 from credits.subscription_spells s
      where s.account_id = p_account_id and s.n = x.n and s.replaced_at is null)) y;
  get diagnostics v_added = row_count;
  if v_replaced + v_added = 0 then
    return;
  end if;
  update credits.subscriptions b set updated_at = v_written_at where b.account_id = p_account_id;
  -- What it comes to is booked by the next operation on each balance.
  update credits.balances b set due_at = least(b.due_at, b.settled_at)
    where b.account_id = p_account_id;
end
$$;
comment on function credits.refold(uuid, timestamptz, credits.provider_state[]) is
  'Writes down the spells that follow from the events, keeping those that no longer do as '
  'replaced. All balances are locked.';
revoke all on function credits.refold(uuid, timestamptz, credits.provider_state[])
  from public, anon, authenticated, service_role;

create function credits.is_same_spell(p_old credits.subscription_spells,
  p_new credits.subscription_spells)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  p_new.revision := p_old.revision;
  p_new.replaced_at := p_old.replaced_at;
  return p_old is not distinct from p_new;
end
$$;
comment on function credits.is_same_spell(credits.subscription_spells,
  credits.subscription_spells) is
  'Whether two spells differ in nothing but when they were written down.';
revoke all on function credits.is_same_spell(credits.subscription_spells,
  credits.subscription_spells)
  from public, anon, authenticated, service_role;

create function credits.record_event(p_account_id uuid, p_event credits.subscription_events,
  p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.subscription_events (
    account_id, n, kind, happened_at, recorded_at, plan_id, plan_version, quantity, at_period_end,
      status, ends_at, keeps_paid,
    time_zone)
  values (
    p_account_id,
    (select coalesce(max(e.n), 0) + 1 from credits.subscription_events e
      where e.account_id = p_account_id),
    p_event.kind, p_event.happened_at, p_at, p_event.plan_id, p_event.plan_version,
    p_event.quantity, p_event.at_period_end,
    p_event.status, p_event.ends_at, p_event.keeps_paid, p_event.time_zone);
  perform credits.refold(p_account_id, p_at);
end
$$;
comment on function credits.record_event(uuid, credits.subscription_events, timestamptz) is
  'Records what happened to a subscription. All balances of the account are locked, and what was '
  'due is booked.';
revoke all on function credits.record_event(uuid, credits.subscription_events, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.open_subscription(p_account_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_event credits.subscription_events;
begin
  -- Locked as a foreign key would: the plan cannot go away before its new subscriber shows.
  select 'opened', p_at, p.id, credits.latest_version(p.id)
    into v_event.kind, v_event.happened_at, v_event.plan_id, v_event.plan_version
  from public.plans p where p.is_default for key share;
  perform credits.record_event(p_account_id, v_event, p_at);
end
$$;
comment on function credits.open_subscription(uuid, timestamptz) is
  'Subscribes a new account to the default plan.';
revoke all on function credits.open_subscription(uuid, timestamptz)
  from public, anon, authenticated, service_role;
