-- Writes down what happened to a subscription, and which spells follow from all of it.

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
      x.is_frozen, x.is_earning, x.forfeited_at, x.is_whole, x.is_given_back, x.anchor_at,
      x.anchored_by, x.anchored_from, x.time_zone,
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
