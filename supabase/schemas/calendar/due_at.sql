-- What falls due on a balance by an instant is worked out here, once: credit_balances shows it
-- (balance_at), and the next operation on the balance books it (apply_due).

create type credits.due as (
  plan_id text,
  plan_version integer,
  anchored_by integer,
  allowance bigint,
  is_included boolean,
  is_frozen boolean,
  period_start timestamptz,
  period_end timestamptz,
  is_new_period boolean,
  is_early boolean,
  source text,
  used bigint,
  entitled bigint,
  overspent bigint,
  rollover bigint,
  issued bigint,
  withdrawn bigint,
  changes_at timestamptz
);
comment on type credits.due is
  'Where a balance should stand: its terms and period, and what is to be issued to, or withdrawn '
  'from, the plan grant of the period.';

create function credits.is_spendable(
  p_grant public.credit_grants, p_at timestamptz, p_is_frozen boolean)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select p_grant.starts_at <= p_at and (p_grant.expires_at is null or p_grant.expires_at > p_at)
    and p_grant.voided_at is null
    and case when p_grant.source in ('plan', 'rollover') or p_grant.period_start is not null then
        not p_is_frozen
          and (p_grant.frozen_at is null or p_grant.frozen_reason in ('past_due', 'paused'))
      else p_grant.frozen_at is null end
$$;
comment on function credits.is_spendable(public.credit_grants, timestamptz, boolean) is
  'Whether a grant may be spent at an instant: started, not expired, not voided, not frozen. '
  'p_is_frozen: what the plan gave is.';
revoke all on function credits.is_spendable(public.credit_grants, timestamptz, boolean)
  from public, anon, authenticated, service_role;

create function credits.live_holds_at(p_account_id uuid, p_credit_type text, p_at timestamptz)
returns table (grant_id uuid, amount bigint)
language sql
stable
security invoker
set search_path = ''
as $$
  select s.grant_id, sum(s.amount - s.captured)::bigint
  from public.credit_reservations r
  join credits.reservation_slices s on s.account_id = r.account_id and s.reservation_id = r.id
  where r.account_id = p_account_id and r.credit_type = p_credit_type and r.status = 'open'
    and r.expires_at > p_at
  group by s.grant_id
$$;
comment on function credits.live_holds_at(uuid, text, timestamptz) is
  'What the holds that live at an instant have pinned, per grant.';
revoke all on function credits.live_holds_at(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.unlimited_holds_at(p_account_id uuid, p_credit_type text, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(r.unlimited - r.unlimited_captured), 0) from public.credit_reservations r
    where r.account_id = p_account_id and r.credit_type = p_credit_type and r.status = 'open'
      and r.expires_at > p_at);
end
$$;
comment on function credits.unlimited_holds_at(uuid, text, timestamptz) is
  'What the holds that live at an instant have set aside of an unlimited type: of no grant.';
