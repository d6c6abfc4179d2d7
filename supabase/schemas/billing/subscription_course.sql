-- One of the provider's subscriptions, from its snapshots: what it was, from when on.

create function credits.snapshots_of(p_subscription_id text)
returns setof credits.billing_snapshots
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select s.* from credits.billing_snapshots s
  where s.subscription_id = p_subscription_id and s.rank > 0
  order by s.happened_at, s.rank, s.period_end, s.event_id;
  if found then
    return;
  end if;
  -- Of a subscription that is not known otherwise, its paid invoices say that it lives.
  return query
  select i.subscription_id, i.paid_at, 1, '', i.invoice_id, i.customer_id, 'active',
    jsonb_agg(to_jsonb(l)), min(l.period_start), max(l.period_end), min(l.period_start),
    null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, true, true
  from credits.billing_invoices i
  join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id and not l.is_proration
  where i.subscription_id = p_subscription_id
  group by i.invoice_id
  order by i.paid_at, i.invoice_id;
end
$$;
comment on function credits.snapshots_of(text) is
  'What a subscription was, in the order in which it counts: time, rank, end of the period, event.';
revoke all on function credits.snapshots_of(text)
  from public, anon, authenticated, service_role;

create function credits.state_of_snapshot(
  p_snapshot credits.billing_snapshots, p_before credits.provider_state)
returns credits.provider_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.provider_state;
  v_plan record;
  v_is_new boolean := p_before.subscription_id is null;
  v_begins boolean;
begin
  select * into v_plan from credits.plan_of_items(p_snapshot.items);
  s.subscription_id := p_snapshot.subscription_id;
  s.is_failure := false;
  s.status := p_snapshot.status;
  s.plan_id := v_plan.plan_id;
  s.quantity := v_plan.quantity;
  s.period_start := coalesce(v_plan.period_start, p_snapshot.period_start);
  v_begins := s.period_start > p_before.period_start;
  s.anchor_at := p_snapshot.anchor_at;
  s.trial_ends_at := p_snapshot.trial_ends_at;
  s.cancel_at := p_snapshot.cancel_at;
  s.is_collecting := p_snapshot.is_collecting;
  s.keeps_paid := p_snapshot.keeps_paid;
  -- It counts from the provider's instants, not from when they were told.
  s.started_at := case
    when p_snapshot.rank = 2 then coalesce(p_snapshot.ended_at, p_snapshot.happened_at)
    when v_is_new then least(p_snapshot.happened_at, s.period_start)
    when v_begins then s.period_start
    when (s.plan_id, s.quantity) is distinct from (p_before.plan_id, p_before.quantity) then
      coalesce(credits.prorated_at(s.subscription_id, s.plan_id, p_before.started_at,
        p_snapshot.happened_at), p_snapshot.happened_at)
    else p_snapshot.happened_at end;
  s.started_at := greatest(s.started_at, p_before.started_at);
  s.gives_back := not v_is_new and (p_snapshot.rank = 2 or v_begins)
    and credits.is_rest_given_back(s.subscription_id, p_before.period_start,
      case when p_snapshot.rank = 2 then s.started_at else s.period_start end,
      p_snapshot.rank < 2 and p_before.status <> 'paused');
  if v_is_new or p_snapshot.rank = 2 then
    return s;
  end if;
  s := credits.without_unpaid_upgrade(s, p_before);
  if s.period_start = p_before.period_start and v_begins then
    s.started_at := greatest(p_snapshot.happened_at, p_before.started_at);
  end if;
  return s;
end
$$;
comment on function credits.state_of_snapshot(
  credits.billing_snapshots, credits.provider_state) is
  'What a snapshot says, and from when on, after the state before it.';
revoke all on function credits.state_of_snapshot(
  credits.billing_snapshots, credits.provider_state) from public, anon, authenticated, service_role;

create function credits.without_unpaid_upgrade(
  p_state credits.provider_state, p_before credits.provider_state)
returns credits.provider_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.provider_state := p_state;
  v_is_more boolean;
begin
  if s.status in ('active', 'trialing') or s.plan_id is null then
    return s;
  end if;
  v_is_more := (
    select p_before.plan_id is null or n.rank > o.rank
      or n.id = o.id and s.quantity > p_before.quantity
    from public.plans n left join public.plans o on o.id = p_before.plan_id
    where n.id = s.plan_id);
  -- It is granted when it is paid for, and then from the instant that it was charged from.
  if v_is_more and not credits.is_plan_paid(
      s.subscription_id, s.plan_id, s.quantity, s.started_at)
    or credits.begins_unpaid(s, p_before) then
    s.plan_id := p_before.plan_id;
    s.quantity := p_before.quantity;
    -- A period that would begin with it has not begun either.
    s.period_start := p_before.period_start;
    s.anchor_at := p_before.anchor_at;
    s.gives_back := false;
  end if;
  return s;
