-- What the calendar brings: told in the transaction that books it.

create function credits.announce_due(
  p_account_id uuid, p_before credits.balances, p_balance credits.balances, p_due credits.due)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_due.is_new_period then
    update credits.balances b set alert_percent = 0, alert_amount = null
    where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  end if;
  if p_balance.balance - p_balance.withheld > p_before.balance - p_before.withheld then
    perform credits.rearm_levels(p_account_id, p_balance.credit_type);
  end if;
  if p_before.plan_id <> p_balance.plan_id
     and p_balance.credit_type = credits.leading_type(p_account_id) then
    perform credits.announce(p_account_id, 'plan.changed', jsonb_build_object(
      'plan_id', p_balance.plan_id, 'plan_name', credits.plan_name(p_balance.plan_id),
      'from_plan_id', p_before.plan_id, 'from_plan_name', credits.plan_name(p_before.plan_id)));
  elsif p_due.is_new_period and not p_due.is_early and p_due.issued > 0
        and p_before.period_start < p_balance.period_start and p_balance.kind = 'credit' then
    perform credits.announce(p_account_id, 'credits.renewed',
      credits.level_data(p_balance) || jsonb_build_object(
        'granted', p_due.issued, 'rolled_over', coalesce(p_due.rollover, 0),
        'period_start', p_balance.period_start),
      p_balance.credit_type);
  end if;
end
$$;
comment on function credits.announce_due(uuid, credits.balances, credits.balances, credits.due) is
  'Tells what has just been booked on a balance: that the plan is another one (once for the '
  'account), or that a period began; takes levels down in a new period, and after a grant.';
revoke all on function credits.announce_due(uuid, credits.balances, credits.balances, credits.due)
  from public, anon, authenticated, service_role;

create function credits.leading_type(p_account_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select b.credit_type from credits.balances b where b.account_id = p_account_id
    order by b.kind, b.credit_type limit 1);
end
$$;
comment on function credits.leading_type(uuid) is
  'The balance that speaks for the whole account where something is to be told once. Credits come '
  'before limits, whose plan may be another one while something is owed.';
revoke all on function credits.leading_type(uuid) from public, anon, authenticated, service_role;

create function credits.plan_name(p_plan_id text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce((select p.name from public.plans p where p.id = p_plan_id), p_plan_id);
end
$$;
comment on function credits.plan_name(text) is 'What a plan is called on the pricing page.';
revoke all on function credits.plan_name(text) from public, anon, authenticated, service_role;

create function credits.announce_expired_hold(
  p_account_id uuid, p_hold_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.announce(p_account_id, 'hold.expired', jsonb_build_object(
      'reservation_id', r.id, 'released', r.released, 'captured', r.captured,
      'expired_at', r.expires_at, 'name', (
        select t.description from credits.credit_types t where t.id = r.credit_type)),
    r.credit_type, r.user_id)
  from public.credit_reservations r
  where r.account_id = p_account_id and r.id = p_hold_id;
end
$$;
comment on function credits.announce_expired_hold(uuid, uuid) is
  'Tells that a hold was given back because its time had passed.';
revoke all on function credits.announce_expired_hold(uuid, uuid)
  from public, anon, authenticated, service_role;
