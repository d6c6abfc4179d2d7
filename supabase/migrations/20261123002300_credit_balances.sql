create view public.credit_balances
with (security_invoker = true)
as
select b.account_id, b.user_id, b.credit_type, n.allowance, n.used, n.reserved, n.remaining, n.period_start, n.period_end
from credits.balances b
cross join lateral credits.balance_at(
  b.account_id, b, greatest(coalesce(b.test_now, statement_timestamp()), b.settled_at)) n
where b.account_status <> 'closed';
comment on view public.credit_balances is
  'Credits per account and credit type, right to the second at every read, whatever job ran. Users see their own and their workspaces''.';
comment on column public.credit_balances.allowance is 'Credits per period, or how many may exist for a limit; null is unlimited.';
comment on column public.credit_balances.used is 'Spent in this period, less refunds; for a limit, how many exist.';
comment on column public.credit_balances.reserved is 'Pinned by live holds.';
comment on column public.credit_balances.remaining is 'What can be spent now; null is unlimited.';
comment on column public.credit_balances.period_end is 'When the allowance renews; null for a limit, which never does.';
revoke all on table public.credit_balances from public, anon, authenticated, service_role;
grant select on table public.credit_balances to authenticated, service_role;
