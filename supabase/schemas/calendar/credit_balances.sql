create function credits.unopened_balances(
  p_account_id uuid, out credit_type text, out allowance bigint, out used bigint,
  out reserved bigint, out remaining bigint,
  out period_start timestamptz, out period_end timestamptz)
returns setof record
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_at timestamptz := credits.account_time(p_account_id);
  v_balance credits.balances;
  v_type record;
begin
  if exists (select 1 from credits.accounts a where a.account_id = p_account_id
    and a.status = 'closed') then
    return;
  end if;
  for v_type in
    select t.id, t.kind from credits.credit_types t
    where not exists (
      select 1 from credits.balances b where b.account_id = p_account_id and b.credit_type = t.id)
    order by t.id
  loop
    v_balance := null;
    v_balance.account_id := p_account_id;
    v_balance.credit_type := v_type.id;
    v_balance.kind := v_type.kind;
    v_balance.version := 0;
    v_balance.used := 0;
    v_balance.reserved := 0;
    v_balance.reserved_unlimited := 0;
    v_balance.granted := 0;
    v_balance.due_at := '-infinity';
    v_balance.settled_at := v_at;
    continue when not (credits.plan_terms_at(p_account_id, v_type.id, v_at)).is_included;
    credit_type := v_type.id;
    select n.allowance, n.used, n.reserved, n.remaining, n.period_start, n.period_end
      into allowance, used, reserved, remaining, period_start, period_end
    from credits.balance_at(p_account_id, v_balance, v_at) n;
    return next;
  end loop;
end
$$;
comment on function credits.unopened_balances(uuid) is
  'The balances of credit types that are new to the plan, before an operation has opened them. '
  'Reached through credit_balances alone.';
revoke all on function credits.unopened_balances(uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.unopened_balances(uuid) to authenticated, service_role;

create view public.credit_balances
with (security_invoker = true)
as
select b.account_id, b.user_id, b.credit_type, n.allowance, n.used, n.reserved, n.remaining,
  n.period_start, n.period_end
from credits.balances b
cross join lateral credits.balance_at(
  b.account_id, b, greatest(coalesce(b.test_now, statement_timestamp()), b.settled_at)) n
where b.account_status <> 'closed'
union all
select s.account_id, s.user_id, n.credit_type, n.allowance, n.used, n.reserved, n.remaining,
  n.period_start, n.period_end
from credits.subscriptions s
cross join lateral credits.unopened_balances(s.account_id) n
where (select count(*) from credits.balances b where b.account_id = s.account_id)
  < (select count(*) from credits.credit_types t);
comment on view public.credit_balances is
  'Credits per account and credit type, right to the second at every read, whatever job ran. '
  'Users see their own and their workspaces''.';
comment on column public.credit_balances.allowance is
  'Credits per period, or how many may exist for a limit; null is unlimited.';
comment on column public.credit_balances.used is
  'Spent in this period, less refunds; for a limit, how many exist.';
comment on column public.credit_balances.reserved is 'Pinned by live holds.';
comment on column public.credit_balances.remaining is 'What can be spent now; null is unlimited.';
comment on column public.credit_balances.period_end is
  'When the allowance renews; null for a limit, which never does.';
revoke all on table public.credit_balances from public, anon, authenticated, service_role;
grant select on table public.credit_balances to authenticated, service_role;

create trigger credit_balances_are_never_written instead of insert or update
  or delete on public.credit_balances
  for each row execute function credits.refuse_computed_rows();
