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

create function credits.refuse_balance_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  raise exception 'credit_balances is computed and takes no rows'
    using errcode = 'object_not_in_prerequisite_state',
    hint = 'Move credits with grant_credits, consume_credits, refund_credits or revoke_grant.';
end
$$;
comment on function credits.refuse_balance_change() is
  'Stops writes to credit_balances by those whom no privilege stops. That it is there makes Postgres ask for the privilege first, so everybody else gets a 403; a view that cannot be written at all is a 500 through PostgREST.';
revoke all on function credits.refuse_balance_change() from public, anon, authenticated, service_role;
create trigger credit_balances_are_never_written instead of insert or update or delete on public.credit_balances
  for each row execute function credits.refuse_balance_change();
