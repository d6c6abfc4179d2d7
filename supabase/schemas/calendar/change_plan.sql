-- edge: result=PlanChange callers=service_role keyed
--   Move an account to another plan or number of seats: ``"now"``, or at the ``"period_end"``.
--
--   ``at`` is when it happened, now or before: it counts from then. ``quantity`` is seats; fewer
--   count from the next period. Nothing is clawed back, and nothing that is owed for is thawed.
--   Asking for the plan it is on takes a pending change back.
--
--   Raises:
--       InvalidArgument: no such plan, another ``effective``, or a time to come.
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound.
create function public.change_plan(
  p_user_id uuid, p_plan_id text, p_effective text default 'now',
  p_idempotency_key text default null,
  p_at timestamptz default null, p_quantity integer default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(1, null, p_idempotency_key, null);
  if p_effective is null or p_effective not in ('now', 'period_end') then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_effective', 'value', p_effective),
      'A plan changes ''now'' or at the ''period_end''.');
  end if;
  if p_quantity not between 1 and 1000000 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_quantity', 'value', p_quantity),
      'The quantity is a number of seats from 1 to 1000000.');
  end if;
  if not exists (select 1 from public.plans p where p.id = p_plan_id) then
    perform credits.refuse_plan(p_plan_id);
  end if;
  return credits.respond(credits.change_plan(credits.paying_account(p_user_id, p_workspace_id),
    p_user_id, p_plan_id, p_effective,
    p_idempotency_key, p_at, p_quantity));
end
$$;
comment on function public.change_plan(uuid, text, text, text, timestamptz, integer, uuid) is
  'Moves an account to another plan or number of seats: ''now'', which never claws anything back, '
  'or at the ''period_end''. p_at is when it happened, now or before; it counts from then. The '
  'plan it is on takes back a pending change.';
revoke all on function public.change_plan(uuid, text, text, text, timestamptz, integer, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.change_plan(uuid, text, text, text, timestamptz, integer, uuid)
  to service_role;

create function credits.refuse_plan(p_plan_id text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  perform credits.raise_error('invalid_argument',
    jsonb_build_object('argument', 'p_plan_id', 'value', p_plan_id, 'known', (
    select jsonb_agg(p.id order by p.rank) from public.plans p)),
      'There is no such plan; list_plans lists them.');
end
$$;
comment on function credits.refuse_plan(text) is
  'Raises that there is no such plan, and which there are.';
revoke all on function credits.refuse_plan(text) from public, anon, authenticated, service_role;

create function credits.time_of_event(p_now timestamptz, p_at timestamptz,
  p_may_come boolean default false)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if not isfinite(p_at) or p_at > p_now and not p_may_come then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_at', 'value', p_at, 'now', p_now),
      case when p_may_come then 'p_at is a time, not infinity.'
        else 'p_at is when it happened: now or before.' end);
  end if;
  return coalesce(p_at, p_now);
end
$$;
comment on function credits.time_of_event(timestamptz, timestamptz, boolean) is
  'When something happened: p_at, or now. Raises invalid_argument for no time, and for one to '
  'come unless it may.';
revoke all on function credits.time_of_event(timestamptz, timestamptz, boolean)
  from public, anon, authenticated, service_role;

create function credits.change_plan(
  p_account_id uuid, p_user_id uuid, p_plan_id text, p_effective text, p_idempotency_key text,
  p_at timestamptz,
  p_quantity integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid := gen_random_uuid();
  v_request jsonb := jsonb_strip_nulls(jsonb_build_object('function', 'change_plan', 'user_id',
    p_user_id, 'plan_id', p_plan_id,
    'effective', p_effective, 'at', extract(epoch from p_at), 'quantity', p_quantity));
  v_answer jsonb;
  v_now timestamptz;
  v_is_closed boolean;
  v_event credits.subscription_events;
begin
  select max(b.settled_at), bool_or(b.account_status = 'closed') into v_now, v_is_closed
  from credits.lock_account(p_account_id) b;
  if v_is_closed then
    perform credits.refuse_status(p_account_id, 'closed');
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  v_event.kind := 'plan';
  v_event.happened_at := credits.time_of_event(v_now, p_at);
  v_event.at_period_end := p_effective = 'period_end';
  v_event.quantity := p_quantity;
  -- Locked as a foreign key would: who deletes the plan waits, and finds its new subscriber.
  select p.id, case when p_at is null then credits.latest_version(p.id)
      else credits.version_at(p.id, credits.sale_time(p_account_id, p_at)) end
    into v_event.plan_id, v_event.plan_version
  from public.plans p where p.id = p_plan_id for key share;
  if not found then
    perform credits.refuse_plan(p_plan_id);
  end if;
  perform credits.record_event(p_account_id, v_event, v_now);
  perform credits.lock_account(p_account_id);
  v_answer := credits.account_answer(p_account_id, v_operation_id)
    || credits.subscription_answer(p_account_id, v_now);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer,
    v_now);
  return v_answer;
end
$$;
comment on function credits.change_plan(uuid, uuid, text, text, text, timestamptz, integer) is
  'Locks all balances of the account in order, then moves it to another plan.';
revoke all on function credits.change_plan(uuid, uuid, text, text, text, timestamptz, integer)
  from public, anon, authenticated, service_role;

create function credits.subscription_answer(p_account_id uuid, p_at timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_spells := credits.spell_at(p_account_id, p_at);
begin
  return jsonb_build_object('plan', s.plan_id, 'status', s.status, 'quantity', s.quantity,
    'pending_plan', s.pending_plan_id, 'pending_at', s.pending_at);
end
$$;
comment on function credits.subscription_answer(uuid, timestamptz) is
  'What answers say of a subscription: plan, status, seats, and what is to come.';
revoke all on function credits.subscription_answer(uuid, timestamptz)
  from public, anon, authenticated, service_role;
