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
  where r.account_id = p_account_id and r.credit_type = p_credit_type and r.status = 'open' and r.expires_at > p_at
  group by s.grant_id
$$;
comment on function credits.live_holds_at(uuid, text, timestamptz) is 'What the holds that live at an instant have pinned, per grant.';
revoke all on function credits.live_holds_at(uuid, text, timestamptz) from public, anon, authenticated, service_role;

create function credits.rollover_at(
  p_account_id uuid, p_balance credits.balances, p_terms_anchor_at timestamptz, p_time_zone text, p_period_start timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_before timestamptz := p_period_start - interval '1 microsecond';
  v_cap bigint;
  v_unspent bigint;
  v_terms record;
  v_period record;
begin
  select case when not t.is_past_grace then t.rollover_cap end into v_cap
  from credits.plan_terms_at(p_account_id, p_balance.credit_type, v_before) t;
  if coalesce(v_cap, 0) = 0 then
    return 0;
  end if;
  if p_balance.period_end = p_period_start then
    -- The period that was booked last ends here: what its grant still has, less what holds pin beyond this instant.
    select g.remaining - coalesce(h.amount, 0) into v_unspent
    from public.credit_grants g
    left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_period_start) h on h.grant_id = g.id
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = p_balance.period_start and g.voided_at is null and g.frozen_at is null;
  else
    -- Nobody came by during the period before: its whole allowance was left.
    select p.period_start into v_period
    from credits.next_period(p_terms_anchor_at, p_time_zone, p_balance.period_end, v_before) p;
    select t.allowance, t.renews into v_terms
    from credits.plan_terms_at(p_account_id, p_balance.credit_type, v_period.period_start) t;
    v_unspent := case when v_terms.renews then v_terms.allowance end;
  end if;
  return least(v_cap, coalesce(v_unspent, 0));
end
$$;
comment on function credits.rollover_at(uuid, credits.balances, timestamptz, text, timestamptz) is
  'How many credits of the period before move into the period that starts at p_period_start: what was left of its allowance, up to the plan''s cap.';
revoke all on function credits.rollover_at(uuid, credits.balances, timestamptz, text, timestamptz) from public, anon, authenticated, service_role;

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
  v_terms record;
  v_free bigint;
  v_plan_taken bigint;
  v_unlimited bigint;
begin
  allowance := p_balance.allowance;
  used := p_balance.used;
  reserved := p_balance.reserved + p_balance.reserved_unlimited;
  period_start := p_balance.period_start;
  period_end := p_balance.period_end;
  if p_at < p_balance.due_at then
    remaining := case when allowance is not null then p_balance.balance - p_balance.withheld - p_balance.reserved end;
    return;
  end if;

  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_at);
  allowance := v_terms.allowance;
  select coalesce(sum(r.unlimited - r.unlimited_captured), 0) into v_unlimited
  from public.credit_reservations r
  where r.account_id = p_account_id and r.credit_type = p_balance.credit_type and r.status = 'open' and r.expires_at > p_at;
  select v_unlimited + coalesce(sum(h.amount), 0) into reserved
  from credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h;

  -- What the open grants have free, the allowance of a limit left out.
  select coalesce(sum(g.remaining - coalesce(h.amount, 0)), 0) into v_free
  from public.credit_grants g
  left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h on h.grant_id = g.id
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open
    and g.starts_at <= p_at and (g.expires_at is null or g.expires_at > p_at) and g.voided_at is null
    and (g.frozen_at is null or (g.frozen_reason = 'past_due' and not v_terms.is_past_grace))
    and not (v_terms.is_past_grace and g.source in ('plan', 'rollover'))
    and not (p_balance.kind = 'limit' and g.source = 'plan');

  if p_balance.kind = 'limit' then
    -- What was made while the limit was unlimited is of no grant, and exists all the same.
    select used + v_unlimited + coalesce(sum(case when g.source = 'plan' then coalesce(h.amount, 0) else -g.spent end), 0)
      into v_plan_taken
    from public.credit_grants g
    left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h on h.grant_id = g.id
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type;
    v_free := v_free + greatest(0, allowance - v_plan_taken);
  else
    if p_at >= period_end then
      select p.period_start, p.period_end into period_start, period_end
      from credits.next_period(v_terms.anchor_at, v_terms.time_zone, period_end, p_at) p;
      v_free := v_free + case when v_terms.is_past_grace then 0 else
        credits.rollover_at(p_account_id, p_balance, v_terms.anchor_at, v_terms.time_zone, period_start) end;
      used := 0;
    end if;
    if p_balance.allowance_period is distinct from period_start
       and (select t.renews from credits.plan_terms_at(p_account_id, p_balance.credit_type, period_start) t)
       and not v_terms.is_past_grace then
      v_free := v_free + coalesce((
        select case when p.is_default and t.allowance > 0
          then credits.free_allowance(p_account_id, p_balance.credit_type, period_start, t.allowance) else t.allowance end
        from credits.plan_terms_at(p_account_id, p_balance.credit_type, period_start) t
        join public.plans p on p.id = t.plan_id), 0);
    end if;
  end if;
  remaining := case when allowance is not null then v_free end;
end
$$;
comment on function credits.balance_at(uuid, credits.balances, timestamptz) is
  'The balance at an instant: the booked one while nothing has fallen due, else what settle would book, without booking it. Reached through credit_balances alone, which passes it rows that the caller may read.';
revoke all on function credits.balance_at(uuid, credits.balances, timestamptz) from public, anon, authenticated, service_role;
grant execute on function credits.balance_at(uuid, credits.balances, timestamptz) to authenticated, service_role;