end
$$;
comment on function credits.without_unpaid_upgrade(
  credits.provider_state, credits.provider_state) is
  'A larger plan, more seats, or a period that cuts a paid one short, of a subscription whose '
  'payment failed, is not there yet.';
revoke all on function credits.without_unpaid_upgrade(
  credits.provider_state, credits.provider_state) from public, anon, authenticated, service_role;

create function credits.begins_unpaid(
  p_state credits.provider_state, p_before credits.provider_state)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_state.status in ('past_due', 'unpaid') and p_state.period_start > p_before.period_start
    and p_state.period_start < p_before.covered_until
    and not credits.is_boundary(p_before.anchor_at, p_state.period_start)
    and not exists (
      select 1 from credits.billing_invoices i
      join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id and not l.is_proration
      where i.subscription_id = p_state.subscription_id
        and credits.is_about(l.period_start, p_state.period_start));
end
$$;
comment on function credits.begins_unpaid(credits.provider_state, credits.provider_state) is
  'Whether a state begins a period within one that is paid for, and has not been paid for itself.';
revoke all on function credits.begins_unpaid(credits.provider_state, credits.provider_state)
  from public, anon, authenticated, service_role;

create function credits.untold_renewal(
  p_snapshot credits.billing_snapshots, p_before credits.provider_state)
returns credits.provider_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.provider_state;
  v_plan record;
begin
  if p_snapshot.rank <> 1 or p_snapshot.period_start <= p_before.period_start
     or p_before.period_start is null then
    return s;
  end if;
  select * into v_plan from credits.plan_of_items(p_snapshot.items);
  if (v_plan.plan_id, v_plan.quantity) is not distinct from (p_before.plan_id, p_before.quantity)
     or credits.prorated_at(p_snapshot.subscription_id, v_plan.plan_id,
       v_plan.period_start, p_snapshot.happened_at) is null then
    return s;
  end if;
  s := p_before;
  s.started_at := greatest(v_plan.period_start, p_before.started_at);
  s.period_start := v_plan.period_start;
  s.anchor_at := p_snapshot.anchor_at;
  return s;
end
$$;
comment on function credits.untold_renewal(
  credits.billing_snapshots, credits.provider_state) is
  'The beginning of a period that no snapshot told of: the next one has changed the plan within '
  'it, and its invoice says when. Null where there is none.';
revoke all on function credits.untold_renewal(
  credits.billing_snapshots, credits.provider_state) from public, anon, authenticated, service_role;

create function credits.subscription_course(p_subscription_id text)
returns setof credits.provider_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_covered_until timestamptz := credits.covered_until_of(p_subscription_id);
  v_snapshot credits.billing_snapshots;
  v_before credits.provider_state;
  s credits.provider_state;
  v_n integer := 0;
begin
  for v_snapshot in select * from credits.snapshots_of(p_subscription_id) loop
    s := credits.untold_renewal(v_snapshot, v_before);
    if s.subscription_id is not null then
      v_n := v_n + 1;
      s.n := v_n;
      return next s;
      v_before := s;
    end if;
    s := credits.state_of_snapshot(v_snapshot, v_before);
    s.covered_until := v_covered_until;
    -- A period begins as the one before it went on: its payment fails when it fails.
    if v_snapshot.rank = 1 and v_snapshot.status in ('past_due', 'unpaid')
       and v_before.status = 'active' and s.started_at < v_snapshot.happened_at then
      s.status := 'active';
      v_n := v_n + 1;
      s.n := v_n;
      return next s;
      s.status := v_snapshot.status;
      s.started_at := v_snapshot.happened_at;
    end if;
    v_n := v_n + 1;
    s.n := v_n;
    return next s;
    -- What has ended never lives again, whatever is told of it later.
    exit when v_snapshot.rank = 2;
    v_before := s;
  end loop;
  for s.started_at in
    select f.happened_at from credits.billing_failures f
    where f.subscription_id = p_subscription_id and f.state = 'failed' order by f.happened_at
  loop
    v_n := v_n + 1;
    s.subscription_id := p_subscription_id;
    s.n := v_n;
    s.is_failure := true;
    s.status := 'past_due';
    s.covered_until := v_covered_until;
    return next s;
  end loop;
end
$$;
comment on function credits.subscription_course(text) is
  'All states of one subscription, and the failures to collect for it.';
revoke all on function credits.subscription_course(text)
  from public, anon, authenticated, service_role;
