-- edge: result=Health callers=service_role repeatable slow
--   Renewal lag, holds, what the rollups have not read, the last five minutes.
create function public.metrics_health()
returns jsonb
language sql
stable
security definer
set search_path = ''
set jit = off
set work_mem = '64MB'
as $$
  select jsonb_build_object(
    'success', true, 'code', 'ok',
    'accounts', (select count(*) from credits.accounts a where a.status <> 'closed'
      and not a.is_test),
    'due_accounts', d.accounts, 'renewal_lag_seconds',
    round(greatest(0, coalesce(d.seconds, 0)), 3),
    'open_reservations', h.open, 'overdue_reservations', h.overdue,
    'unread_balances', (select count(*) from credits.lagging l where not l.is_test),
    'roll_up_age_seconds', (
      select round(extract(epoch from statement_timestamp() - s.rolled_up_at)::numeric, 3)
        from credits.rollup_state s),
    'recent', (
      select coalesce(jsonb_agg(jsonb_build_object('credit_type', t.id,
        'operations', (select count(distinct x.operation_id) from public.credit_transactions x
          where x.created_at > statement_timestamp() - interval '5 minutes' and x.credit_type = t.id
            and x.kind in ('consume', 'capture')),
        'denials', (select count(*) from credits.denials x
          where x.created_at > statement_timestamp() - interval '5 minutes'
            and x.credit_type = t.id)) order by t.id), '[]')
      from credits.credit_types t))
  from (
    -- What a test clock moves falls due for its own reasons.
    select count(distinct b.account_id) as accounts,
      round(extract(epoch from statement_timestamp() - min(b.due_at)
        filter (where isfinite(b.due_at)))::numeric, 3) as seconds
    from credits.balances b
    where b.test_now is null and not b.is_floating and b.account_status <> 'closed'
      and b.due_at <= statement_timestamp()
  ) d
  cross join (
    select count(*) as open,
      count(*) filter (where r.expires_at <= statement_timestamp()) as overdue
    from public.credit_reservations r
    join credits.accounts a on a.account_id = r.account_id and not a.is_test
    where r.status = 'open'
  ) h
$$;
comment on function public.metrics_health() is
  'What an operator watches: accounts with something due and for how long (renewal lag), open '
  'holds and those past their expiry, balances that the rollups have not read, and per credit '
  'type the operations and denials of the last five minutes. Balances are right whatever it says.';
revoke all on function public.metrics_health() from public, anon, authenticated, service_role;
grant execute on function public.metrics_health() to service_role;
