create function credits.follow_provider(
  p_state credits.subscription_state, p_told credits.provider_state, p_default text)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_event credits.subscription_events;
  v_was_paid boolean := not s.is_managed and credits.running_period_is_paid(s, null);
begin
  v_event.kind := 'status';
  v_event.happened_at := p_told.started_at;
  s := credits.leave_followed(s, p_told);
  s.is_managed := true;
  s.covered_until := p_told.covered_until;
  s.followed_id := p_told.subscription_id;
  if p_told.is_failure then
    v_event.status := 'past_due';
    return credits.change_status_event(s, v_event, p_default);
  elsif not credits.is_living_status(p_told.status) then
    v_event.status := 'canceled';
    v_event.keeps_paid := p_told.keeps_paid and p_told.gives_back is not true;
    s := credits.give_back_rest(s, p_told);
    s := credits.change_status_event(s, v_event, p_default);
    s.is_managed := false;
    s.covered_until := null;
    s.owed_status := null;
    s.followed_id := null;
    return s;
  elsif p_told.plan_id is null then
    return credits.follow_unknown_price(s, p_told, p_default);
  end if;
  -- What another subscription was paid for is nothing that this one owes.
  if v_was_paid then
    s.paid_from := p_told.started_at;
  end if;
  s := credits.follow_plan(s, p_told);
  s := credits.follow_status(s, p_told, p_default);
  if p_told.cancel_at > p_told.started_at then
    s := credits.follow_cancellation(s, p_told, p_default);
  end if;
  s.stops_at_cover := not p_told.is_collecting
    and (select x.pause = 'none' from credits.settings x);
  return s;
end
$$;
comment on function credits.follow_provider(
  credits.subscription_state, credits.provider_state, text) is
  'The state of a subscription after what its payment provider has told: plan, period, status, '
  'cancellation.';
revoke all on function credits.follow_provider(
  credits.subscription_state, credits.provider_state, text)
  from public, anon, authenticated, service_role;

create function credits.leave_followed(
  p_state credits.subscription_state, p_told credits.provider_state)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_at timestamptz := p_told.started_at;
  v_period record;
begin
  if s.followed_id is null or s.followed_id = p_told.subscription_id or not s.is_paid
     or p_told.plan_id is null or not credits.is_living_status(p_told.status) then
    return s;
  end if;
  select * into v_period from credits.period_ending_at(s.spell, v_at);
  if not (p_told.keeps_paid and credits.running_period_is_paid(s, v_period.period_end)) then
    s := credits.leave_plan(s, false, p_told.plan_id, p_told.quantity,
      credits.version_at(p_told.plan_id, v_at), v_at);
    s.blocked_until := null;
    s.spell.is_whole := v_at < v_period.period_end;
  elsif credits.is_smaller_plan(p_told.plan_id, (s.spell).plan_id) then
    s.kept_until := v_period.period_end;
  end if;
  -- What the one owed, tried or was to end with is none of the other's.
  s.spell.status := 'active';
  s.spell.past_due_since := null;
  s.spell.paused_since := null;
  s.spell.trial_ends_at := null;
  s.spell.pending_plan_id := null;
  s.spell.pending_at := null;
  s.cancel_at := null;
  s.owed_status := null;
  return s;
end
$$;
comment on function credits.leave_followed(
  credits.subscription_state, credits.provider_state) is
  'Goes over from one of the provider''s subscriptions to another that lives. What the one had '
  'paid for stays to its end; what it had not paid for gives way to what the other one has.';
revoke all on function credits.leave_followed(credits.subscription_state, credits.provider_state)
  from public, anon, authenticated, service_role;

create function credits.is_smaller_plan(p_plan_id text, p_than_id text)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.plans p join public.plans o on o.id = p_than_id and o.rank >= p.rank
    where p.id = p_plan_id);
end
$$;
comment on function credits.is_smaller_plan(text, text) is
  'Whether a plan is no larger than another one.';
revoke all on function credits.is_smaller_plan(text, text)
  from public, anon, authenticated, service_role;

create function credits.follow_unknown_price(
  p_state credits.subscription_state, p_told credits.provider_state, p_default text)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  if not s.is_paid then
    s.is_managed := false;
    s.covered_until := null;
    return s;
  end if;
  if s.covered_until > p_told.started_at then
    s.spell.pending_plan_id := p_default;
    s.spell.pending_at := s.covered_until;
    s.pending_quantity := 1;
    return s;
  end if;
  return credits.cancel_plan(s, true, p_default, p_told.started_at);
end
$$;
comment on function credits.follow_unknown_price(
  credits.subscription_state, credits.provider_state, text) is
  'A price that is not registered: what was paid for is kept to its end, then the default plan.';
revoke all on function credits.follow_unknown_price(
  credits.subscription_state, credits.provider_state, text)
  from public, anon, authenticated, service_role;

create function credits.follow_plan(
  p_state credits.subscription_state, p_told credits.provider_state)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_event credits.subscription_events;
  v_at timestamptz := p_told.started_at;
  -- A period of a smaller subscription does not cut short what a larger one had paid for.
  v_begins boolean := v_at = p_told.period_start and coalesce(v_at >= s.kept_until, true);
