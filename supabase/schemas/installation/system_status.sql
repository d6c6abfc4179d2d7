-- edge: result=SystemStatus callers=service_role repeatable
--   Accounts, what is due, open holds, the size of the ledger.
create function public.system_status()
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'success', true, 'code', 'ok',
    'accounts', (select count(*) from credits.accounts a where a.status <> 'closed'),
    'due', (select count(distinct b.account_id) from credits.balances b
      where b.account_status <> 'closed'
        and not b.is_floating and ((b.test_now is null and b.due_at <= statement_timestamp())
          or (b.test_now is not null and b.due_at <= b.test_now))),
    'oldest_due_at', (select min(b.due_at) from credits.balances b
      where b.test_now is null and b.account_status <> 'closed'
        and b.due_at <= statement_timestamp() and isfinite(b.due_at) and not b.is_floating),
    'open_reservations', (
      select count(*) from public.credit_reservations r where r.status = 'open'),
    'transactions_estimate', (select greatest(c.reltuples, 0)::bigint from pg_catalog.pg_class c
      where c.oid = 'public.credit_transactions'::regclass),
    'scheduler', (select e.extname from pg_catalog.pg_extension e where e.extname = 'pg_cron'),
    'server_version', current_setting('server_version'),
    'now', statement_timestamp())
$$;
comment on function public.system_status() is
  'How the system is doing: accounts, how many have something due, open holds, size of the '
  'ledger, whether pg_cron is there to book what falls due.';
revoke all on function public.system_status() from public, anon, authenticated, service_role;
grant execute on function public.system_status() to service_role;
