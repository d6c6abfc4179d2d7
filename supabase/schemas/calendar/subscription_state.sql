-- What a subscription is at an instant, as far as it decides what comes next. fold_subscription.sql
-- makes one out of all that happened; docs/concepts.md draws the state machine.

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
  covered_until timestamptz,
  gives_back boolean
);
comment on type credits.provider_state is
  'What a provider''s subscription is from an instant on. plan_id is null for a price that is not '
  'registered. gives_back: what was paid for the rest of the period before is given back.';

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
  given_back_from timestamptz,
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

create function credits.period_ending_at(
  p_spell credits.subscription_spells, p_at timestamptz, out period_start timestamptz,
  out period_end timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select p.period_start, p.period_end into period_start, period_end
  from credits.spell_period(p_spell, case when p_at > p_spell.anchored_from
    then p_at - interval '1 microsecond' else p_at end) p;
end
$$;
comment on function credits.period_ending_at(credits.subscription_spells, timestamptz) is
  'The period of a spell that contains an instant; at a boundary the one that ends there.';
revoke all on function credits.period_ending_at(credits.subscription_spells, timestamptz)
  from public, anon, authenticated, service_role;
