-- How a provider's subscriptions look to the fold (calendar/fold_subscription.sql): one course of
-- states in the order in which they began, worked out from all snapshots, paid invoices and
-- failures that are known. It is made anew with every fold, so the order of arrival leaves no
-- trace.

create function credits.plan_of_items(
  p_items jsonb, out plan_id text, out quantity integer, out period_start timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select p.id, case when p.per_seat
      then greatest(1, least(coalesce((i ->> 'quantity')::bigint, 1), 1000000)) else 1 end,
    (i ->> 'period_start')::timestamptz
    into plan_id, quantity, period_start
  from jsonb_array_elements(p_items) i
  join credits.billing_prices b on b.price_id = i ->> 'price_id'
  join public.plans p on p.id = b.plan_id
  order by p.rank desc, 2 desc, 3 limit 1;
end
$$;
comment on function credits.plan_of_items(jsonb) is
  'The largest plan that items of a subscription, or lines of an invoice, are of; seats where '
  'the plan is sold by seats.';
revoke all on function credits.plan_of_items(jsonb)
  from public, anon, authenticated, service_role;

create function credits.covered_until_of(p_subscription_id text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    -- What is disputed, or was lost, covers nothing after that. To give money back is not to end
    -- the subscription: what was refunded covers as before.
    select max(least(l.period_end, credits.disputed_from(i.invoice_id)))
    from credits.billing_invoices i
    join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id
    join credits.billing_prices b on b.price_id = l.price_id and b.plan_id is not null
    where i.subscription_id = p_subscription_id and not l.is_proration);
end
$$;
comment on function credits.covered_until_of(text) is
  'Up to when invoices that were paid cover a subscription.';
revoke all on function credits.covered_until_of(text)
  from public, anon, authenticated, service_role;

create function credits.disputed_from(p_invoice_id text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select min(d.opened_at) from credits.billing_payments p
    join credits.billing_disputes d on d.payment_id = p.payment_id and d.rank in (1, 3)
    where p.invoice_id = p_invoice_id);
end
$$;
comment on function credits.disputed_from(text) is
  'Since when the payment of an invoice is disputed, or was until it was lost; null where it '
  'stands.';
revoke all on function credits.disputed_from(text)
  from public, anon, authenticated, service_role;

create function credits.payments_of_invoice(p_invoice_id text)
returns text[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return array(
    select p.payment_id from credits.billing_payments p
    where p.invoice_id = p_invoice_id order by p.payment_id);
end
$$;
comment on function credits.payments_of_invoice(text) is 'The payments that paid an invoice.';
revoke all on function credits.payments_of_invoice(text)
  from public, anon, authenticated, service_role;

create function credits.is_plan_paid(
  p_subscription_id text, p_plan_id text, p_quantity integer, p_at timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from credits.billing_invoices i
    join credits.billing_invoice_lines l on l.invoice_id = i.invoice_id and l.period_end > p_at
    join credits.billing_prices b on b.price_id = l.price_id and b.plan_id = p_plan_id
    join public.plans p on p.id = p_plan_id
    where i.subscription_id = p_subscription_id and l.amount >= 0
      and (not p.per_seat or l.quantity >= p_quantity));
end
$$;
comment on function credits.is_plan_paid(text, text, integer, timestamptz) is
  'Whether a paid invoice has a line for this plan, and as many seats, beyond an instant.';
revoke all on function credits.is_plan_paid(text, text, integer, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.prorated_at(
  p_subscription_id text, p_plan_id text, p_after timestamptz, p_until timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select max(i.proration_at) from credits.billing_invoices i
    where i.subscription_id = p_subscription_id and i.proration_at > p_after
      and i.proration_at <= p_until and exists (
        select 1 from credits.billing_invoice_lines l
        join credits.billing_prices b on b.price_id = l.price_id
        where l.invoice_id = i.invoice_id and b.plan_id = p_plan_id));
end
$$;
comment on function credits.prorated_at(text, text, timestamptz, timestamptz) is
  'The instant that a change of plan was charged from; null where no invoice says so.';
revoke all on function credits.prorated_at(text, text, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

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
begin
  select * into v_plan from credits.plan_of_items(p_snapshot.items);
  s.subscription_id := p_snapshot.subscription_id;
  s.is_failure := false;
  s.status := p_snapshot.status;
  s.plan_id := v_plan.plan_id;
  s.quantity := v_plan.quantity;
  s.period_start := coalesce(v_plan.period_start, p_snapshot.period_start);
  s.anchor_at := p_snapshot.anchor_at;
  s.trial_ends_at := p_snapshot.trial_ends_at;
  s.cancel_at := p_snapshot.cancel_at;
  s.is_collecting := p_snapshot.is_collecting;
  s.keeps_paid := p_snapshot.keeps_paid;
  -- It counts from the provider's instants, not from when they were told.
  s.started_at := case
    when p_snapshot.rank = 2 then coalesce(p_snapshot.ended_at, p_snapshot.happened_at)
    when v_is_new then least(p_snapshot.happened_at, s.period_start)
    when s.period_start > p_before.period_start then s.period_start
    when (s.plan_id, s.quantity) is distinct from (p_before.plan_id, p_before.quantity) then
      coalesce(credits.prorated_at(s.subscription_id, s.plan_id, p_before.started_at,
        p_snapshot.happened_at), p_snapshot.happened_at)
    else p_snapshot.happened_at end;
  s.started_at := greatest(s.started_at, p_before.started_at);
  return case when v_is_new or p_snapshot.rank = 2 then s
    else credits.without_unpaid_upgrade(s, p_before) end;
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
    s.subscription_id, s.plan_id, s.quantity, s.started_at) then
    s.plan_id := p_before.plan_id;
    s.quantity := p_before.quantity;
    -- A period that would begin with it has not begun either.
    s.period_start := p_before.period_start;
    s.anchor_at := p_before.anchor_at;
  end if;
  return s;
end
$$;
comment on function credits.without_unpaid_upgrade(
  credits.provider_state, credits.provider_state) is
  'A larger plan, or more seats, of a subscription whose payment failed is not there yet.';
revoke all on function credits.without_unpaid_upgrade(
  credits.provider_state, credits.provider_state) from public, anon, authenticated, service_role;

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

create function credits.subscriptions_of(p_account_id uuid)
returns setof text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select s.subscription_id from credits.billing_customers c
  join credits.billing_snapshots s on s.customer_id = c.customer_id
  where c.account_id = p_account_id
  union
  select i.subscription_id from credits.billing_customers c
  join credits.billing_invoices i on i.customer_id = c.customer_id
  where c.account_id = p_account_id and i.subscription_id is not null;
end
$$;
comment on function credits.subscriptions_of(uuid) is
  'The provider''s subscriptions of an account, over all its customers.';
revoke all on function credits.subscriptions_of(uuid)
  from public, anon, authenticated, service_role;

create function credits.is_living_status(p_status text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return p_status in ('active', 'trialing', 'past_due', 'unpaid', 'paused');
end
$$;
comment on function credits.is_living_status(text) is
  'Whether a subscription has begun and not ended.';
revoke all on function credits.is_living_status(text)
  from public, anon, authenticated, service_role;

create function credits.leading_state(p_states credits.provider_state[], p_at timestamptz)
returns credits.provider_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.provider_state;
begin
  select x.* into s from unnest(p_states) x
  left join public.plans p on p.id = x.plan_id
  where credits.is_living_status(x.status) and coalesce(x.cancel_at > p_at, true)
  -- One that has been paid for goes before a larger one that has not.
  order by x.status in ('active', 'trialing') desc, credits.is_paid_state(x, p_at) desc,
    p.rank desc nulls last, x.quantity desc, x.started_at desc, x.subscription_id limit 1;
  return s;
end
$$;
comment on function credits.leading_state(credits.provider_state[], timestamptz) is
  'Of several living subscriptions the one with the highest allowance that was paid for; null '
  'where none lives.';
revoke all on function credits.leading_state(credits.provider_state[], timestamptz)
  from public, anon, authenticated, service_role;

create function credits.is_paid_state(p_state credits.provider_state, p_at timestamptz)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  -- A trial is not to be paid, and of a renewal the first month is there before its payment.
  return p_state.status = 'trialing' or coalesce(p_state.covered_until > p_at
    or p_state.covered_until >= p_state.period_start
      and p_at < (credits.period_at(p_state.period_start, 'UTC', p_state.period_start)).period_end,
    false);
end
$$;
comment on function credits.is_paid_state(credits.provider_state, timestamptz) is
  'Whether a subscription is paid for at an instant, or is in the one period that may be owed.';
revoke all on function credits.is_paid_state(credits.provider_state, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.provider_course(p_account_id uuid)
returns credits.provider_state[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_course credits.provider_state[] := array[]::credits.provider_state[];
  v_current credits.provider_state[] := array[]::credits.provider_state[];
  v_leader text;
  v_best credits.provider_state;
  s credits.provider_state;
begin
  for s in
    select c.* from credits.subscriptions_of(p_account_id) i
    cross join lateral credits.subscription_course(i) c
    order by c.started_at, c.is_failure desc, c.subscription_id, c.n
  loop
    if s.is_failure then
      if s.subscription_id = v_leader then
        v_course := v_course || s;
      end if;
      continue;
    end if;
    v_current := array(
      select x from unnest(v_current) x where x.subscription_id <> s.subscription_id) || s;
    v_best := credits.leading_state(v_current, s.started_at);
    if v_best.subscription_id is null then
      v_best := s;
    elsif v_best.subscription_id = v_leader and v_leader <> s.subscription_id then
      continue;
    end if;
    v_best.started_at := s.started_at;
    v_course := v_course || v_best;
    v_leader := case when credits.is_living_status(v_best.status) then v_best.subscription_id end;
  end loop;
  return v_course;
end
$$;
comment on function credits.provider_course(uuid) is
  'What the subscriptions of an account come to: at each time the states of the one that leads.';
revoke all on function credits.provider_course(uuid)
  from public, anon, authenticated, service_role;

create function credits.living_subscriptions(p_account_id uuid)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select count(*) from credits.subscriptions_of(p_account_id) i
    cross join lateral (
      select c.status from credits.subscription_course(i) c
      where not c.is_failure order by c.n desc limit 1) l
    where credits.is_living_status(l.status));
end
$$;
comment on function credits.living_subscriptions(uuid) is
  'How many of an account''s subscriptions live.';
revoke all on function credits.living_subscriptions(uuid)
  from public, anon, authenticated, service_role;

create function credits.follow_billing(p_account_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_course credits.provider_state[];
  v_last credits.provider_state;
  v_now timestamptz;
  v_before credits.subscription_spells;
  v_after credits.subscription_spells;
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  v_course := credits.provider_course(p_account_id);
  if cardinality(v_course) = 0 then
    return '[]'::jsonb;
  end if;
  v_before := credits.spell_at(p_account_id, v_now);
  v_last := v_course[cardinality(v_course)];
  update credits.subscriptions b set is_managed = credits.is_living_status(v_last.status),
    covered_until = case when credits.is_living_status(v_last.status)
      then v_last.covered_until end
  where b.account_id = p_account_id;
  perform credits.refold(p_account_id, v_now, v_course);
  perform credits.lock_account(p_account_id);
  v_after := credits.spell_at(p_account_id, v_now);
  if v_before.plan_id <> v_after.plan_id then
    perform credits.tell(p_account_id, 'plan.changed', jsonb_build_object(
      'plan', v_after.plan_id, 'before', v_before.plan_id), null);
  end if;
  return case when (v_before.plan_id, v_before.status, v_before.quantity)
      is distinct from (v_after.plan_id, v_after.status, v_after.quantity)
    then jsonb_build_array(jsonb_build_object('account_id', p_account_id, 'plan', v_after.plan_id,
      'status', v_after.status, 'quantity', v_after.quantity)) else '[]' end;
end
$$;
comment on function credits.follow_billing(uuid) is
  'Brings the plan of an account in line with what its provider has said. Locks all its balances.';
revoke all on function credits.follow_billing(uuid) from public, anon, authenticated, service_role;
