-- How a provider's subscriptions look to the fold (calendar/fold_subscription.sql): one course of
-- states in the order in which they began, worked out from all snapshots, paid invoices and
-- failures that are known. It is made anew with every fold, so the order of arrival leaves no
-- trace.

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
    -- The only one leads, living or not. Most accounts have no other, and each state asks.
    v_best := case when cardinality(v_current) > 1
      then credits.leading_state(v_current, s.started_at) end;
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
  return case when (v_before.plan_id, v_before.status, v_before.quantity)
      is distinct from (v_after.plan_id, v_after.status, v_after.quantity)
    then jsonb_build_array(jsonb_build_object('account_id', p_account_id, 'plan', v_after.plan_id,
      'status', v_after.status, 'quantity', v_after.quantity)) else '[]' end;
end
$$;
comment on function credits.follow_billing(uuid) is
  'Brings the plan of an account in line with what its provider has said. Locks all its balances.';
revoke all on function credits.follow_billing(uuid) from public, anon, authenticated, service_role;