begin
  v_event.kind := 'plan';
  v_event.happened_at := v_at;
  v_event.plan_id := p_told.plan_id;
  v_event.quantity := p_told.quantity;
  v_event.at_period_end := false;
  v_event.plan_version := credits.version_at(p_told.plan_id, s.known_at);
  s := credits.change_plan_event(s, v_event);
  if (s.spell).time_zone <> 'UTC' then
    s.spell.anchored_from := greatest((s.spell).anchored_from, v_at);
    s.spell.time_zone := 'UTC';
  end if;
  s.zone_next := null;
  s.zone_at := null;
  if p_told.period_start is null or p_told.status = 'trialing'
     or (s.spell).trial_ends_at is not null then
    return s;
  end if;
  if not credits.is_boundary((s.spell).anchor_at, p_told.period_start) and v_begins then
    s := credits.give_back_rest(s, p_told);
    s := credits.anchor_periods(s, v_at);
    s.spell.plan_version := v_event.plan_version;
    s.spell.versioned_at := v_at;
  end if;
  -- The provider counts from its own anchor: 31 January, 28 February, 31 March.
  if credits.is_boundary(p_told.anchor_at, p_told.period_start) and v_begins then
    s.spell.anchor_at := p_told.anchor_at;
  end if;
  return s;
end
$$;
comment on function credits.follow_plan(
  credits.subscription_state, credits.provider_state) is
  'Plan, seats and period as the provider has them, on the calendar of UTC.';
revoke all on function credits.follow_plan(credits.subscription_state, credits.provider_state)
  from public, anon, authenticated, service_role;

create function credits.give_back_rest(
  p_state credits.subscription_state, p_told credits.provider_state)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  if p_told.gives_back and s.is_paid then
    s.given_back_from := (
      select p.period_start from credits.period_ending_at(s.spell, p_told.started_at) p);
  end if;
  return s;
end
$$;
comment on function credits.give_back_rest(
  credits.subscription_state, credits.provider_state) is
  'Notes of the period that is cut short here that its rest was given back.';
revoke all on function credits.give_back_rest(credits.subscription_state, credits.provider_state)
  from public, anon, authenticated, service_role;

create function credits.is_boundary(p_anchor_at timestamptz, p_at timestamptz)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return p_anchor_at is not null
    and (credits.period_at(p_anchor_at, 'UTC', p_at)).period_start = p_at;
end
$$;
comment on function credits.is_boundary(timestamptz, timestamptz) is
  'Whether an instant is a whole number of months away from an anchor, on the calendar of UTC.';
revoke all on function credits.is_boundary(timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.follow_status(
  p_state credits.subscription_state, p_told credits.provider_state, p_default text)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_event credits.subscription_events;
  v_at timestamptz := p_told.started_at;
begin
  v_event.kind := 'status';
  v_event.happened_at := v_at;
  v_event.status := p_told.status;
  s.owed_status := null;
  if p_told.status = 'trialing' then
    if (s.spell).trial_ends_at is not null then
      s.spell.trial_ends_at := greatest(p_told.trial_ends_at, v_at);
    elsif p_told.trial_ends_at > v_at then
      v_event.ends_at := p_told.trial_ends_at;
      s := credits.change_status_event(s, v_event, p_default);
    end if;
    return s;
  end if;
  if (s.spell).trial_ends_at > v_at and coalesce(p_told.trial_ends_at, v_at) <= v_at then
    s.spell.trial_ends_at := v_at;
  end if;
  s := credits.change_status_event(s, v_event, p_default);
  if p_told.status in ('past_due', 'unpaid') and (s.spell).past_due_since is null
     and (s.spell).trial_ends_at is null then
    -- What is covered stays; what follows is owed from its beginning.
    s.owed_status := p_told.status;
  elsif p_told.status = 'active' and (s.spell).past_due_since = v_at then
    s.spell.past_due_since := null;
  elsif p_told.status = 'active' and (s.spell).past_due_since is not null then
    s.spell.status := 'past_due';
  end if;
  return s;
end
$$;
comment on function credits.follow_status(
  credits.subscription_state, credits.provider_state, text) is
  'The status as the provider has it. That it is active is no payment.';
revoke all on function credits.follow_status(
  credits.subscription_state, credits.provider_state, text)
  from public, anon, authenticated, service_role;

create function credits.follow_cancellation(
  p_state credits.subscription_state, p_told credits.provider_state, p_default text)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  if (credits.spell_period(s.spell, p_told.cancel_at)).period_start = p_told.cancel_at then
    s.spell.pending_plan_id := p_default;
    s.spell.pending_at := p_told.cancel_at;
    s.pending_quantity := 1;
  else
    s.cancel_at := p_told.cancel_at;
    s.cancel_keeps := p_told.keeps_paid;
  end if;
  return s;
end
$$;
comment on function credits.follow_cancellation(
  credits.subscription_state, credits.provider_state, text) is
  'A cancellation to come: with the end of a period, or within one.';
revoke all on function credits.follow_cancellation(
  credits.subscription_state, credits.provider_state, text)
  from public, anon, authenticated, service_role;
