-- edge: result=BillingEventList.events callers=service_role repeatable
--   Events of the payment provider that wait for something or need a person, the oldest first.
--
--   ``outcome`` None is both; waiting, needs_attention, applied or ignored is one. An event that
--   waits for ``fetch:…`` is completed by applying it again with all of its facts. ``to_fetch``
--   lists those that an inquiry at the provider may complete and whose turn it is: at once, and
--   after each try in vain later, up to a day; what was tried the longest ago comes first.
--
--   Raises:
--       InvalidArgument: another ``outcome``, or ``limit`` is not 1 to 1000.
create function public.list_billing_events(
  p_outcome text default null, p_limit integer default 100, p_to_fetch boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := credits.clock();
begin
  if p_outcome not in ('waiting', 'needs_attention', 'applied', 'ignored') then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_outcome', 'value', p_outcome),
      'The outcome is waiting, needs_attention, applied or ignored; none for the first two.');
  end if;
  perform credits.check_billing_limit(p_limit);
  return jsonb_build_object('success', true, 'code', 'ok', 'events', (
    select coalesce(jsonb_agg(to_jsonb(r) - 'turn'::text order by r.turn, r.event_id), '[]')
    from (
      select b.event_id, b.type, b.happened_at, b.livemode, b.api_version, b.outcome, b.note,
        b.waits_for, b.facts, b.body, b.tries, b.received_at,
        case when p_to_fetch then b.settled_at else b.received_at end as turn
      from credits.billing_inbox b
      where b.outcome = any (case when p_outcome is null then array['waiting', 'needs_attention']
        else array[p_outcome] end)
        and (p_to_fetch is not true
          or credits.is_to_fetch(b.waits_for, b.tries, b.settled_at, v_now))
      order by turn, b.event_id limit p_limit) r));
end
$$;
comment on function public.list_billing_events(text, integer, boolean) is
  'Events of the payment provider that wait for something or need a person, the oldest first: '
  'what they wait for, and their facts. p_to_fetch: those that an inquiry at the provider may '
  'complete, when it is their turn.';
revoke all on function public.list_billing_events(text, integer, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.list_billing_events(text, integer, boolean) to service_role;

create function credits.is_to_fetch(
  p_waits_for text[], p_tries integer, p_tried_at timestamptz, p_at timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
      select 1 from unnest(p_waits_for) w where w like 'fetch:%' or w like 'payment:%')
    and (p_tries < 2 or p_tried_at + least(interval '1 day',
      interval '10 seconds' * power(2, least(p_tries - 2, 14))) <= p_at);
end
$$;
comment on function credits.is_to_fetch(text[], integer, timestamptz, timestamptz) is
  'Whether the provider may know what an event waits for, and has not been asked for a while: each '
  'try in vain doubles the time to the next one.';
revoke all on function credits.is_to_fetch(text[], integer, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.check_billing_limit(p_limit integer)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_limit', 'value', p_limit), 'The limit is 1 to 1000.');
  end if;
end
$$;
comment on function credits.check_billing_limit(integer) is
  'Raises invalid_argument for a limit that is not 1 to 1000.';
revoke all on function credits.check_billing_limit(integer)
  from public, anon, authenticated, service_role;
