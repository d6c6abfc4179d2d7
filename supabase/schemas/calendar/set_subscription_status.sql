-- edge: result=StatusChange callers=service_role repeatable
--   Record what became of the subscription, and when.
--
--   ``status`` is active, trialing, past_due, unpaid, paused or canceled. ``at`` is when it
--   happened, now by default; only a cancellation may be to come. ``ends_at`` is when a trial ends.
--
--   Raises:
--       InvalidArgument: another status, or a time that cannot be.
--       AccountNotFound.
create function public.set_subscription_status(
  p_user_id uuid, p_status text, p_at timestamptz default null, p_ends_at timestamptz default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  if p_status is null
    or p_status not in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'canceled') then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_status', 'value', p_status),
      'The status is active, trialing, past_due, unpaid, paused or canceled.');
  end if;
  if (p_status = 'trialing') <> (p_ends_at is not null) or not isfinite(p_ends_at) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_ends_at', 'value', p_ends_at),
      'p_ends_at says when a trial ends, and belongs to no other status.');
  end if;
  return credits.respond(credits.set_status(
    credits.paying_account(p_user_id, p_workspace_id), p_status, p_at, p_ends_at,
    (select s.on_cancel = 'keep' from credits.settings s)));
end
$$;
comment on function public.set_subscription_status(uuid, text, timestamptz, timestamptz, uuid) is
  'Records what became of the subscription, and when (p_at, now by default). past_due, unpaid: no '
  'new allowance, and after the plan''s grace plan credits are frozen; paused: at once; canceled: '
  'the plan ends at p_at, which may be to come; trialing: until p_ends_at; active: paid.';
revoke all on function public.set_subscription_status(uuid, text, timestamptz, timestamptz, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.set_subscription_status(uuid, text, timestamptz, timestamptz, uuid)
  to service_role;

create function credits.set_status(
  p_account_id uuid, p_status text, p_at timestamptz, p_ends_at timestamptz, p_keeps_paid boolean)
returns jsonb
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
  v_event.kind := 'status';
  v_event.status := p_status;
  v_event.happened_at := credits.time_of_event(v_now, p_at, p_status = 'canceled');
  v_event.ends_at := p_ends_at;
  if p_ends_at <= v_event.happened_at then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_ends_at', 'value', p_ends_at),
      'A trial ends after it begins.');
  end if;
  if p_status = 'canceled' then
    v_event.keeps_paid := p_keeps_paid;
    -- A cancellation to come is known from now on, and can be taken back.
    if v_event.happened_at > v_now then
      v_event.ends_at := v_event.happened_at;
      v_event.happened_at := v_now;
    end if;
  end if;
  -- Also what was known: news of something between the two may still come.
  perform credits.record_event(p_account_id, v_event, v_now);
  perform credits.lock_account(p_account_id);
  return credits.account_answer(p_account_id) || credits.subscription_answer(p_account_id, v_now)
    || jsonb_build_object('status', p_status);
end
$$;
comment on function credits.set_status(uuid, text, timestamptz, timestamptz, boolean) is
  'Books what has fallen due under the old status, then records the new one.';
revoke all on function credits.set_status(uuid, text, timestamptz, timestamptz, boolean)
  from public, anon, authenticated, service_role;
