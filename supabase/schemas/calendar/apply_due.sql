create function credits.apply_due(p_account_id uuid, inout p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  -- What is due is read before anything is booked.
  d credits.due := credits.due_at(p_account_id, p_balance, p_balance.settled_at);
  v_before credits.balances := p_balance;
begin
  if not d.is_new_period and d.period_end <> p_balance.period_end then
    p_balance := credits.move_period_end(p_account_id, p_balance, d.period_end);
  end if;
  p_balance := credits.expire_holds(p_account_id, p_balance);
  p_balance := credits.expire_ended(p_account_id, p_balance);
  if d.is_new_period then
    p_balance := credits.enter_period(p_account_id, p_balance, d);
  end if;
  p_balance.plan_id := d.plan_id;
  p_balance.plan_version := d.plan_version;
  p_balance.allowance := d.allowance;
  if p_balance.kind = 'limit' then
    p_balance := credits.align_allowance(p_account_id, p_balance);
  else
    p_balance := credits.adjust_allowance(p_account_id, p_balance, d);
    perform credits.freeze_plan_credits(p_account_id, p_balance, d.is_frozen);
  end if;
  p_balance := credits.save_balance(p_account_id, p_balance);
  perform credits.announce_due(p_account_id, v_before, p_balance, d);
end
$$;
comment on function credits.apply_due(uuid, credits.balances) is
  'Books what has fallen due on the locked balance by its settled_at: holds and grants that '
  'expired, and all that due_at says. Changes nothing that credit_balances shows.';
revoke all on function credits.apply_due(uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.expire_holds(p_account_id uuid, inout p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_hold record;
begin
  for v_hold in
    select r.id, r.amount, r.expires_at from public.credit_reservations r
    where r.account_id = p_account_id and r.credit_type = p_balance.credit_type
      and r.status = 'open'
      and r.expires_at <= p_balance.settled_at
    order by r.expires_at, r.id
  loop
    p_balance := credits.release_slices(p_account_id, p_balance, v_hold.id);
    update public.credit_reservations r
    set status = 'expired', released = r.amount + r.extra - r.captured,
      closed_at = v_hold.expires_at, close_reason = 'expired'
    where r.account_id = p_account_id and r.id = v_hold.id;
    perform credits.announce_expired_hold(p_account_id, v_hold.id);
  end loop;
end
$$;
comment on function credits.expire_holds(uuid, credits.balances) is
  'Closes the holds whose time has passed.';
revoke all on function credits.expire_holds(uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.enter_period(p_account_id uuid, inout p_balance credits.balances,
  p_due credits.due)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_old_start timestamptz := p_balance.period_start;
  v_at timestamptz := p_balance.settled_at;
  v_issued record;
begin
  if p_due.is_early then
    update public.credit_grants g set expires_at = greatest(g.starts_at, v_at)
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = v_old_start and g.voided_at is null and g.expires_at > v_at;
    p_balance := credits.expire_ended(p_account_id, p_balance);
    -- A period that begins at the same instant as the one before, or before it, has one allowance
    -- too.
    update public.credit_grants g set voided_at = v_at, void_reason = 'plan changed'
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = p_due.period_start and g.voided_at is null;
    p_balance := credits.expire_ended(p_account_id, p_balance);
  end if;
  p_balance.period_start := p_due.period_start;
  p_balance.period_end := p_due.period_end;
  p_balance.anchored_by := p_due.anchored_by;
  p_balance.used := p_due.used;
  -- A restart of before the period is kept: late news may put it into one that began earlier.
  p_balance.used_since := greatest(p_due.period_start, p_balance.restarted_at);
  p_balance.granted := 0;
  if p_due.rollover > 0 then
    v_issued := credits.issue(p_account_id, p_balance, null, gen_random_uuid(), 'rollover',
      p_due.rollover,
      p_due.period_start, p_due.period_end, null, 'unspent allowance of the period before', '{}');
    p_balance := v_issued.p_balance;
  end if;
end
$$;
comment on function credits.enter_period(uuid, credits.balances, credits.due) is
  'Moves the balance into a new period: ends what the old one still has where it is cut short, '
  'and carries over what rolls over.';
revoke all on function credits.enter_period(uuid, credits.balances, credits.due)
  from public, anon, authenticated, service_role;

create function credits.move_period_end(p_account_id uuid, inout p_balance credits.balances,
  p_period_end timestamptz)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.credit_grants g set expires_at = p_period_end
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
    and g.period_start = p_balance.period_start
    and g.voided_at is null and g.expires_at = p_balance.period_end;
  p_balance.period_end := p_period_end;
end
$$;
comment on function credits.move_period_end(uuid, credits.balances, timestamptz) is
  'Ends the running period at another time: a trial was prolonged or cut short.';
revoke all on function credits.move_period_end(uuid, credits.balances, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.adjust_allowance(p_account_id uuid, inout p_balance credits.balances,
  p_due credits.due)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_issued record;
  v_grant_id uuid;
begin
  if p_due.issued > 0 then
    v_issued := credits.issue_allowance(p_account_id, p_balance, p_due.issued, p_due.plan_id, null,
      gen_random_uuid(),
      case when p_balance.granted > 0 then 'upgrade' else 'plan allowance' end, p_due.source);
    p_balance := v_issued.p_balance;
  elsif p_due.withdrawn > 0 then
    select g.id into v_grant_id from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = p_balance.period_start and g.voided_at is null;
    -- What takes a part of a grant relates to what issued it.
    p_balance := credits.take_unspent(p_account_id, p_balance, v_grant_id, p_due.withdrawn, 'void',
      null, gen_random_uuid(),
      (select t.operation_id from public.credit_transactions t
        where t.account_id = p_account_id and t.grant_id = v_grant_id and t.kind = 'grant'
        order by t.version limit 1), 'the plan ended without being paid for');
    p_balance.granted := p_balance.granted - p_due.withdrawn;
  end if;
  p_balance.granted := greatest(p_balance.granted, p_due.entitled + p_due.overspent);
  p_balance.overdrawn := p_balance.granted - p_due.entitled;
end
$$;
comment on function credits.adjust_allowance(uuid, credits.balances, credits.due) is
  'Brings the plan grant of the period to what the account is due. What was spent stays spent.';
revoke all on function credits.adjust_allowance(uuid, credits.balances, credits.due)
  from public, anon, authenticated, service_role;

create function credits.freeze_plan_credits(p_account_id uuid, p_balance credits.balances,
  p_is_frozen boolean)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := p_balance.settled_at;
  v_reason text;
begin
  if p_is_frozen then
    v_reason := case when (credits.spell_at(p_account_id, v_at)).paused_since is null
      then 'past_due' else 'paused' end;
    -- Also what is used up: a refund may put something back.
    update public.credit_grants g set frozen_at = v_at, frozen_reason = v_reason
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and (g.is_open or g.expires_at > v_at)
      and (g.source in ('plan', 'rollover') or g.period_start is not null) and g.frozen_at is null;
  else
    update public.credit_grants g set frozen_at = null, frozen_reason = null
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.frozen_reason in ('past_due', 'paused')
      and not (g.source = 'rollover'
        and credits.has_rolled_over_unpaid(p_account_id, g.starts_at, v_at));
    update public.credit_grants g set frozen_at = v_at, frozen_reason = 'past_due'
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.source = 'rollover' and (g.is_open or g.expires_at > v_at) and g.frozen_at is null
      and credits.has_rolled_over_unpaid(p_account_id, g.starts_at, v_at);
  end if;
end
$$;
comment on function credits.freeze_plan_credits(uuid, credits.balances, boolean) is
  'Freezes what the plan gave, or thaws it, but for what was never paid for. What was bought or '
  'given stays as it is.';
revoke all on function credits.freeze_plan_credits(uuid, credits.balances, boolean)
  from public, anon, authenticated, service_role;

create function credits.is_as_on_sale(p_account_id uuid, p_balance credits.balances)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_balance.version > 0 and exists (
      select 1 from credits.plan_terms_at(p_account_id, p_balance.credit_type,
        p_balance.settled_at) t
      where t.allowance is not distinct from p_balance.allowance and t.plan_id = p_balance.plan_id
        and t.plan_version = p_balance.plan_version)
    and not exists (
      select 1 from public.credit_reservations r
      where r.account_id = p_account_id and r.credit_type = p_balance.credit_type
        and r.status = 'open'
        and r.expires_at <= p_balance.settled_at);
end
$$;
comment on function credits.is_as_on_sale(uuid, credits.balances) is
  'Whether nothing has fallen due on a limit, whose terms may change at any moment.';
revoke all on function credits.is_as_on_sale(uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.lock_balance(p_account_id uuid, p_credit_type text,
  out p_balance credits.balances)
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
  -- Looked at under the lock: whoever is gone by now spends nothing, whether or not the account was
  -- closed.
  if p_balance.account_status <> 'closed' and not credits.is_living(p_account_id) then
    p_balance.account_status := 'closed';
  end if;
  -- From here on settled_at is the time of this operation. It is read after the lock, so versions
  -- and times agree.
  p_balance.settled_at := greatest(coalesce(p_balance.test_now, clock_timestamp()),
    p_balance.settled_at);
  if p_balance.settled_at >= p_balance.due_at
     and not (p_balance.kind = 'limit' and credits.is_as_on_sale(p_account_id, p_balance)) then
    p_balance := credits.apply_due(p_account_id, p_balance);
  end if;
end
$$;
comment on function credits.lock_balance(uuid, text) is
  'Locks the balance that an operation works on, and books what has fallen due. All null when the '
  'account has no such balance. Its settled_at is the time of the operation.';
revoke all on function credits.lock_balance(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.refuse_status(p_account_id uuid, p_status text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_status = 'closed' then
    perform credits.raise_error('account_not_found', jsonb_build_object('account_id', p_account_id),
      'The account is closed.');
  end if;
  perform credits.raise_error('account_frozen');
end
$$;
comment on function credits.refuse_status(uuid, text) is
  'Raises why an account that is not active cannot do something. Called once its balance is '
  'locked: it may have been closed while the call waited.';
revoke all on function credits.refuse_status(uuid, text)
  from public, anon, authenticated, service_role;

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
    select b.credit_type from credits.balances b where b.account_id = p_account_id
      order by b.credit_type
  loop
    return next credits.lock_balance(p_account_id, v_credit_type);
  end loop;
end
$$;
comment on function credits.lock_account(uuid) is
  'Locks and settles all balances of an account in the one lock order. Who writes the account''s '
  'subscription holds all of them.';
revoke all on function credits.lock_account(uuid) from public, anon, authenticated, service_role;
