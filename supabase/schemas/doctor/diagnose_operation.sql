create function credits.diagnose_jobs()
returns table (code text, severity text, object text, meaning text, how_to_try text,
  how_to_mend text)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_jobs regclass;
  v_name text;
  v_is_active boolean;
  v_status text;
  v_message text;
  v_started_at timestamptz;
begin
  v_jobs := to_regclass('cron.job');
  if v_jobs is null then
    return query select 'scheduler_missing', 'info', 'pg_cron',
      'It is not enabled here. Nothing depends on it: balances are right without it, and what is '
      'due is booked with the next operation.',
      'select * from pg_extension where extname = ''pg_cron'';',
      'Where reports read renewals of users who do not come by: enable pg_cron and schedule it as '
      'in the migration schedule, or run `sonas reset --all` from time to time.';
    return;
  end if;
  -- The tables belong to an extension that may not be here, so the statement is made when it runs.
  execute format($query$
    select j.jobname, j.active, d.status, d.return_message, d.start_time
    from %1$s j
    left join lateral (
      select r.status, r.return_message, r.start_time from %2$s r
      where r.jobid = j.jobid and r.status in ('succeeded', 'failed') order by r.start_time desc
        limit 1) d on true
    where j.command ilike '%%reset_monthly_credits%%'
    order by j.active desc limit 1 $query$, v_jobs, to_regclass('cron.job_run_details'))
    into v_name, v_is_active, v_status, v_message, v_started_at;
  if v_is_active is null then
    return query select 'job_missing', 'low', 'cron.job',
      'pg_cron is enabled, but nothing books renewals with it.',
      'select jobname, schedule, command from cron.job;',
      'select cron.schedule(''sonas-renew-credits'', ''* * * * *'', ''select '
      'public.reset_monthly_credits()'');';
  elsif not v_is_active then
    return query select 'job_inactive', 'low', 'cron.job ' || coalesce(v_name, ''),
      'The job that books renewals is switched off.',
      'select jobname, active from cron.job;',
      format('select cron.alter_job(jobid, active => true) from cron.job where jobname = %L;',
        v_name);
  elsif v_status = 'failed' then
    return query select 'job_fails', 'medium', 'cron.job ' || coalesce(v_name, ''),
      'The job that books renewals failed at its last run: ' || coalesce(v_message, 'no message'),
      'select status, return_message, start_time from cron.job_run_details order by start_time '
      'desc limit 5;',
      'Run select public.reset_monthly_credits(); as the role postgres, and mend what it says.';
  elsif coalesce(v_started_at < statement_timestamp() - interval '1 day', false) then
    return query select 'job_stands_still', 'medium', 'cron.job ' || coalesce(v_name, ''),
      format('The job that books renewals has last run %s ago.',
        date_trunc('hour', statement_timestamp() - v_started_at)),
      'select max(start_time) from cron.job_run_details;',
      'Restart the database; pg_cron''s worker has stopped.';
  end if;
exception when insufficient_privilege then
  return query select 'job_unknown', 'info', 'cron.job',
    'The role that owns the credit system may not look at pg_cron''s tables.',
    'select * from cron.job;',
    'grant usage on schema cron to postgres; grant select on all tables in schema cron to '
      'postgres;';
end
$$;
comment on function credits.diagnose_jobs() is
  'Whether pg_cron is there, and whether its job books renewals.';
revoke all on function credits.diagnose_jobs() from public, anon, authenticated, service_role;

