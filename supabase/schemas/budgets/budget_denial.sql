create function credits.budget_events(
  p_account_id uuid, p_state credits.budget_state)
returns table (at timestamptz, amount bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_budget public.credit_budgets;
begin
  select * into v_budget from public.credit_budgets b
  where b.account_id = p_account_id and b.id = p_state.budget_id;
  return query
  select r.expires_at, r.amount + r.extra - r.captured
  from public.credit_reservations r
  where r.account_id = p_account_id and r.credit_type = v_budget.credit_type
    and r.status = 'open' and p_state.held > 0
    and credits.budget_subject(p_account_id, v_budget, r.user_id,
      credits.role_for_budget(p_account_id, v_budget, r.user_id), r.metadata) = p_state.user_id
  union all
  select t.created_at + make_interval(hours => p_state.hours),
    credits.counted_of(p_account_id, v_budget, p_state.user_id, t)
  from public.credit_transactions t
  where p_state.window_kind = 'rolling' and t.account_id = p_account_id
    and t.credit_type = v_budget.credit_type and t.version > p_state.tail
  union all
  select case when p_state.window_kind <> 'period' then p_state.window_end else (
      select b.period_end from credits.balances b
      where b.account_id = p_account_id and b.credit_type = v_budget.credit_type) end,
    p_state.used
  where p_state.window_kind in ('day', 'week', 'month', 'period');
end
$$;
comment on function credits.budget_events(uuid, credits.budget_state) is
  'When what a budget has counted leaves it, if nothing else happens: holds that expire, rolling '
  'hours that pass, a window that ends.';
revoke all on function credits.budget_events(uuid, credits.budget_state)
  from public, anon, authenticated, service_role;

create function credits.budget_story(
  p_account_id uuid, p_state credits.budget_state, p_amount bigint)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_frees record;
begin
  -- The first instant at which the amount fits; if it never does, when all that was counted is
  -- gone.
  select e.at, e.freed into v_frees
  from (
    select x.at, sum(x.amount) over (order by x.at)::bigint as freed
    from credits.budget_events(p_account_id, p_state) x
    where x.amount > 0 and x.at is not null) e
  order by p_state.used + p_state.held - e.freed + p_amount > p_state.credit_limit,
    case when p_state.used + p_state.held - e.freed + p_amount <= p_state.credit_limit
      then e.at end, e.at desc
  limit 1;
  return jsonb_build_object(
    'id', p_state.budget_id, 'scope', p_state.scope, 'scope_value', p_state.scope_value,
    'window', p_state.window_kind, 'hours', p_state.hours, 'limit', p_state.credit_limit,
    'used', p_state.used + p_state.held, 'frees_at', v_frees.at,
    'frees', coalesce(v_frees.freed, 0));
end
$$;
comment on function credits.budget_story(uuid, credits.budget_state, bigint) is
  'What people are told of a budget: its window, limit and what is used, and when how much of it '
  'is free again.';
revoke all on function credits.budget_story(uuid, credits.budget_state, bigint)
  from public, anon, authenticated, service_role;

create function credits.budget_without_room(
  p_account_id uuid, p_credit_type text, p_user_id uuid, p_amount bigint, p_metadata jsonb,
  p_at timestamptz, p_period_start timestamptz, p_is_hold boolean default false)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Of several, the one that is in the way for the longest.
  return (
    select b.story
    from unnest(credits.budget_states(p_account_id, p_credit_type, p_user_id, p_metadata, p_at,
      p_period_start)) s
    cross join lateral (select credits.budget_story(p_account_id, s, p_amount) as story) b
    where (p_is_hold or s.window_kind <> 'in_flight')
      and s.used + s.held + p_amount > s.credit_limit
    order by (b.story ->> 'frees_at')::timestamptz desc nulls first,
      s.credit_limit - s.used - s.held, s.budget_id
    limit 1);
end
$$;
comment on function credits.budget_without_room(uuid, text, uuid, bigint, jsonb, timestamptz,
  timestamptz, boolean) is
  'The budget that has no room for an amount; null when all have.';
revoke all on function credits.budget_without_room(uuid, text, uuid, bigint, jsonb, timestamptz,
  timestamptz, boolean)
  from public, anon, authenticated, service_role;

create function credits.denial_by_budget(
  p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_amount bigint,
  p_budget jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_denial jsonb := credits.denial(p_account_id, p_balance, p_operation_id, p_amount);
begin
  return v_denial || jsonb_build_object('code', 'member_cap_reached',
    -- More credits make no room in a budget.
    'details', (v_denial -> 'details') || jsonb_build_object('budget', p_budget, 'next_step', null,
      'available', credits.available_under(p_balance, p_budget)));
end
$$;
comment on function credits.denial_by_budget(uuid, credits.balances, uuid, bigint, jsonb) is
  'The answer of an operation that a budget has no room for.';
revoke all on function credits.denial_by_budget(uuid, credits.balances, uuid, bigint, jsonb)
  from public, anon, authenticated, service_role;

create function credits.available_under(p_balance credits.balances, p_budget jsonb)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return least(credits.available(p_balance),
    greatest(0, (p_budget ->> 'limit')::bigint - (p_budget ->> 'used')::bigint));
end
$$;
comment on function credits.available_under(credits.balances, jsonb) is
  'What there is to spend within a budget.';
revoke all on function credits.available_under(credits.balances, jsonb)
  from public, anon, authenticated, service_role;

create function credits.refuse_by_budget(
  p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_amount bigint,
  p_user_id uuid, p_description text, p_metadata jsonb, p_budget jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.log_denial(p_account_id, p_balance, p_operation_id, p_amount,
    credits.available_under(p_balance, p_budget), p_user_id, p_description, p_metadata, p_budget);
  perform credits.announce_budget(p_account_id, p_balance.credit_type, p_user_id, p_metadata,
    p_balance.settled_at, p_balance.period_start, (p_budget ->> 'id')::uuid);
  return credits.denial_by_budget(p_account_id, p_balance, p_operation_id, p_amount, p_budget);
end
$$;
comment on function credits.refuse_by_budget(uuid, credits.balances, uuid, bigint, uuid, text,
  jsonb, jsonb) is
  'Puts the denial of a budget on record in usage, tells that it was met, and answers it.';
revoke all on function credits.refuse_by_budget(uuid, credits.balances, uuid, bigint, uuid, text,
  jsonb, jsonb)
  from public, anon, authenticated, service_role;

create function credits.budget_words(p_denial jsonb)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select format('The budget of %s %s credits%s is used up: %s used, %s required.',
    b ->> 'limit', p_denial ->> 'credit_type', case b ->> 'window'
      when 'draw' then ' at a time' when 'in_flight' then ' on hold at a time'
      when 'rolling' then format(' in %s hours', b ->> 'hours') when 'day' then ' a day'
      when 'week' then ' a week' when 'month' then ' a month' else ' a billing period' end,
    b ->> 'used', p_denial #>> '{details,required}')
  from (select p_denial #> '{details,budget}' as b) d
$$;
comment on function credits.budget_words(jsonb) is 'What people are told who meet a budget.';
revoke all on function credits.budget_words(jsonb)
  from public, anon, authenticated, service_role;

create function credits.budget_hint(p_denial jsonb)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case when d.frees_at is null then '' else format(
      'Wait until %s UTC, when %s are free again, or ',
      to_char(d.frees_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
      p_denial #>> '{details,budget,frees}') end
    || case when p_denial -> 'details' ? 'workspace_id' then
        case when d.frees_at is null then 'Ask' else 'ask' end
        || ' an owner or an admin of the workspace to raise it.'
      else case when d.frees_at is null then 'Raise' else 'raise' end || ' it.' end
  from (select (p_denial #>> '{details,budget,frees_at}')::timestamptz as frees_at) d
$$;
comment on function credits.budget_hint(jsonb) is
  'What people can do who meet a budget: wait, or ask.';
revoke all on function credits.budget_hint(jsonb)
  from public, anon, authenticated, service_role;
