create function credits.apply_due(p_account_id uuid, inout p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := p_balance.settled_at;
  v_terms record;
  v_rollover bigint := 0;
  v_period record;
  v_hold record;
begin
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, v_at);

  -- What moves into the new period is read before anything is booked.
  if p_balance.kind = 'credit' and v_at >= p_balance.period_end then
    select * into v_period
    from credits.next_period(v_terms.anchor_at, v_terms.time_zone, p_balance.period_end, v_at);
    v_rollover := credits.rollover_at(p_account_id, p_balance, v_terms.anchor_at, v_terms.time_zone, v_period.period_start);
  end if;

  for v_hold in
    select r.id, r.amount, r.expires_at from public.credit_reservations r
    where r.account_id = p_account_id and r.credit_type = p_balance.credit_type and r.status = 'open' and r.expires_at <= v_at
    order by r.expires_at, r.id
  loop
    p_balance := credits.release_slices(p_account_id, p_balance, v_hold.id);
    update public.credit_reservations r
    set status = 'expired', released = r.amount + r.extra - r.captured, closed_at = v_hold.expires_at, close_reason = 'expired'
    where r.account_id = p_account_id and r.id = v_hold.id;
  end loop;
  p_balance := credits.expire_ended(p_account_id, p_balance);

  if v_period is not null then
    p_balance.period_start := v_period.period_start;
    p_balance.period_end := v_period.period_end;
    p_balance.used := 0;
    p_balance.used_since := v_period.period_start;
    if v_rollover > 0 then
      p_balance := (select i.p_balance from credits.issue(p_account_id, p_balance, null, gen_random_uuid(), 'rollover',
        v_rollover, v_period.period_start, v_period.period_end, null, 'unspent allowance of the period before', '{}') i);
    end if;
  end if;
  p_balance := credits.grant_allowance(p_account_id, p_balance);

  if v_terms.is_past_grace then
    -- Also what is used up: a refund may put something back.
    update public.credit_grants g set frozen_at = v_at, frozen_reason = 'past_due'
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and (g.is_open or g.expires_at > v_at)
      and g.source in ('plan', 'rollover') and g.frozen_at is null and p_balance.kind = 'credit';
  else
    update public.credit_grants g set frozen_at = null, frozen_reason = null
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.frozen_reason = 'past_due';
  end if;
  p_balance.allowance := v_terms.allowance;
  p_balance := credits.align_allowance(p_account_id, p_balance);
  p_balance := credits.save_balance(p_account_id, p_balance);
end
$$;
comment on function credits.apply_due(uuid, credits.balances) is
  'Books what has fallen due on the locked balance by its settled_at: holds and grants that expired, the renewal of the period, a pending plan, the end of a grace. Changes nothing that credit_balances shows.';
revoke all on function credits.apply_due(uuid, credits.balances) from public, anon, authenticated, service_role;

create function credits.grant_allowance(p_account_id uuid, inout p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_terms record;
begin
  if p_balance.kind <> 'credit' or p_balance.allowance_period is not distinct from p_balance.period_start then
    return;
  end if;
  -- The terms at the start of the period decide, however late somebody comes by.
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.period_start);
  if not v_terms.renews then
    return;
  end if;
  if v_terms.allowance > 0 and v_terms.plan_id = (select p.id from public.plans p where p.is_default) then
    v_terms.allowance := credits.free_allowance(p_account_id, p_balance.credit_type, p_balance.period_start,
      v_terms.allowance);
  end if;
  p_balance.allowance_period := p_balance.period_start;
  p_balance.peak_allowance := coalesce(v_terms.allowance, 0);
  if v_terms.allowance > 0 then
    p_balance := (select i.p_balance from credits.issue_allowance(p_account_id, p_balance, v_terms.allowance,
      v_terms.plan_id, null, gen_random_uuid(), 'plan allowance') i);
  end if;
end
$$;
comment on function credits.grant_allowance(uuid, credits.balances) is
  'Grants the allowance of the balance''s period, once, unless the subscription was past due when it began.';
revoke all on function credits.grant_allowance(uuid, credits.balances) from public, anon, authenticated, service_role;

create function credits.lock_balance(p_account_id uuid, p_credit_type text, out p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  select * into p_balance from credits.balances b
  where b.account_id = p_account_id and b.credit_type = p_credit_type
  for no key update;
  if not found then
    return;
  end if;
  -- Looked at under the lock: whoever is gone by now spends nothing, whether or not the account was closed.
  if p_balance.account_status <> 'closed' and not credits.is_living(p_account_id) then
    p_balance.account_status := 'closed';
  end if;
  -- From here on settled_at is the time of this operation. It is read after the lock, so versions and times agree.
  p_balance.settled_at := greatest(coalesce(p_balance.test_now, clock_timestamp()), p_balance.settled_at);
  if p_balance.settled_at >= p_balance.due_at then
    p_balance := credits.apply_due(p_account_id, p_balance);
  end if;
end
$$;
comment on function credits.lock_balance(uuid, text) is
  'Locks the balance that an operation works on, and books what has fallen due. All null when the account has no such balance. Its settled_at is the time of the operation.';
revoke all on function credits.lock_balance(uuid, text) from public, anon, authenticated, service_role;

create function credits.refuse_status(p_account_id uuid, p_status text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_status = 'closed' then
    perform credits.raise_error('account_not_found', jsonb_build_object('account_id', p_account_id), 'The account is closed.');
  end if;
  perform credits.raise_error('account_frozen');
end
$$;
comment on function credits.refuse_status(uuid, text) is
  'Raises why an account that is not active cannot do something. Called once its balance is locked: it may have been closed while the call waited.';
revoke all on function credits.refuse_status(uuid, text) from public, anon, authenticated, service_role;

create function credits.lock_account(p_account_id uuid)
returns setof credits.balances
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
begin
  for v_credit_type in
    select b.credit_type from credits.balances b where b.account_id = p_account_id order by b.credit_type
  loop
    return next credits.lock_balance(p_account_id, v_credit_type);
  end loop;
end
$$;
comment on function credits.lock_account(uuid) is
  'Locks and settles all balances of an account in the one lock order. Who writes the account''s subscription holds all of them.';
revoke all on function credits.lock_account(uuid) from public, anon, authenticated, service_role;