create function credits.diagnose_operation()
returns table (code text, severity text, object text, meaning text, how_to_try text,
  how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  select j.* from credits.diagnose_jobs() j

  union all
  select 'subscriptions_uncovered', 'medium', 'credits.subscriptions',
    format('%s active subscriptions have had no payment for their period for more than a day, '
      'since %s. Events of the '
      'payment provider may be lost.', count(*), min(u.since)),
    'select reconcile_billing();',
    'Look at the provider''s list of failed webhooks, send those again, and apply what waits: '
    '`sonas stripe replay`.'
  from credits.uncovered_subscriptions() u
  having count(*) > 0

  union all
  select 'renewals_pending', 'low', 'credits.balances',
    format('%s accounts have had something to be booked for more than two days. Their balances are '
      'shown right all the same; only the ledger lags behind.', count(distinct b.account_id)),
    'select (system_status() ->> ''due'')::bigint;',
    'select reset_monthly_credits();  -- or: sonas reset --all'
  from credits.balances b
  where b.test_now is null and not b.is_floating and b.account_status <> 'closed'
    and b.due_at < statement_timestamp() - interval '2 days' and isfinite(b.due_at)
  having count(*) > 0

  union all
  select 'uncollected', 'medium', 'credits.uncollected',
    format(case u.kind when 'charge'
      then 'Work for %s %s credits was done and could not be charged, in %s cases, the last at %s.'
      else '%s %s credits were charged for what failed and could not be given back, in %s cases, '
        'the last at %s.' end,
      sum(u.amount), u.credit_type, count(*), max(u.created_at)),
    'select list_uncollected();',
    case u.kind when 'charge'
      then 'Look at each: charge it by hand or forgive it, then resolve_uncollected(user, id, what '
      'came of it).'
      else 'Look at each: refund_credits or grant_credits, then resolve_uncollected(user, id, what '
        'came of it).' end
  from credits.uncollected u
  where u.resolved_at is null
  group by u.kind, u.credit_type

  union all
  select 'budgets_used_up', 'info', 'public.credit_budgets',
    format('%s budgets have no room now, the first one %s of %s %s credits a %s on account %s. '
      'What they deny has the code member_cap_reached.', count(*),
      (array_agg(b.scope || coalesce(' ' || b.scope_value, '')))[1],
      (array_agg(b.credit_limit))[1], (array_agg(b.credit_type))[1],
      (array_agg(b.window_kind))[1], (array_agg(b.account_id))[1]),
    'select b.* from credit_budgets b join credits.budget_uses u on u.account_id = b.account_id '
    'and u.budget_id = b.id and u.window_end > now() and u.used >= b.credit_limit;',
    'Nothing has to be done. To give more room: `sonas budgets set`, with the same window and a '
    'higher limit.'
  from credits.budget_uses u
  join public.credit_budgets b on b.account_id = u.account_id and b.id = u.budget_id
  where u.used >= b.credit_limit and u.window_end > statement_timestamp()
  having count(*) > 0

  union all
  select 'budgets_of_nobody', 'low', 'public.credit_budgets',
    format('%s budgets limit a member who is no longer in the workspace, the first one on account '
      '%s. They limit nobody.', count(*), (array_agg(b.account_id))[1]),
    'select b.* from credit_budgets b where b.scope = ''member'' and b.scope_value is not null and '
    'b.scope_value <> b.account_id::text and not exists (select from credit_workspace_members m '
    'where m.account_id = b.account_id and m.user_id::text = b.scope_value);',
    '`sonas budgets delete`; or leave them for when the member comes back.'
  from public.credit_budgets b
  where b.scope = 'member' and b.scope_value is not null and b.scope_value <> b.account_id::text
    and not exists (
      select 1 from public.credit_workspace_members m
      where m.account_id = b.account_id and m.user_id::text = b.scope_value)
  having count(*) > 0

  union all
  select 'accounts_missing', 'medium', 'auth.users',
    format('%s users have no account: something stopped the trigger when they signed up. Their '
      'first call opens it; until then they see no balance.', count(*)),
    'select u.id from auth.users u where not exists (select from credits.accounts a where '
    'a.account_id = u.id) limit 10;',
    'select get_credit_summary(u.id) from auth.users u where not exists (select from '
    'credits.accounts a where a.account_id = u.id);'
  from auth.users u
  where not exists (select from credits.accounts a where a.account_id = u.id)
  having count(*) > 0

  union all
  select 'accounts_of_one_person', 'info', 'credits.account_identities',
    format('%s people have more than one open account, the busiest of them %s. Only one of each '
      'has free credits.',
      count(*), max(i.accounts)),
    'select i.identity, count(*) from credits.account_identities i join credits.accounts a using '
    '(account_id) where a.status <> ''closed'' group by i.identity having count(*) > 1;',
    'Nothing has to be done. To let in one account each: the hook credits.refuse_repeated_signup.'
  from (
    select i.identity, count(*) as accounts
    from credits.account_identities i
    join credits.accounts a on a.account_id = i.account_id and a.status <> 'closed'
    group by i.identity having count(*) > 1
  ) i
  having count(*) > 0

  union all
  select 'accounts_of_nobody', 'low', 'credits.accounts',
    format('%s accounts are open whose user or workspace is gone. They spend nothing; their holds '
      'and plans still have to be ended.', count(*)),
    'select a.account_id from credits.accounts a where a.status <> ''closed'' and not '
    'credits.is_living(a.account_id) limit 10;',
    'select credits.follow_account(a.account_id) from credits.accounts a where a.status <> '
    '''closed'' and not credits.is_living(a.account_id);'
  from credits.accounts a
  left join credits.living_accounts l on l.account_id = a.account_id
  where a.status <> 'closed' and l.account_id is null
  having count(*) > 0

  union all
  select 'server_is_old', 'high', 'PostgreSQL ' || current_setting('server_version'),
    'The system is tested with PostgreSQL 15, 17 and 18.', 'select version();',
    'Upgrade the project (Dashboard, Settings, Infrastructure).'
  where current_setting('server_version_num')::integer < 150000

  union all
  select 'default_plan_missing', 'critical', 'public.plans',
    'No plan is the default, so new users get no account.',
    'select id from plans where is_default;',
    'update plans set is_default = true where id = ''free'';'
  where not exists (select from public.plans p where p.is_default)
$$;
comment on function credits.diagnose_operation() is
  'How the system runs: jobs, renewals that wait, users without an account, the server''s version.';
revoke all on function credits.diagnose_operation() from public, anon, authenticated, service_role;
