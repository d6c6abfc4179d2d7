-- What time alone does to a subscription: what is pending begins, grace and trials end.

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
