-- edge: result=BillingEventList.events callers=service_role repeatable
--   Events of the payment provider that wait for something or need a person, the oldest first.
--
--   ``outcome`` None is both; waiting, needs_attention, applied or ignored is one. An event that
--   waits for ``fetch:…`` is completed by applying it again with all of its facts.
--
--   Raises:
--       InvalidArgument: another ``outcome``, or ``limit`` is not 1 to 1000.
create function public.list_billing_events(p_outcome text default null, p_limit integer default 100)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if p_outcome not in ('waiting', 'needs_attention', 'applied', 'ignored') then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_outcome', 'value', p_outcome),
      'The outcome is waiting, needs_attention, applied or ignored; none for the first two.');
  end if;
  perform credits.check_billing_limit(p_limit);
  return jsonb_build_object('success', true, 'code', 'ok', 'events', (
    select coalesce(jsonb_agg(to_jsonb(r) order by r.received_at, r.event_id), '[]') from (
      select b.event_id, b.type, b.happened_at, b.livemode, b.api_version, b.outcome, b.note,
        b.waits_for, b.facts, b.body, b.tries, b.received_at
      from credits.billing_inbox b
      where b.outcome = any (case when p_outcome is null then array['waiting', 'needs_attention']
        else array[p_outcome] end)
      order by b.received_at, b.event_id limit p_limit) r));
end
$$;
comment on function public.list_billing_events(text, integer) is
  'Events of the payment provider that wait for something or need a person, the oldest first: '
  'what they wait for, and their facts.';
revoke all on function public.list_billing_events(text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.list_billing_events(text, integer) to service_role;

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
