create function credits.start_period(p_account_id uuid, inout p_balance credits.balances, p_anchor_at timestamptz, p_time_zone text, p_rollover bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_old_start timestamptz := p_balance.period_start;
begin
  update public.credit_grants g set expires_at = p_balance.settled_at
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
    and g.period_start = v_old_start and g.voided_at is null;
  p_balance := credits.expire_ended(p_account_id, p_balance);
  select p.period_start, p.period_end into p_balance.period_start, p_balance.period_end
  from credits.period_at(p_anchor_at, p_time_zone, p_balance.settled_at) p;
  -- At the very start of a period the new one begins at the same instant, and has one allowance too.
  update public.credit_grants g set voided_at = p_balance.settled_at, void_reason = 'plan changed'
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
    and g.period_start = v_old_start and v_old_start = p_balance.period_start and g.voided_at is null;
  p_balance.allowance_period := null;
  p_balance.used := 0;
  p_balance.used_since := p_balance.settled_at;
  if p_rollover > 0 then
    p_balance := (select i.p_balance from credits.issue(p_account_id, p_balance, null, gen_random_uuid(), 'rollover',
      p_rollover, p_balance.settled_at, p_balance.period_end, null, 'unspent allowance of the period before', '{}') i);
  end if;
  p_balance := credits.grant_allowance(p_account_id, p_balance);
end
$$;
comment on function credits.start_period(uuid, credits.balances, timestamptz, text, bigint) is
  'Ends the running period at this moment and starts the one of a new anchor, with its allowance.';
revoke all on function credits.start_period(uuid, credits.balances, timestamptz, text, bigint)
  from public, anon, authenticated, service_role;

create function credits.raise_allowance(p_account_id uuid, inout p_balance credits.balances, p_user_id uuid, p_operation_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_terms record;
  v_left numeric := extract(epoch from p_balance.period_end - p_balance.settled_at) * 1000000;
  v_whole numeric := extract(epoch from p_balance.period_end - p_balance.period_start) * 1000000;
  v_amount bigint;
begin
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at);
  if p_balance.kind = 'limit' or not v_terms.renews then
    return;
  end if;
  if v_terms.allowance > p_balance.peak_allowance then
    -- ceil, in whole microseconds: a quotient that is rounded would make 2/3 of 150 more than 100.
    v_amount := div((v_terms.allowance - p_balance.peak_allowance) * v_left + v_whole - 1, v_whole);
    p_balance.peak_allowance := v_terms.allowance;
    p_balance := (select i.p_balance from credits.issue_allowance(p_account_id, p_balance, v_amount, v_terms.plan_id,
      p_user_id, p_operation_id, 'upgrade') i);
  end if;
end
$$;
comment on function credits.raise_allowance(uuid, credits.balances, uuid, uuid) is
  'Within a period an upgrade grants its difference to the largest allowance held in it, for the share of the period that is left. Switching down and up again grants nothing.';
revoke all on function credits.raise_allowance(uuid, credits.balances, uuid, uuid) from public, anon, authenticated, service_role;

create function credits.switch_plan(
  p_account_id uuid, p_user_id uuid, p_plan_id text, p_effective text, p_operation_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_old public.subscriptions;
  v_was_paid boolean;
  v_is_paid boolean;
  v_period_start timestamptz;
  v_period_end timestamptz;
  v_rollover bigint;
  v_rollovers jsonb;
  v_balance credits.balances;
begin
  select * into v_old from public.subscriptions s where s.account_id = p_account_id;
  select max(b.period_start), max(b.period_end) into v_period_start, v_period_end
  from credits.balances b where b.account_id = p_account_id;
  if p_plan_id = v_old.plan_id then
    update public.subscriptions s set pending_plan_id = null, pending_at = null where s.account_id = p_account_id;
    return;
  end if;
  if p_effective = 'period_end' then
    update public.subscriptions s set pending_plan_id = p_plan_id, pending_at = v_period_end where s.account_id = p_account_id;
    return;
  end if;

  select p.price_cents > 0 into v_was_paid from public.plans p where p.id = v_old.plan_id;
  select p.price_cents > 0 into v_is_paid from public.plans p where p.id = p_plan_id;
  -- What the old plan lets roll over is read before the new one counts.
  select jsonb_object_agg(b.credit_type, (
      select least(t.rollover_cap, coalesce(sum(g.remaining - g.held), 0)) from public.credit_grants g
      where g.account_id = p_account_id and g.credit_type = b.credit_type and g.source = 'plan' and g.is_open))
    into v_rollovers
  from credits.balances b
  cross join lateral credits.plan_terms_at(p_account_id, b.credit_type, p_at) t
  where b.account_id = p_account_id;

  update public.subscriptions s set
    plan_id = p_plan_id, pending_plan_id = null, pending_at = null,
    status = case when v_is_paid and v_was_paid and s.status = 'past_due' then s.status else 'active' end,
    left_paid_at = case when v_was_paid and not v_is_paid then p_at else s.left_paid_at end,
    anchor_at = case when v_is_paid and not v_was_paid and coalesce(s.left_paid_at < v_period_start, true)
      then p_at else s.anchor_at end
  where s.account_id = p_account_id;

  for v_balance in select * from credits.lock_account(p_account_id) loop
    if v_balance.kind = 'credit' then
      if v_is_paid and not v_was_paid and coalesce(v_old.left_paid_at < v_period_start, true) then
        v_rollover := (v_rollovers ->> v_balance.credit_type)::bigint;
        v_balance := credits.start_period(p_account_id, v_balance, p_at, v_old.time_zone, v_rollover);
      else
        v_balance := credits.raise_allowance(p_account_id, v_balance, p_user_id, p_operation_id);
      end if;
      perform credits.save_balance(p_account_id, v_balance);
    end if;
  end loop;
end
$$;
comment on function credits.switch_plan(uuid, uuid, text, text, uuid, timestamptz) is
  'Moves a locked account to another plan, now or at the period''s end. From free to paid a new period starts with the full allowance, unless this period was a paid one already; the plan it is on takes back what was pending.';
revoke all on function credits.switch_plan(uuid, uuid, text, text, uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.change_plan(p_account_id uuid, p_user_id uuid, p_plan_id text, p_effective text, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid := gen_random_uuid();
  v_request jsonb := jsonb_build_object('function', 'change_plan', 'user_id', p_user_id, 'plan_id', p_plan_id, 'effective', p_effective);
  v_answer jsonb;
  v_at timestamptz;
  v_is_closed boolean;
begin
  select max(b.settled_at), bool_or(b.account_status = 'closed') into v_at, v_is_closed
  from credits.lock_account(p_account_id) b;
  if v_is_closed then
    perform credits.refuse_status(p_account_id, 'closed');
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  perform credits.book_pending_plan(p_account_id, v_at);
  perform credits.switch_plan(p_account_id, p_user_id, p_plan_id, p_effective, v_operation_id, v_at);
  -- One operation changes what all credit types may do, so all are settled once more under the new terms.
  update credits.balances b set due_at = '-infinity' where b.account_id = p_account_id;
  perform credits.lock_account(p_account_id);

  select credits.account_answer(p_account_id, v_operation_id) || jsonb_build_object(
    'plan', s.plan_id, 'status', s.status, 'pending_plan', s.pending_plan_id, 'pending_at', s.pending_at)
    into v_answer
  from public.subscriptions s where s.account_id = p_account_id;
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer, v_at);
  return v_answer;
end
$$;
comment on function credits.change_plan(uuid, uuid, text, text, text) is
  'Locks all balances of the account in order, then moves it to another plan.';
revoke all on function credits.change_plan(uuid, uuid, text, text, text) from public, anon, authenticated, service_role;

-- edge: result=PlanChange callers=service_role keyed
--   Move an account to another plan: ``"now"``, or at the ``"period_end"``.
--
--   Nothing is clawed back. Asking for the plan it is on takes a pending change back.
--
--   Raises:
--       InvalidArgument: no such plan, or another ``effective``.
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound.
create function public.change_plan(
  p_user_id uuid, p_plan_id text, p_effective text default 'now', p_idempotency_key text default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(1, null, p_idempotency_key, null);
  if p_effective is null or p_effective not in ('now', 'period_end') then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_effective', 'value', p_effective),
      'A plan changes ''now'' or at the ''period_end''.');
  end if;
  if not exists (select from public.plans p where p.id = p_plan_id) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_plan_id', 'value', p_plan_id, 'known', (
      select jsonb_agg(p.id order by p.rank) from public.plans p)), 'There is no such plan; list_plans lists them.');
  end if;
  return credits.respond(credits.change_plan(credits.paying_account(p_user_id, p_workspace_id), p_user_id, p_plan_id, p_effective,
    p_idempotency_key));
end
$$;
comment on function public.change_plan(uuid, text, text, text, uuid) is
  'Moves an account to another plan: ''now'', which never claws anything back, or at the ''period_end''. The plan it is on takes back a pending change.';
revoke all on function public.change_plan(uuid, text, text, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.change_plan(uuid, text, text, text, uuid) to service_role;
