create function credits.read_balance_story(
  p_account_id uuid, p_credit_type text, p_since timestamptz, p_until timestamptz,
  p_now timestamptz,
  p_only_actor uuid)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  with entries as (
    select t.version, t.kind, t.amount, t.balance_after, t.operation_id,
      -- A member reads the sums of a workspace, and of what others did no words.
      case when p_only_actor is null or t.user_id = p_only_actor or t.user_id is null
        then t.description end as description, t.user_id, t.created_at, g.source
    from public.credit_transactions t
    left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
    where t.account_id = p_account_id and t.credit_type = p_credit_type and t.created_at >= p_since
      and t.created_at < p_until
  ), attempts as (
    select u.status, count(*) as times,
      count(*) filter (where u.metadata #>> '{budget,id}' is not null) as by_budget
    from public.usage u
    where u.account_id = p_account_id and u.credit_type = p_credit_type and u.created_at >= p_since
      and u.created_at < p_until
    group by u.status
  )
  select jsonb_build_object(
    'opening', coalesce((
      select t.balance_after from public.credit_transactions t
      where t.account_id = p_account_id and t.credit_type = p_credit_type and t.created_at < p_since
        and t.balance_after is not null
      order by t.version desc limit 1), 0),
    'granted', coalesce(sum(e.amount) filter (where e.kind = 'grant'), 0),
    'refunded', coalesce(sum(e.amount) filter (where e.kind = 'refund'), 0),
    'spent', -coalesce(sum(e.amount) filter (where e.kind in ('consume', 'capture')), 0),
    'spent_unlimited', -coalesce(sum(e.amount) filter (where e.balance_after is null), 0),
    'expired', -coalesce(sum(e.amount) filter (where e.kind = 'expire'), 0),
    'voided', -coalesce(sum(e.amount) filter (where e.kind = 'void'), 0),
    'closing', coalesce((
      select t.balance_after from public.credit_transactions t
      where t.account_id = p_account_id and t.credit_type = p_credit_type and t.created_at < p_until
        and t.balance_after is not null
      order by t.version desc limit 1), 0),
    'denied', coalesce((select a.times from attempts a where a.status = 'denied'), 0),
    'denied_by_budget', coalesce(
      (select a.by_budget from attempts a where a.status = 'denied'), 0),
    'grants', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.amount desc, x.source, x.description), '[]')
        from (
        select n.source, n.description, sum(n.amount) as amount, count(*) as times,
          min(n.created_at) as first_at, max(n.created_at) as last_at
        from entries n where n.kind = 'grant' group by n.source, n.description
        order by sum(n.amount) desc, n.source, n.description limit 20) x),
    'spends', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.amount desc, x.description), '[]') from (
        select n.description, -sum(n.amount) as amount, count(distinct n.operation_id) as times,
          min(n.created_at) as first_at, max(n.created_at) as last_at
        from entries n where n.kind in ('consume', 'capture') group by n.description
          order by sum(n.amount), n.description limit 20) x),
    'losses', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.amount desc, x.last_at, x.kind, x.source),
        '[]') from (
        select n.kind, n.source, n.description, -sum(n.amount) as amount, count(*) as times,
          min(n.created_at) as first_at, max(n.created_at) as last_at
        from entries n where n.kind in ('expire', 'void') group by n.kind, n.source, n.description
        order by sum(n.amount), n.description limit 20) x),
    'largest', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.amount desc, x.created_at), '[]') from (
        select n.operation_id, min(n.description) as description, -sum(n.amount) as amount,
          min(n.created_at) as created_at,
          (array_agg(n.user_id))[1] as user_id
        from entries n
        where n.kind in ('consume', 'capture')
          and (p_only_actor is null or n.user_id = p_only_actor)
        group by n.operation_id order by sum(n.amount), min(n.created_at) limit 5) x),
    'holds', (
      select coalesce(
        jsonb_agg(jsonb_build_object('reservation_id', r.id, 'amount',
        r.amount + r.extra - r.captured,
        'description', r.description,
        'created_at', r.created_at, 'expires_at', r.expires_at) order by r.expires_at), '[]')
      from public.credit_reservations r
      where r.account_id = p_account_id and r.credit_type = p_credit_type and r.status = 'open'
        and r.expires_at > p_now
        and (p_only_actor is null or r.user_id = p_only_actor)),
    'frozen', (
      select coalesce(sum(g.remaining), 0) from public.credit_grants g
      where g.account_id = p_account_id and g.credit_type = p_credit_type and g.is_open
        and g.frozen_at is not null))
  from entries e
$$;
comment on function credits.read_balance_story(uuid, text, timestamptz, timestamptz, timestamptz,
  uuid) is
  'What came into a balance and went out of it between two instants, with the 20 largest reasons '
  'of each kind; opening + granted + refunded - spent + spent_unlimited - expired - voided = '
  'closing, where spent_unlimited is what of it was of no grant.';
revoke all on function credits.read_balance_story(uuid, text, timestamptz, timestamptz, timestamptz,
  uuid)
  from public, anon, authenticated, service_role;

-- edge: result=BalanceStory callers=service_role repeatable
--   Where the credits of one type went, from the start of the period until now unless said
--   otherwise (UTC).
--
--   Raises:
--       InvalidArgument: ``until`` is not after ``since``.
--       AccountNotFound, UnknownCreditType.
create function public.explain_balance(
  p_user_id uuid, p_credit_type text, p_since timestamptz default null,
  p_until timestamptz default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(p_user_id, p_workspace_id,
    coalesce(p_credit_type, ''));
  -- What has fallen due is booked first, so that the ledger tells of it.
  v_balance credits.balances := credits.lock_balance(v_account_id, p_credit_type);
  v_since timestamptz := coalesce(p_since, v_balance.period_start, '-infinity');
  v_until timestamptz := coalesce(p_until, 'infinity');
begin
  if v_since >= v_until then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_until', 'since', v_since, 'until', v_until),
      'The end of the time looked at comes after its start.');
  end if;
  return jsonb_build_object(
    'success', true, 'code', 'ok', 'account_id', v_account_id, 'credit_type', p_credit_type,
    'since', nullif(v_since, '-infinity'), 'until', nullif(v_until, 'infinity'), 'now',
    v_balance.settled_at,
    'period_end', v_balance.period_end,
    'renews_at', credits.renews_at(v_account_id, p_credit_type, v_balance.period_end),
    'unlimited', v_balance.allowance is null, 'allowance', v_balance.allowance,
    'balance', v_balance.balance, 'reserved', v_balance.reserved + v_balance.reserved_unlimited,
    'available', v_balance.balance - v_balance.withheld - v_balance.reserved)
    || credits.read_balance_story(v_account_id, p_credit_type, v_since, v_until,
      v_balance.settled_at,
      credits.only_actor(v_account_id, p_user_id))
    || jsonb_build_object('budgets', jsonb_path_query_array(
      credits.budgets_of(v_account_id, p_user_id), '$[*] ? (@.credit_type == $type)',
      jsonb_build_object('type', p_credit_type)));
end
$$;
comment on function public.explain_balance(uuid, text, timestamptz, timestamptz, uuid) is
  'Where the credits of one type went from p_since (null: the start of the period) to p_until '
  '(null: now): opening + granted + refunded - spent + spent_unlimited - expired - voided = '
  'closing, with what they were granted and spent for, holds, budgets, and how often it was '
  'denied.';
revoke all on function public.explain_balance(uuid, text, timestamptz, timestamptz, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.explain_balance(uuid, text, timestamptz, timestamptz, uuid)
  to service_role;
