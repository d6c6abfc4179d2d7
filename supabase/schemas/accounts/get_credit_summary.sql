create function credits.balances_of(p_account_id uuid)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'credit_type', n.credit_type, 'kind', t.kind, 'allowance', n.allowance, 'used', n.used,
    'reserved', n.reserved,
    'remaining', n.remaining, 'unlimited', n.allowance is null, 'percent_used', w.percent_used,
    'warning', case when n.remaining <= 0 then 'exhausted' when w.percent_used >= 80 then 'low' end,
    'debt', credits.debt_of(p_account_id, n.credit_type),
    'period_start', n.period_start, 'period_end', n.period_end,
    'renews_at', credits.renews_at(p_account_id, n.credit_type, n.period_end))
    order by n.credit_type), '[]')
  from public.credit_balances n
  join credits.credit_types t on t.id = n.credit_type
  cross join lateral (
    select credits.percent_used(n.used, n.remaining) as percent_used
  ) w
  where n.account_id = p_account_id
$$;
comment on function credits.balances_of(uuid) is
  'The balances of an account as JSON objects, with the percentage used and the warning: low from '
  '80 %, exhausted at nothing left. renews_at is when waiting brings more.';
revoke all on function credits.balances_of(uuid) from public, anon, authenticated, service_role;

create function credits.reading_user(p_user_id uuid)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_role name := coalesce(nullif(current_setting('role', true), 'none'), session_user);
  v_user_id uuid := p_user_id;
begin
  -- The service role reads for anybody, signed-in users for themselves.
  if not pg_catalog.pg_has_role(v_role, 'service_role', 'usage') then
    v_user_id := (select auth.uid());
    if v_user_id is null or p_user_id <> v_user_id then
      perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
  end if;
  return v_user_id;
end
$$;
comment on function credits.reading_user(uuid) is
  'Whose rows a call may read: any user''s for the service role, one''s own for a signed-in user. '
  'Raises account_not_found for everybody else''s.';
revoke all on function credits.reading_user(uuid) from public, anon, authenticated, service_role;

create function credits.read_summary(p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.reading_user(p_user_id);
  v_account_id uuid := credits.paying_account(v_user_id, p_workspace_id);
  v_account credits.accounts;
  v_at timestamptz;
  v_is_frozen boolean;
begin
  perform credits.give_deleted_rows_back(v_account_id);
  select * into v_account from credits.accounts a where a.account_id = v_account_id;
  v_at := greatest(coalesce(v_account.test_now, statement_timestamp()), (
    select max(b.settled_at) from credits.balances b where b.account_id = v_account_id));
  v_is_frozen := (credits.spell_at(v_account_id, v_at)).is_frozen;
  return (
    select jsonb_build_object(
      'success', true, 'code', 'ok', 'account_id', v_account_id, 'user_id', v_user_id,
      'plan', p.id, 'plan_name', p.name, 'plan_version', s.plan_version, 'quantity', s.quantity,
      'status', case when v_account.status = 'frozen' then 'frozen' else s.status end,
      'upgrade_url', credits.upgrade_url(p_workspace_id),
      'may_buy', credits.only_actor(v_account_id, v_user_id) is null,
      'next_steps', (
        select coalesce(jsonb_object_agg(n.credit_type,
          credits.next_step(p.id, n.credit_type)), '{}')
        from public.credit_balances n where n.account_id = v_account_id),
      'support_contact', (select c.support_contact from credits.settings c),
      'message', case when v_account.status = 'frozen' then credits.frozen_words() end,
      'free_credits', credits.free_credits_of(v_account_id),
      'pending_plan', s.pending_plan_id, 'pending_at', s.pending_at, 'trial_ends_at',
      s.trial_ends_at,
      'period_start', r.period_start, 'period_end', r.period_end, 'now', v_at,
      'balances', credits.balances_of(v_account_id),
      'budgets', credits.budgets_of(v_account_id, v_user_id),
      'grants', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'grant_id', g.id, 'credit_type', g.credit_type, 'source', g.source, 'amount', g.amount,
          'remaining', g.remaining,
          'held', g.held, 'priority', g.priority, 'starts_at', g.starts_at, 'expires_at',
          g.expires_at,
          -- Also what is frozen by now, before anything has posted it.
          'frozen', case when g.starts_at <= v_at
            then not credits.is_spendable(g, v_at, v_is_frozen) else g.frozen_at is not null end,
          'description', g.description)
          order by g.credit_type, g.priority, g.expires_at, g.starts_at, g.id), '[]')
        from public.credit_grants g
        where g.account_id = v_account_id and g.is_open and g.voided_at is null
          and (g.expires_at is null or g.expires_at > v_at)))
    from credits.subscriptions b
    cross join lateral credits.subscription_now(b.account_id) s
    join public.plans p on p.id = s.plan_id
    left join (
      select n.account_id, max(n.period_start) as period_start, max(n.period_end) as period_end
      from public.credit_balances n where n.account_id = v_account_id group by n.account_id
    ) r on r.account_id = b.account_id
    where b.account_id = v_account_id);
end
$$;
comment on function credits.read_summary(uuid, uuid) is
  'What get_credit_summary answers, after asking whether the caller may read it.';
revoke all on function credits.read_summary(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.read_summary(uuid, uuid) to authenticated, service_role;

-- edge: result=Summary callers=authenticated,service_role repeatable
--   Plan, period, balances with warnings, open grants.
--
--   Raises:
--       AccountNotFound: there is no such user or workspace.
create function public.get_credit_summary(p_user_id uuid default null,
  p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.read_summary(p_user_id, p_workspace_id);
comment on function public.get_credit_summary(uuid, uuid) is
  'Everything that a usage page shows of one account: plan, period, balances with percentage and '
  'warning, open grants. A signed-in user may leave p_user_id out; another user''s raises '
  'account_not_found.';
revoke all on function public.get_credit_summary(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_credit_summary(uuid, uuid) to authenticated, service_role;
