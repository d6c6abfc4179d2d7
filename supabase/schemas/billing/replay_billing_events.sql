-- edge: result=BillingReplay callers=service_role repeatable
--   Apply again what waits or needs attention, of events created since ``since``; count the others.
--
--   What had been applied is replayed: it changes nothing. Also erases the bodies of events that
--   are older than their retention.
--
--   Raises:
--       InvalidArgument: ``limit`` is not 1 to 1000.
create function public.replay_billing_events(
  p_since timestamptz default null, p_limit integer default 1000)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_row credits.billing_inbox;
  v_outcomes jsonb;
  v_left bigint;
begin
  perform credits.check_billing_limit(p_limit);
  perform credits.forget_bodies();
  select jsonb_build_object('replayed', count(*)) into v_outcomes
  from credits.billing_inbox b
  where b.outcome in ('applied', 'ignored')
    and b.happened_at >= coalesce(p_since, '-infinity'::timestamptz);
  for v_row in
    select * from credits.billing_inbox b
    where b.outcome in ('waiting', 'needs_attention')
      and b.happened_at >= coalesce(p_since, '-infinity'::timestamptz)
    order by b.settled_at nulls first, b.event_id limit p_limit for update skip locked
  loop
    v_row := credits.settle_event(v_row, credits.why_ignored(
      jsonb_build_object('livemode', v_row.livemode), v_row.facts));
    v_outcomes := v_outcomes || jsonb_build_object(v_row.outcome,
      coalesce((v_outcomes ->> v_row.outcome)::bigint, 0) + 1);
  end loop;
  select count(*) into v_left from credits.billing_inbox b
  where b.outcome in ('waiting', 'needs_attention');
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'outcomes', v_outcomes, 'unsettled', v_left));
end
$$;
comment on function public.replay_billing_events(timestamptz, integer) is
  'Applies again what waits or needs attention, of events created since p_since, and counts the '
  'others as replayed: those change nothing.';
revoke all on function public.replay_billing_events(timestamptz, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.replay_billing_events(timestamptz, integer) to service_role;

create function credits.forget_bodies()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_before timestamptz := clock_timestamp() - (
    select s.billing_body_retention from credits.settings s);
begin
  update credits.billing_inbox b set body = null
  where b.event_id in (
    select o.event_id from credits.billing_inbox o
    where o.body is not null and o.received_at < v_before
    order by o.received_at limit 1000);
end
$$;
comment on function credits.forget_bodies() is
  'Erases events as they were received when they are older than billing_body_retention: a '
  'thousand at a time.';
revoke all on function credits.forget_bodies() from public, anon, authenticated, service_role;
