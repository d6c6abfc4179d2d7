-- What an account may have at an instant: the spell of its subscription, and the figures of the
-- version that counts.

create function credits.spell_at(p_account_id uuid, p_at timestamptz)
returns credits.subscription_spells
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spell credits.subscription_spells;
begin
  select * into v_spell from credits.subscription_spells s
  where s.account_id = p_account_id and s.replaced_at is null and s.started_at <= p_at
  order by s.started_at desc, s.n desc limit 1;
  if not found then
    select * into v_spell from credits.subscription_spells s
    where s.account_id = p_account_id and s.replaced_at is null order by s.n limit 1;
  end if;
  return v_spell;
end
$$;
comment on function credits.spell_at(uuid, timestamptz) is
  'What holds of a subscription at an instant.';
revoke all on function credits.spell_at(uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.kept_version(p_account_id uuid, p_plan_id text)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce(
    (select b.pinned_version from credits.subscriptions b
      where b.account_id = p_account_id and b.pinned_plan_id = p_plan_id),
    credits.latest_version(p_plan_id));
end
$$;
comment on function credits.kept_version(uuid, text) is
  'The version of a plan that an account takes at its next period: the newest, or the one that it '
  'is pinned to.';
revoke all on function credits.kept_version(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.period_version(p_account_id uuid, p_spell credits.subscription_spells,
  p_period_start timestamptz)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_spell.versioned_at >= p_period_start then
    return p_spell.plan_version;
  end if;
  -- All credit types of an account are on the version that the first one of them began its period
  -- with.
  return coalesce(
    (select b.plan_version from credits.balances b
      where b.account_id = p_account_id and b.period_start = p_period_start
        and b.plan_id = p_spell.plan_id
        and b.anchored_by = p_spell.anchored_by limit 1),
    -- Also after the account has left the plan within the period.
    (select g.plan_version from public.credit_grants g
      where g.account_id = p_account_id and g.period_start = p_period_start
        and g.plan_id = p_spell.plan_id and g.plan_version is not null and g.voided_at is null
      order by g.created_at limit 1),
    (select b.pinned_version from credits.subscriptions b
      where b.account_id = p_account_id and b.pinned_plan_id = p_spell.plan_id),
    -- Whenever it is asked, it is the one that was on sale as the period began.
    credits.version_at(p_spell.plan_id, credits.sale_time(p_account_id, p_period_start)));
end
$$;
comment on function credits.period_version(uuid, credits.subscription_spells, timestamptz) is
  'The version of its plan that a spell has in a period: the one that the period began with, or '
  'that came with a change in it.';
revoke all on function credits.period_version(uuid, credits.subscription_spells, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.plan_terms_at(
  p_account_id uuid, p_credit_type text, p_at timestamptz,
  out plan_id text, out plan_version integer, out allowance bigint, out rollover_cap bigint,
  out is_included boolean,
  out is_frozen boolean, out period_start timestamptz, out period_end timestamptz,
  out changes_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spell credits.subscription_spells := credits.spell_at(p_account_id, p_at);
  v_is_limit boolean := (select t.kind = 'limit' from credits.credit_types t
    where t.id = p_credit_type);
  v_plan_id text := v_spell.plan_id;
  v_quantity integer := v_spell.quantity;
  v_version integer;
begin
  plan_id := v_spell.plan_id;
  is_frozen := v_spell.is_frozen;
  select p.period_start, p.period_end into period_start, period_end
    from credits.spell_period(v_spell, p_at) p;
  plan_version := credits.period_version(p_account_id, v_spell, period_start);
  changes_at := (
    select min(s.started_at) from credits.subscription_spells s
    where s.account_id = p_account_id and s.replaced_at is null and s.started_at > p_at);
  -- What is not paid for has the limits of the default plan.
  if v_spell.is_frozen or v_is_limit and v_spell.status = 'canceled' then
    v_plan_id := (select p.id from public.plans p where p.is_default);
    v_quantity := 1;
  end if;
  -- A limit is what is on sale, up or down, at once.
  v_version := case when v_is_limit or v_plan_id <> plan_id
    then credits.kept_version(p_account_id, v_plan_id)
    else plan_version end;
  select f.is_included, f.allowance * v_quantity, f.rollover_cap * v_quantity into is_included,
    allowance, rollover_cap
  from credits.plan_figure(v_plan_id, v_version, p_credit_type) f;
end
$$;
comment on function credits.plan_terms_at(uuid, text, timestamptz) is
  'What the subscription gives an account of one credit type at an instant: plan and version, '
  'allowance (null = unlimited), whether plan credits are frozen, and when any of it changes.';
revoke all on function credits.plan_terms_at(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.period_allowance(
  p_account_id uuid, p_credit_type text, p_period_start timestamptz, p_period_end timestamptz,
  p_restarted_at timestamptz,
  p_restarted_event bigint, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_from timestamptz := greatest(p_period_start, p_restarted_at);
  v_whole numeric := extract(epoch from p_period_end - p_period_start) * 1000000;
  v_anchored_by integer := (credits.spell_at(p_account_id, p_at)).anchored_by;
  v_spell credits.subscription_spells;
  v_allowance bigint;
  v_peak bigint := 0;
  v_granted bigint := 0;
begin
  for v_spell in
    select x.* from credits.subscription_spells x
    where x.account_id = p_account_id and x.replaced_at is null and x.started_at <= p_at
      and x.anchored_by = v_anchored_by
      -- One that ended before the period, or with its start, gave its credits then; one that ended
      -- with a restart did too.
      and (x.started_at >= v_from and p_restarted_at is null or not exists (
        select 1 from credits.subscription_spells y
        where y.account_id = p_account_id and y.replaced_at is null and y.n = x.n + 1
          and (y.started_at < v_from or y.started_at = v_from
          and coalesce(y.event_n <= p_restarted_event, true))))
    order by x.n
  loop
    continue when not v_spell.is_earning or v_spell.forfeited_at <= p_at;
    v_allowance := (
      select f.allowance * v_spell.quantity
      from credits.plan_figure(v_spell.plan_id,
        credits.period_version(p_account_id, v_spell, p_period_start), p_credit_type) f);
    if v_spell.is_default and v_allowance > 0 then
      v_allowance := credits.free_allowance(p_account_id, p_credit_type, p_period_start,
        v_allowance);
    end if;
    -- To pass through plans that were not paid for brings no second one within the month.
    if v_allowance > 0 and v_anchored_by > 1 and p_restarted_at is null
       and not v_spell.is_paid then
      v_allowance := greatest(0, v_allowance - credits.taken_before_anchor(p_account_id,
        p_credit_type, v_anchored_by, p_period_start));
    -- Nor does a new anchor, where the rest of the month that it cuts short was given back.
    elsif v_allowance > 0 and v_anchored_by > 1 and p_restarted_at is null then
      v_allowance := greatest(0, v_allowance - credits.overspent_before_anchor(p_account_id,
        p_credit_type, v_anchored_by, p_period_start));
    end if;
    continue when v_allowance is null or v_allowance <= v_peak;
    -- An upgrade brings its difference for the share of the period that is left: ceil, in whole
    -- microseconds, for a quotient that is rounded would make 2/3 of 150 more than 100.
    v_granted := v_granted + case
      when v_spell.started_at <= v_from or v_spell.is_whole or v_spell.trial_ends_at is not null
        then v_allowance - v_peak
      else div((v_allowance - v_peak)
        * extract(epoch from p_period_end - v_spell.started_at) * 1000000 + v_whole - 1,
          v_whole)::bigint end;
    v_peak := v_allowance;
  end loop;
  return v_granted;
end
$$;
comment on function credits.period_allowance(uuid, text, timestamptz, timestamptz, timestamptz,
  bigint, timestamptz) is
  'How many plan credits an account is due in a period by an instant: the allowance it began '
  'with, and the shares of what grew since. Switching down and up again brings nothing.';
revoke all on function credits.period_allowance(uuid, text, timestamptz, timestamptz, timestamptz,
  bigint, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.taken_before_anchor(
  p_account_id uuid, p_credit_type text, p_anchored_by integer, p_period_start timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spell record;
  v_period record;
  v_from timestamptz;
  v_taken bigint := 0;
  v_restarted record;
begin
  select b.restarted_at as at, b.restarted_event as event into v_restarted
  from credits.balances b where b.account_id = p_account_id and b.credit_type = p_credit_type;
  for v_spell in
    select * from credits.unpaid_spells(p_account_id, p_anchored_by, p_period_start)
  loop
    select * into v_period from credits.period_ending_at(v_spell.spell, v_spell.ended_at);
    -- What support restarted counts from there.
    continue when v_period.period_end <= p_period_start or v_spell.ended_at < v_restarted.at
      or v_spell.ended_at = v_restarted.at and v_spell.ended_by <= v_restarted.event;
    v_from := greatest(v_period.period_start, v_spell.started_at);
    v_taken := v_taken + credits.spent_between(p_account_id, p_credit_type,
      greatest(v_from, v_restarted.at), v_spell.ended_at);
    if v_from < v_spell.ended_at then
      v_taken := v_taken + credits.carried_over_at(p_account_id, p_credit_type, v_spell.ended_at,
        case when v_spell.is_last then v_period.period_end end);
    end if;
  end loop;
  return v_taken;
end
$$;
comment on function credits.taken_before_anchor(uuid, text, integer, timestamptz) is
  'What an account has had already of the allowance of a plan without a price, or of one that it '
  'left without paying, in a period that a later anchor cut short and that would not be over yet: '
  'what it spent of it, and what it carried over out of it.';
revoke all on function credits.taken_before_anchor(uuid, text, integer, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.carried_over_at(
  p_account_id uuid, p_credit_type text, p_at timestamptz,
  p_or_at timestamptz default null)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Whatever became of it since: it was given.
  return (
    select coalesce(sum(g.amount), 0) from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_credit_type and g.source = 'rollover'
      and g.starts_at in (p_at, p_or_at));
end
$$;
comment on function credits.carried_over_at(uuid, text, timestamptz, timestamptz) is
  'What rolled over out of a period that ended at an instant. p_or_at: the end that it had before '
  'there was news of an earlier one, by when it may have been booked.';
revoke all on function credits.carried_over_at(uuid, text, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.unpaid_spells(
  p_account_id uuid, p_anchored_by integer, p_period_start timestamptz)
returns table (spell credits.subscription_spells, started_at timestamptz, ended_at timestamptz,
  ended_by bigint, is_last boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- After one whole period nothing of before runs on, however short the months were.
  if exists (
    select 1 from credits.subscription_spells x
    where x.account_id = p_account_id and x.replaced_at is null
      and x.anchored_by = p_anchored_by and x.started_at < p_period_start) then
    return;
  end if;
  return query
    select x, x.started_at, least(p_period_start, y.started_at), y.event_n,
      x.anchored_by < y.anchored_by
    from credits.subscription_spells x
    left join credits.subscription_spells y on y.account_id = x.account_id and y.n = x.n + 1
      and y.replaced_at is null
    where x.account_id = p_account_id and x.replaced_at is null
      and x.anchored_by < p_anchored_by and x.started_at <= p_period_start
      and (x.forfeited_at is not null or x.is_earning and not x.is_paid)
      -- Of those that lasted for no time only what was a period: on a clock that stands still.
      and (x.started_at < least(p_period_start, y.started_at)
        or x.anchored_from = x.started_at and x.anchored_by < y.anchored_by and not exists (
          select 1 from credits.subscription_spells z
          where z.account_id = x.account_id and z.replaced_at is null
            and z.anchored_from = x.anchored_from
            and z.anchored_by > x.anchored_by and z.anchored_by < p_anchored_by));
end
$$;
comment on function credits.unpaid_spells(uuid, integer, timestamptz) is
  'The spells of earlier anchors in which an account paid nothing, up to the start of the first '
  'period of an anchor.';
revoke all on function credits.unpaid_spells(uuid, integer, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.overspent_before_anchor(
  p_account_id uuid, p_credit_type text, p_anchored_by integer, p_period_start timestamptz,
  p_carried bigint default 0)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spell credits.subscription_spells;
  v_from timestamptz;
  v_period record;
  v_over numeric := 0;
  v_is_any boolean := false;
begin
  for v_spell in
    select x.* from credits.subscription_spells x
    where x.account_id = p_account_id and x.replaced_at is null and x.is_given_back
      and x.anchored_by < p_anchored_by and x.started_at < p_period_start
      and x.trial_ends_at is null
  loop
    v_spell.replaced_at := least(p_period_start, (
      select y.started_at from credits.subscription_spells y
      where y.account_id = p_account_id and y.replaced_at is null and y.n = v_spell.n + 1));
    continue when v_spell.replaced_at <= v_spell.started_at;
    select * into v_period from credits.period_ending_at(v_spell, v_spell.replaced_at);
    continue when v_period.period_end <= p_period_start;
    v_from := greatest(v_period.period_start, v_spell.started_at);
    v_is_any := true;
    -- What was paid for is the allowance's share of the time that it ran.
    v_over := v_over + credits.spent_between(p_account_id, p_credit_type, v_from,
      v_spell.replaced_at) + credits.carried_over_at(p_account_id, p_credit_type,
      v_spell.replaced_at) - coalesce((
      select f.allowance * v_spell.quantity * extract(epoch from v_spell.replaced_at - v_from)
        / extract(epoch from v_period.period_end - v_period.period_start)
      from credits.plan_figure(v_spell.plan_id,
        credits.period_version(p_account_id, v_spell, v_period.period_start), p_credit_type) f),
      0);
  end loop;
  return greatest(0, ceil(round(v_over + case when v_is_any then p_carried else 0 end, 9)));
end
$$;
comment on function credits.overspent_before_anchor(uuid, text, integer, timestamptz, bigint) is
  'What an account has spent of the allowances of periods that a later anchor cut short, that '
  'would not be over yet and whose rest was given back, or carried over out of them, beyond the '
  'share of the time that they ran. p_carried: what is being carried over now.';
revoke all on function credits.overspent_before_anchor(uuid, text, integer, timestamptz, bigint)
  from public, anon, authenticated, service_role;
