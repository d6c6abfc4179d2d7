-- The one state machine of subscriptions. It reads the events in the order in which they happened,
-- so that what is heard of late ends as if it had been heard of at once, and says from when on what
-- holds. docs/concepts.md draws it.

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
      or v_state.given_back_from is not null
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
    v_spells[v_n].is_given_back := v_spells[v_n].is_given_back or coalesce(
      coalesce(v_spells[v_n + 1].started_at, p_at) > v_state.given_back_from, false);
    v_is_used := v_is_used or v_spells[v_n].is_earning and v_spells[v_n].forfeited_at is null
      and v_base < (v_state.spell).anchored_from
      and v_spells[v_n].anchored_by < (v_state.spell).anchored_by
      and coalesce(v_spells[v_n + 1].started_at, p_at) > v_base;
  end loop;
  v_state.earns_from := null;
  v_state.forfeits_from := null;
  v_state.given_back_from := null;

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
    false, false, v_event.happened_at, 1,
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
        gives_back, place)) u);
end
$$;
comment on function credits.all_events(uuid, credits.provider_state[]) is
  'All that happened to a subscription, recorded here or told by a payment provider, in the order '
  'in which it happened.';
revoke all on function credits.all_events(uuid, credits.provider_state[])
  from public, anon, authenticated, service_role;