revoke all on function credits.unlimited_holds_at(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.allowance_left_at(
  p_account_id uuid, p_balance credits.balances, p_to_roll_over boolean, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce((
    select sum(g.remaining - coalesce(h.amount, 0))
    from public.credit_grants g
    left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h
      on h.grant_id = g.id
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = p_balance.period_start and g.voided_at is null
      and (not p_to_roll_over or g.frozen_at is null or g.frozen_reason in ('past_due', 'paused'))),
        0);
end
$$;
comment on function credits.allowance_left_at(uuid, credits.balances, boolean, timestamptz) is
  'What the plan grant of the booked period has left at an instant, less what holds pin beyond '
  'it. What is disputed does not roll over.';
revoke all on function credits.allowance_left_at(uuid, credits.balances, boolean, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.spent_since(
  p_account_id uuid, p_credit_type text, p_since timestamptz, out used bigint, out of_plan bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select coalesce(-sum(t.amount), 0),
    coalesce(-sum(t.amount) filter (where g.period_start is not null), 0)
    into used, of_plan
  from public.credit_transactions t
  left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
  where t.account_id = p_account_id and t.credit_type = p_credit_type
    and t.kind in ('consume', 'capture', 'refund')
    and t.created_at > p_since
    and (t.kind <> 'refund' or exists (
      select 1 from public.credit_transactions o
      where o.account_id = p_account_id and o.operation_id = t.related_operation_id
        and o.kind in ('consume', 'capture') and o.created_at > p_since));
end
$$;
comment on function credits.spent_since(uuid, text, timestamptz) is
  'What was spent after an instant, less refunds of it: all of it, and the part that allowances '
  'paid. What had rolled over before stays where it is, and so does what was spent of it.';
revoke all on function credits.spent_since(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.spent_between(
  p_account_id uuid, p_credit_type text, p_after timestamptz, p_until timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(-sum(t.amount), 0)
    from public.credit_transactions t
    join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
    where t.account_id = p_account_id and t.credit_type = p_credit_type
      and credits.is_spent_between(g, t.created_at, p_after, p_until)
      and (t.kind in ('consume', 'capture') or t.kind = 'refund' and exists (
        select 1 from public.credit_transactions o
        where o.account_id = p_account_id and o.operation_id = t.related_operation_id
          and o.kind in ('consume', 'capture')
          and credits.is_spent_between(g, o.created_at, p_after, p_until)))
  ) + (
    -- What was held to the end counts as spent, whatever became of it.
    select coalesce(sum(l.amount), 0) - coalesce(sum((
      select -sum(t.amount) from public.credit_transactions t
      where t.account_id = p_account_id and t.grant_id = l.grant_id and t.kind = 'capture'
        and r.operation_id in (t.operation_id, t.related_operation_id)
        and t.created_at <= p_until)), 0)
    from public.credit_reservations r
    join credits.reservation_slices l on l.account_id = r.account_id and l.reservation_id = r.id
    join public.credit_grants g on g.account_id = l.account_id and g.id = l.grant_id
    where r.account_id = p_account_id and r.credit_type = p_credit_type
      and credits.is_spent_between(g, r.created_at, p_after, p_until)
      and coalesce(r.closed_at > p_until, r.expires_at > p_until));
end
$$;
comment on function credits.spent_between(uuid, text, timestamptz, timestamptz) is
  'What an account has spent of allowances after an instant and until another, less refunds, with '
  'what it held at the end. Of a period that began and ended at one instant: what was spent then.';
revoke all on function credits.spent_between(uuid, text, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.is_spent_between(
  p_grant public.credit_grants, p_at timestamptz, p_after timestamptz, p_until timestamptz)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select p_at <= p_until and p_grant.void_reason is distinct from 'allowance restarted' and case
    when p_at > p_after then p_grant.period_start < p_until
    -- On a clock that stands still an instant has two sides: what the grant is of that was made at
    -- it. Where the period ended with it, too, the grant was voided.
    else p_at = p_after and p_grant.period_start is not null
      and p_after in (p_grant.period_start, p_grant.created_at)
      and (p_after < p_until or p_grant.voided_at is not null) end
$$;
comment on function credits.is_spent_between(public.credit_grants, timestamptz, timestamptz,
  timestamptz) is
  'Whether what was taken from an allowance at p_at was taken after an instant and until another, '
  'and was not given again by a restart.';
revoke all on function credits.is_spent_between(public.credit_grants, timestamptz, timestamptz,
  timestamptz)
  from public, anon, authenticated, service_role;

create function credits.rollover_at(
  p_account_id uuid, p_balance credits.balances, p_period_start timestamptz, p_left bigint)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_before timestamptz := p_period_start - interval '1 microsecond';
  v_terms record;
begin
  if p_balance.period_start is null or p_period_start <= p_balance.period_start then
    return 0;
  end if;
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, v_before);
  if v_terms.is_frozen or v_terms.rollover_cap = 0 then
    return 0;
  end if;
  -- Where no operation came by during the period before, its whole allowance was left.
  return least(v_terms.rollover_cap, case when p_period_start <= p_balance.period_end then p_left
    else credits.period_allowance(p_account_id, p_balance.credit_type, v_terms.period_start,
      v_terms.period_end, null,
      null, v_before) end);
end
$$;
comment on function credits.rollover_at(uuid, credits.balances, timestamptz, bigint) is
  'How many credits of the period before move into the period that starts at p_period_start: what '
  'was left of its allowance, up to the plan''s cap.';
revoke all on function credits.rollover_at(uuid, credits.balances, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.has_rolled_over_unpaid(p_account_id uuid, p_period_start timestamptz,
  p_at timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_from credits.subscription_spells;
begin
  if (credits.spell_at(p_account_id, p_at)).past_due_since is not null then
    return false;
  end if;
  -- Whoever pays makes up for the spells that were owed for: then they have earned.
  v_from := credits.spell_at(p_account_id, p_period_start - interval '1 microsecond');
  -- News of an earlier end may have left it at a boundary that is none any more: then it came out
  -- of another plan.
  return v_from.is_paid and v_from.past_due_since is not null and not v_from.is_earning
    and p_period_start = (credits.period_ending_at(v_from, p_period_start)).period_end;
end
$$;
comment on function credits.has_rolled_over_unpaid(uuid, timestamptz, timestamptz) is
  'Whether what rolled over into a period came out of one that was owed for to its end, and that '
  'was left without being paid for.';
revoke all on function credits.has_rolled_over_unpaid(uuid, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.due_at(p_account_id uuid, p_balance credits.balances, p_at timestamptz)
returns credits.due
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  d credits.due;
  v_spell credits.subscription_spells := credits.spell_at(p_account_id, p_at);
  v_terms record;
  v_spent record;
  v_left bigint;
  v_restarted_at timestamptz;
begin
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_at);
  d.plan_id := v_terms.plan_id;
  d.plan_version := v_terms.plan_version;
  d.anchored_by := v_spell.anchored_by;
  d.allowance := v_terms.allowance;
  d.is_included := v_terms.is_included;
  d.is_frozen := v_terms.is_frozen;
  d.changes_at := v_terms.changes_at;
  d.used := p_balance.used;
  if p_balance.kind = 'limit' then
    return d;
  end if;
  -- What is withheld from an account is no allowance of its own, now or at a renewal.
  if v_spell.is_default and d.allowance > 0 and credits.free_credits_of(p_account_id) <> 'own' then
    d.allowance := 0;
  end if;
  d.period_start := v_terms.period_start;
  d.period_end := v_terms.period_end;
  d.source := case when v_spell.trial_ends_at is null then 'plan' else 'trial' end;
  d.is_new_period := (p_balance.period_start, p_balance.anchored_by) is distinct
    from (d.period_start, d.anchored_by);
  d.is_early := d.is_new_period and d.period_start < p_balance.period_end;
  -- A restart counts in whatever period it turns out to have been made.
  if p_balance.restarted_at > d.period_start or p_balance.restarted_at = d.period_start
    and not d.is_new_period then
    v_restarted_at := p_balance.restarted_at;
  end if;
  d.entitled := credits.period_allowance(p_account_id, p_balance.credit_type, d.period_start,
    d.period_end,
    v_restarted_at, case when v_restarted_at is not null then p_balance.restarted_event end, p_at);
  v_left := credits.allowance_left_at(p_account_id, p_balance, d.is_new_period,
    case when d.is_new_period then d.period_start else p_at end);
  d.rollover := 0;
  d.withdrawn := 0;
  d.overspent := 0;
  if not d.is_new_period then
    d.issued := greatest(0, d.entitled - p_balance.granted);
    d.withdrawn := least(v_left, greatest(0, p_balance.granted - d.entitled));
  else
    d.used := 0;
    v_spent := row(0::bigint, 0::bigint);
    -- News of a period that began before what is booked: what was spent since was spent in it.
    if p_balance.version > 0 and (d.is_early or p_balance.period_start is null) then
      select * into v_spent from credits.spent_since(p_account_id, p_balance.credit_type,
        greatest(d.period_start, v_restarted_at));
      d.used := v_spent.used;
      d.rollover := credits.rollover_at(p_account_id, p_balance, d.period_start,
        v_left + v_spent.of_plan);
      d.entitled := credits.less_carried_over(p_account_id, p_balance.credit_type, v_spell, d,
        v_restarted_at, greatest(0, d.rollover - v_spent.of_plan));
      d.issued := greatest(0, d.entitled - greatest(0, v_spent.of_plan - d.rollover));
      d.overspent := greatest(0, v_spent.of_plan - d.rollover - d.entitled);
      d.rollover := greatest(0, d.rollover - v_spent.of_plan);
    else
      d.rollover := credits.rollover_at(p_account_id, p_balance, d.period_start, v_left);
      d.entitled := credits.less_carried_over(p_account_id, p_balance.credit_type, v_spell, d,
        v_restarted_at, d.rollover);
      d.issued := d.entitled;
    end if;
  end if;
  return d;
end
$$;
comment on function credits.due_at(uuid, credits.balances, timestamptz) is
  'Where the subscription puts a balance at an instant: period, terms, and what is to be issued '
  'or withdrawn. A period that is booked is never entered again.';
revoke all on function credits.due_at(uuid, credits.balances, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.renews_at(
  p_account_id uuid, p_credit_type text, p_period_end timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spell credits.subscription_spells;
  v_allowance bigint;
begin
  if p_period_end is null then
    return null;
  end if;
  v_spell := credits.spell_at(p_account_id, p_period_end);
  v_allowance := (credits.plan_terms_at(p_account_id, p_credit_type, p_period_end)).allowance;
  return case
    when not v_spell.is_earning or v_allowance = 0
      or v_spell.is_default and v_allowance > 0
        and credits.free_credits_of(p_account_id) <> 'own' then null
    else p_period_end end;
end
$$;
comment on function credits.renews_at(uuid, text, timestamptz) is
  'When a period''s end brings an allowance: null where waiting brings nothing, for the plan is '
  'not paid for, pauses, or gives none of it to this account.';
revoke all on function credits.renews_at(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.less_carried_over(
  p_account_id uuid, p_credit_type text, p_spell credits.subscription_spells, p_due credits.due,
  p_restarted_at timestamptz, p_carried bigint)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_carried = 0 or not p_spell.is_paid or p_due.anchored_by = 1
     or p_restarted_at is not null then
    return p_due.entitled;
  end if;
  -- Once it is booked period_allowance counts it itself.
  return greatest(0, p_due.entitled - credits.overspent_before_anchor(p_account_id, p_credit_type,
      p_due.anchored_by, p_due.period_start, p_carried)
    + credits.overspent_before_anchor(p_account_id, p_credit_type, p_due.anchored_by,
      p_due.period_start));
end
$$;
comment on function credits.less_carried_over(uuid, text, credits.subscription_spells, credits.due,
  timestamptz, bigint) is
  'What an account is due in a period that begins, less what it carries over from one whose rest '
  'was given back.';
revoke all on function credits.less_carried_over(uuid, text, credits.subscription_spells,
  credits.due, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.limit_left(p_account_id uuid, p_balance credits.balances,
  p_allowance bigint, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- What was made while the limit was unlimited is of no grant, and exists all the same.
  return greatest(0, p_allowance - p_balance.used - credits.unlimited_holds_at(p_account_id,
    p_balance.credit_type, p_at) - (
    select coalesce(sum(case when g.source = 'plan' then coalesce(h.amount, 0) else -g.spent end),
      0)
    from public.credit_grants g
    left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h
      on h.grant_id = g.id
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type));
end
$$;
comment on function credits.limit_left(uuid, credits.balances, bigint, timestamptz) is
  'How many more the allowance of a limit lets exist; null when it is unlimited.';
revoke all on function credits.limit_left(uuid, credits.balances, bigint, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.balance_at(
  p_account_id uuid, p_balance credits.balances, p_at timestamptz,
  out allowance bigint, out used bigint, out reserved bigint, out remaining bigint,
  out period_start timestamptz, out period_end timestamptz)
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  d credits.due;
  v_is_cut boolean;
begin
  if p_at < p_balance.due_at then
    allowance := p_balance.allowance;
    used := p_balance.used;
    reserved := p_balance.reserved + p_balance.reserved_unlimited;
    period_start := p_balance.period_start;
    period_end := p_balance.period_end;
    remaining := case when allowance is not null then p_balance.balance - p_balance.withheld
      - p_balance.reserved end;
    return;
  end if;
  d := credits.due_at(p_account_id, p_balance, p_at);
  allowance := d.allowance;
  used := d.used;
  period_start := d.period_start;
  period_end := d.period_end;
  v_is_cut := coalesce(d.is_new_period, false);
  select coalesce(sum(h.amount), 0) + credits.unlimited_holds_at(p_account_id,
    p_balance.credit_type, p_at) into reserved
  from credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h;
  if allowance is null then
    return;
  end if;
  select coalesce(sum(g.remaining - coalesce(h.amount, 0)), 0) into remaining
  from public.credit_grants g
  left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h on h.grant_id = g.id
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open
    and credits.is_spendable(g, p_at, d.is_frozen)
    and not (g.source = 'rollover'
    and credits.has_rolled_over_unpaid(p_account_id, g.starts_at, p_at))
    and not (v_is_cut and g.period_start is not distinct from p_balance.period_start
    and g.period_start is not null)
    and not (p_balance.kind = 'limit' and g.source = 'plan');
  if p_balance.kind = 'limit' then
    remaining := remaining + credits.limit_left(p_account_id, p_balance, allowance, p_at);
  elsif not d.is_frozen then
    remaining := remaining + d.rollover + d.issued - d.withdrawn;
  end if;
end
$$;
comment on function credits.balance_at(uuid, credits.balances, timestamptz) is
  'The balance at an instant: the booked one while nothing has fallen due, else what apply_due '
  'would book, without booking it. Reached through credit_balances alone, which passes it rows '
  'that the caller may read.';
revoke all on function credits.balance_at(uuid, credits.balances, timestamptz)
  from public, anon, authenticated, service_role;
grant execute on function credits.balance_at(uuid, credits.balances, timestamptz) to authenticated,
  service_role;
