-- The helpers that move credits. Each takes the locked balance and hands back its next state;
-- save_balance writes it.

create function credits.post_entry(
  p_account_id uuid, inout p_balance credits.balances, p_grant_id uuid, p_user_id uuid,
  p_operation_id uuid,
  p_kind credits.entry_kind, p_amount bigint, p_related_operation_id uuid, p_description text,
  p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  p_balance.version := p_balance.version + 1;
  -- What is unlimited has no stock: its rows are of no grant, and leave the balance alone.
  p_balance.balance := p_balance.balance + case when p_grant_id is null then 0 else p_amount end;
  insert into public.credit_transactions (
    account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after,
    related_operation_id, description, metadata, created_at)
  values (
    p_account_id, p_balance.credit_type, p_balance.version, p_operation_id, p_grant_id, p_user_id,
    p_kind, p_amount,
    case when p_grant_id is not null then p_balance.balance end, p_related_operation_id,
      p_description, p_metadata, p_balance.settled_at);
end
$$;
comment on function credits.post_entry(uuid, credits.balances, uuid, uuid, uuid, credits.entry_kind,
  bigint, uuid, text, jsonb) is
  'Adds one row to the ledger: the next version of the locked balance.';
revoke all on function credits.post_entry(uuid, credits.balances, uuid, uuid, uuid,
  credits.entry_kind, bigint, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.issue(
  p_account_id uuid, inout p_balance credits.balances, p_user_id uuid, p_operation_id uuid,
  p_source text, p_amount bigint,
  p_starts_at timestamptz, p_expires_at timestamptz, p_related_operation_id uuid,
  p_description text, p_metadata jsonb,
  p_plan_id text default null, p_period_start timestamptz default null, out p_grant_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
begin
  if p_balance.balance + p_amount > 9007199254740992 then
    perform credits.raise_error('invalid_amount',
      jsonb_build_object('amount', p_amount, 'balance', p_balance.balance),
      'A balance cannot exceed 9007199254740992 credits.');
  end if;
  insert into public.credit_grants (
    account_id, credit_type, source, priority, amount, remaining, starts_at, expires_at,
      period_start, plan_id, plan_version,
    description, metadata, created_at)
  select p_account_id, p_balance.credit_type, s.id,
    case when p_expires_at is null then s.priority else s.priority_when_expiring end,
    p_amount, p_amount, p_starts_at, p_expires_at, p_period_start, p_plan_id,
    case when p_plan_id = p_balance.plan_id then p_balance.plan_version end, p_description,
    p_metadata, p_balance.settled_at
  from credits.grant_sources s where s.id = p_source
  returning id into strict p_grant_id;
  p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, p_user_id, p_operation_id,
    'grant', p_amount,
    p_related_operation_id, p_description, p_metadata);
end
$$;
comment on function credits.issue(uuid, credits.balances, uuid, uuid, text, bigint, timestamptz,
  timestamptz, uuid, text, jsonb, text, timestamptz) is
  'Issues a grant: its row, and its first row in the ledger.';
revoke all on function credits.issue(uuid, credits.balances, uuid, uuid, text, bigint, timestamptz,
  timestamptz, uuid, text, jsonb, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.issue_allowance(
  p_account_id uuid, inout p_balance credits.balances, p_amount bigint, p_plan_id text,
  p_user_id uuid, p_operation_id uuid,
  p_description text, p_source text default 'plan', out p_grant_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_period_start timestamptz := coalesce(p_balance.period_start, 'epoch');
  v_issued record;
begin
  update public.credit_grants g set amount = g.amount + p_amount, remaining = g.remaining + p_amount
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
    and g.period_start = v_period_start and g.voided_at is null
  returning g.id into p_grant_id;
  if found then
    p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, p_user_id, p_operation_id,
      'grant', p_amount, null,
      p_description, '{}');
    return;
  end if;
  select * into v_issued
    from credits.issue(p_account_id, p_balance, p_user_id, p_operation_id, p_source, p_amount,
    coalesce(p_balance.period_start, p_balance.used_since), p_balance.period_end, null,
      p_description, '{}',
    p_plan_id, v_period_start);
  p_balance := v_issued.p_balance;
  p_grant_id := v_issued.p_grant_id;
end
$$;
comment on function credits.issue_allowance(uuid, credits.balances, bigint, text, uuid, uuid, text,
  text) is
  'Adds credits to the plan grant of the period, of which there is one: the allowance itself, or '
  'the difference of an upgrade.';
revoke all on function credits.issue_allowance(uuid, credits.balances, bigint, text, uuid, uuid,
  text, text)
  from public, anon, authenticated, service_role;

create function credits.take_unspent(
  p_account_id uuid, inout p_balance credits.balances, p_grant_id uuid, p_amount bigint,
  p_kind credits.entry_kind, p_user_id uuid,
  p_operation_id uuid, p_related_operation_id uuid, p_description text)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.credit_grants g set remaining = g.remaining - p_amount, lapsed = g.lapsed + p_amount
  where g.account_id = p_account_id and g.id = p_grant_id;
  p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, p_user_id, p_operation_id,
    p_kind, -p_amount,
    p_related_operation_id, p_description, '{}');
end
$$;
comment on function credits.take_unspent(uuid, credits.balances, uuid, bigint, credits.entry_kind,
  uuid, uuid, uuid, text) is
  'Takes credits out of a grant without anybody having spent them: they expire, or are voided.';
revoke all on function credits.take_unspent(uuid, credits.balances, uuid, bigint,
  credits.entry_kind, uuid, uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.expire_ended(p_account_id uuid, inout p_balance credits.balances,
  p_related_operation_id uuid default null)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_grant record;
begin
  for v_grant in
    select g.id, g.remaining - g.held as free, case when g.voided_at is null then 'expire'
      else 'void' end::credits.entry_kind as kind,
      case when g.voided_at is not null then g.void_reason
        -- An upgrade ends a period of the plan as well: nothing was lost by time.
        when g.source = 'plan' then 'plan period ended' else g.source || ' expired' end as reason
    from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open
      and g.remaining > g.held
      and (g.expires_at <= p_balance.settled_at or g.voided_at is not null)
    order by g.expires_at nulls last, g.id
  loop
    p_balance := credits.take_unspent(p_account_id, p_balance, v_grant.id, v_grant.free,
      v_grant.kind, null, gen_random_uuid(),
      p_related_operation_id, v_grant.reason);
  end loop;
end
$$;
comment on function credits.expire_ended(uuid, credits.balances, uuid) is
  'Books out what grants that have expired or were voided still have free, also right after a '
  'hold or a refund gave it back.';
revoke all on function credits.expire_ended(uuid, credits.balances, uuid)
  from public, anon, authenticated, service_role;

create function credits.release_slices(p_account_id uuid, inout p_balance credits.balances,
  p_reservation_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_amount bigint;
begin
  with slices as (
    select s.grant_id, s.amount - s.captured as amount from credits.reservation_slices s
    where s.account_id = p_account_id and s.reservation_id = p_reservation_id
  ), unpinned as (
    update public.credit_grants g set held = g.held - s.amount
    from slices s where g.account_id = p_account_id and g.id = s.grant_id
  )
  select coalesce(sum(s.amount), 0) into v_amount from slices s;
  p_balance.reserved := p_balance.reserved - v_amount;
  p_balance.reserved_unlimited := p_balance.reserved_unlimited - (
    select r.unlimited - r.unlimited_captured from public.credit_reservations r
    where r.account_id = p_account_id and r.id = p_reservation_id);
end
$$;
comment on function credits.release_slices(uuid, credits.balances, uuid) is
  'Gives what a hold has set aside back: its slices to their grants, and what was unlimited to '
  'nothing.';
revoke all on function credits.release_slices(uuid, credits.balances, uuid)
  from public, anon, authenticated, service_role;

create function credits.align_allowance(
  p_account_id uuid, inout p_balance credits.balances, p_related_operation_id uuid default null)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_grant record;
  v_taken bigint;
  v_excess bigint;
begin
  if p_balance.kind = 'credit' or p_balance.allowance is null then
    return;
  end if;
  select g.id, g.remaining - g.held as free into v_grant
  from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
    and g.period_start = 'epoch' and g.voided_at is null;
  v_taken := credits.taken_of_limit(p_account_id, p_balance);
  v_excess := coalesce(v_grant.free, 0) - greatest(0, p_balance.allowance - v_taken);
  if v_excess > 0 then
    p_balance := credits.take_unspent(p_account_id, p_balance, v_grant.id, v_excess, 'expire', null,
      gen_random_uuid(),
      p_related_operation_id, 'above the allowance');
  elsif v_excess < 0 then
    p_balance := (select i.p_balance
      from credits.issue_allowance(p_account_id, p_balance, -v_excess,
      (select t.plan_id
        from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at) t),
      null, gen_random_uuid(), 'plan allowance') i);
  end if;
end
$$;
comment on function credits.align_allowance(uuid, credits.balances, uuid) is
  'Brings the plan grant of a limit to what its allowance leaves free: its allowance, less what '
  'exists. Does nothing for credits, nor while the limit is unlimited.';
revoke all on function credits.align_allowance(uuid, credits.balances, uuid)
  from public, anon, authenticated, service_role;

create function credits.taken_of_limit(p_account_id uuid, p_balance credits.balances)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- What was made while the limit was unlimited is of no grant, and exists all the same.
  return p_balance.used + p_balance.reserved_unlimited + (
    select coalesce(sum(case when g.source = 'plan' then g.held else -g.spent end), 0)
    from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type);
end
$$;
comment on function credits.taken_of_limit(uuid, credits.balances) is
  'How much of a limit''s allowance is taken: what exists and is held, less what other grants pay '
  'for.';
revoke all on function credits.taken_of_limit(uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.save_balance(p_account_id uuid, inout p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_terms record;
begin
  select * into v_terms
    from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at);
  p_balance.is_floating := p_balance.kind = 'limit' or not v_terms.is_included
    or p_balance.overdrawn > 0;
  select
    coalesce(sum(g.remaining - g.held) filter (where g.frozen_at is not null
      or g.starts_at > p_balance.settled_at), 0),
    case when p_balance.is_floating then '-infinity' else least(
      min(g.expires_at) filter (where g.expires_at > p_balance.settled_at),
      min(g.starts_at) filter (where g.starts_at > p_balance.settled_at),
      (select min(r.expires_at) from public.credit_reservations r
        where r.account_id = p_account_id and r.credit_type = p_balance.credit_type
          and r.status = 'open'),
      p_balance.period_end, v_terms.changes_at, 'infinity') end
    into p_balance.withheld, p_balance.due_at
  from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open;

  update credits.balances b set
    version = p_balance.version, balance = p_balance.balance, withheld = p_balance.withheld,
    reserved = p_balance.reserved, reserved_unlimited = p_balance.reserved_unlimited,
      used = p_balance.used, used_since = p_balance.used_since,
    allowance = p_balance.allowance, period_start = p_balance.period_start,
      period_end = p_balance.period_end,
    anchored_by = p_balance.anchored_by, restarted_at = p_balance.restarted_at,
    restarted_event = p_balance.restarted_event,
    is_floating = p_balance.is_floating, plan_id = p_balance.plan_id,
    plan_version = p_balance.plan_version, granted = p_balance.granted,
      overdrawn = p_balance.overdrawn,
    due_at = p_balance.due_at, settled_at = p_balance.settled_at
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
end
$$;
comment on function credits.save_balance(uuid, credits.balances) is
  'Writes the locked balance back, with what is withheld and when something falls due next worked '
  'out anew.';
revoke all on function credits.save_balance(uuid, credits.balances)
  from public, anon, authenticated, service_role;
