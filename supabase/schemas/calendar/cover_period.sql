-- What a payment provider says: who manages the subscription, which period runs, and up to when it
-- is paid.

create function credits.cover_period(p_account_id uuid, p_covered_until timestamptz,
  p_period_start timestamptz default null)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_event credits.subscription_events;
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  update credits.subscriptions b set is_managed = true,
    covered_until = case when isfinite(p_covered_until)
      then greatest(b.covered_until, p_covered_until) else b.covered_until end
  where b.account_id = p_account_id;
  if isfinite(p_period_start) then
    v_event.kind := 'period';
    v_event.happened_at := p_period_start;
    perform credits.record_event(p_account_id, v_event, v_now);
  else
    perform credits.refold(p_account_id, v_now);
  end if;
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.cover_period(uuid, timestamptz, timestamptz) is
  'A payment provider manages the subscription, has been paid up to p_covered_until (null: '
  'nothing new), and its running period began at p_period_start (null: as it did). In any order '
  'and any number of times; where the same news tells a status, before it.';
revoke all on function credits.cover_period(uuid, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;
