create function credits.move_time_zone(p_account_id uuid, p_time_zone text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_event credits.subscription_events;
  v_at timestamptz;
begin
  select max(b.settled_at) into v_at from credits.lock_account(p_account_id) b;
  v_event.kind := 'time_zone';
  v_event.happened_at := v_at;
  v_event.time_zone := p_time_zone;
  perform credits.record_event(p_account_id, v_event, v_at);
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.move_time_zone(uuid, text) is
  'Changes the wall clock that later periods follow. The running period ends as it was to end.';
revoke all on function credits.move_time_zone(uuid, text)
  from public, anon, authenticated, service_role;

-- edge: result=TimeZoneChange callers=service_role repeatable
--   Set the wall clock that later periods follow, such as ``Europe/Paris``.
--
--   Raises:
--       InvalidArgument: not a name of the IANA time zone database.
--       AccountNotFound.
create function public.set_time_zone(p_user_id uuid, p_time_zone text,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  if not exists (select 1 from pg_catalog.pg_timezone_names z where z.name = p_time_zone) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_time_zone', 'value', p_time_zone),
      'Pass a name of the IANA time zone database, such as Europe/Paris.');
  end if;
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  perform credits.move_time_zone(v_account_id, p_time_zone);
  return credits.respond(
    credits.account_answer(v_account_id) || jsonb_build_object('time_zone', p_time_zone));
end
$$;
comment on function public.set_time_zone(uuid, text, uuid) is
  'Sets the time zone whose wall clock the account''s periods follow, from the end of the running '
  'one on. Default UTC.';
revoke all on function public.set_time_zone(uuid, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.set_time_zone(uuid, text, uuid) to service_role;
