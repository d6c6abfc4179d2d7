-- The always-true rules. Each function looks at one account, or at all of them when p_account_id is null, and answers how
-- much it has looked at and the first ten violations. All are stable, so one call sees one snapshot.
-- Violations are put in an order that no index has. Without it the planner takes a plan that finds ten rows soon, and there are
-- none to be found.

create function credits.verify_grants(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with entries as (
    select t.account_id, t.grant_id, sum(t.amount) as remaining,
      coalesce(sum(t.amount) filter (where t.kind = 'grant'), 0) as amount,
      -coalesce(sum(t.amount) filter (where t.kind in ('consume', 'capture', 'refund')), 0) as spent,
      -coalesce(sum(t.amount) filter (where t.kind in ('expire', 'void')), 0) as lapsed
    from public.credit_transactions t
    where p_account_id is null or t.account_id = p_account_id
    group by t.account_id, t.grant_id
  ), pinned as (
    select s.account_id, s.grant_id, sum(s.amount) as held
    from credits.reservation_slices s
    join public.credit_reservations r on r.account_id = s.account_id and r.id = s.reservation_id and r.status = 'open'
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.grant_id
  ), compared as (
    select coalesce(g.account_id, e.account_id) as account_id, coalesce(g.id, e.grant_id) as grant_id,
      g.id is not null and e.grant_id is not null and g.remaining = e.remaining and g.amount = e.amount
        and g.spent = e.spent and g.lapsed = e.lapsed and g.held = coalesce(p.held, 0)
        and g.remaining between 0 and g.amount and g.held between 0 and g.remaining as ok
    from (select * from public.credit_grants x where p_account_id is null or x.account_id = p_account_id) g
    full join entries e on e.account_id = g.account_id and e.grant_id = g.id
    left join pinned p on p.account_id = g.account_id and p.grant_id = g.id
  )
  select (select count(*) from public.credit_grants x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.grant_id from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_grants(uuid) is
  'Rule 1: what a grant has issued, spent, lapsed and left is what its ledger rows say, and what it holds is what live holds have pinned.';
revoke all on function credits.verify_grants(uuid) from public, anon, authenticated, service_role;

create function credits.verify_chain(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with rows as (
    select t.account_id, t.credit_type, t.version,
      t.version = row_number() over chain
        and t.balance_after = coalesce(lag(t.balance_after) over chain, 0) + t.amount
        and t.created_at >= coalesce(lag(t.created_at) over chain, t.created_at)
        and t.balance_after >= 0
        and (t.kind in ('grant', 'refund')) = (t.amount > 0) and t.amount <> 0 as ok
    from public.credit_transactions t
    where p_account_id is null or t.account_id = p_account_id
    window chain as (partition by t.account_id, t.credit_type order by t.version)
  )
  select (select count(*) from public.credit_transactions x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.version from rows c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_chain(uuid) is
  'Rule 2: versions run 1 to n without a gap, each balance_after follows from the one before, times never step back, signs follow from kinds.';
revoke all on function credits.verify_chain(uuid) from public, anon, authenticated, service_role;

create function credits.verify_balances(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with last as (
    select n.account_id, n.credit_type, n.version, t.balance_after
    from (
      select x.account_id, x.credit_type, max(x.version) as version
      from public.credit_transactions x
      where p_account_id is null or x.account_id = p_account_id
      group by x.account_id, x.credit_type) n
    join public.credit_transactions t
      on t.account_id = n.account_id and t.credit_type = n.credit_type and t.version = n.version
  ), held as (
    select g.account_id, g.credit_type, sum(g.remaining) as remaining, sum(g.held) as held,
      bool_and(g.is_open = (g.remaining > 0) and (g.source = 'plan') = (g.period_start is not null)
        and (g.frozen_at is null) = (g.frozen_reason is null) and (g.voided_at is null) = (g.void_reason is null)
        and coalesce(g.expires_at >= g.starts_at, true)) as sane
    from public.credit_grants g
    where p_account_id is null or g.account_id = p_account_id
    group by g.account_id, g.credit_type
  ), reserved as (
    select r.account_id, r.credit_type, sum(r.amount) as reserved
    from public.credit_reservations r
    where r.status = 'open' and (p_account_id is null or r.account_id = p_account_id)
    group by r.account_id, r.credit_type
  ), compared as (
    select coalesce(b.account_id, l.account_id) as account_id, coalesce(b.credit_type, l.credit_type) as credit_type,
      b.account_id is not null and b.version = coalesce(l.version, 0) and b.balance = coalesce(l.balance_after, 0)
        and b.balance = coalesce(h.remaining, 0) and b.reserved = coalesce(h.held, 0)
        and b.reserved = coalesce(r.reserved, 0) and coalesce(h.sane, true) as ok
    from (select * from credits.balances x where p_account_id is null or x.account_id = p_account_id) b
    full join last l on l.account_id = b.account_id and l.credit_type = b.credit_type
    left join held h on h.account_id = b.account_id and h.credit_type = b.credit_type
    left join reserved r on r.account_id = b.account_id and r.credit_type = b.credit_type
  )
  select (select count(*) from credits.balances x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_balances(uuid) is
  'Rule 2: a balance is what its grants hold and what its last ledger row says, and what is reserved is what live holds pin.';
revoke all on function credits.verify_balances(uuid) from public, anon, authenticated, service_role;

create function credits.verify_operations(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- By chance enough: nobody knows it before the call. random() would make this volatile.
  v_seed bigint := pg_catalog.hashtextextended(statement_timestamp()::text, pg_backend_pid()::bigint);
begin
  return query
  -- To sort or hash every operation is what takes longest of all. So each amount is multiplied by two numbers that its
  -- operation and type are drawn by chance, and added up per account: sums that agree, twice, belong to operations that agree
  -- (the odds are 2^-62). Only accounts where they do not are looked at operation by operation. Halves of 31 bits keep the
  -- products within bigint.
  with weighed as (
    select t.account_id, -t.amount as amount,
      pg_catalog.uuid_hash_extended(t.operation_id, v_seed) # pg_catalog.hashtextextended(t.credit_type, v_seed) as draw
    from public.credit_transactions t
    where t.kind in ('consume', 'capture') and (p_account_id is null or t.account_id = p_account_id)
    union all
    select u.account_id, -u.credits_used::bigint,
      pg_catalog.uuid_hash_extended(u.operation_id, v_seed) # pg_catalog.hashtextextended(u.credit_type, v_seed)
    from public.usage u
    where u.status = 'allowed' and u.operation_id is not null and (p_account_id is null or u.account_id = p_account_id)
  ), suspects as (
    select w.account_id from weighed w group by w.account_id
    having sum(w.amount % 2147483648 * (w.draw & 2147483647)) + sum(w.amount / 2147483648 * (w.draw & 2147483647)) * 2147483648 <> 0
      or sum(w.amount % 2147483648 * (w.draw >> 32 & 2147483647)) + sum(w.amount / 2147483648 * (w.draw >> 32 & 2147483647)) * 2147483648 <> 0
  ), spends as (
    select t.account_id, t.operation_id, t.credit_type, -sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind in ('consume', 'capture') and t.account_id in (select s.account_id from suspects s)
    group by t.account_id, t.operation_id, t.credit_type
  ), attempts as (
    select u.account_id, u.operation_id, u.credit_type, sum(u.credits_used) as amount
    from public.usage u
    where u.status = 'allowed' and u.operation_id is not null and u.account_id in (select s.account_id from suspects s)
    group by u.account_id, u.operation_id, u.credit_type
  ), refunds as (
    select t.account_id, t.related_operation_id as operation_id, sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind = 'refund' and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.related_operation_id
  ), broken as (
    -- A project with a usage table of its own may clear it, or have rows of its own there; what agrees in id must in amount.
    select s.account_id, s.operation_id from spends s
    join attempts a on a.account_id = s.account_id and a.operation_id = s.operation_id
    where a.credit_type <> s.credit_type or a.amount <> s.amount
    union all
    select f.account_id, f.operation_id from refunds f
    left join public.credit_transactions t
      on t.account_id = f.account_id and t.operation_id = f.operation_id and t.kind in ('consume', 'capture')
    group by f.account_id, f.operation_id, f.amount
    having f.amount > coalesce(-sum(t.amount), 0)
  )
  select (select count(*) from public.credit_transactions x
      where x.kind in ('consume', 'capture') and (p_account_id is null or x.account_id = p_account_id)),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.operation_id from broken c order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_operations(uuid) is
  'Rule 3: the rows of a spend add up to what usage says it was, and its refunds never exceed it.';
revoke all on function credits.verify_operations(uuid) from public, anon, authenticated, service_role;

create function credits.verify_keys(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with keys as (
    select k.account_id, k.idempotency_key, k.operation_id, k.request ->> 'function' as function,
      (k.answer ->> 'success')::boolean and k.answer ->> 'operation_id' = k.operation_id::text as answered
    from credits.idempotency_keys k
    where p_account_id is null or k.account_id = p_account_id
  ), broken as (
    select k.account_id, k.idempotency_key from keys k where k.answered is not true
    union all
    select k.account_id, k.idempotency_key from keys k
    where k.function is distinct from 'change_plan'
      and not exists (select from public.credit_transactions t where t.account_id = k.account_id and t.operation_id = k.operation_id)
      and not exists (select from public.credit_reservations r where r.account_id = k.account_id and r.operation_id = k.operation_id)
    union all
    select k.account_id, max(k.idempotency_key) from keys k group by k.account_id, k.operation_id having count(*) > 1
  )
  select (select count(*) from credits.idempotency_keys x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.idempotency_key from broken c order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_keys(uuid) is 'Rule 3: each idempotency key stands for one operation that took effect.';
revoke all on function credits.verify_keys(uuid) from public, anon, authenticated, service_role;

create function credits.verify_holds(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with slices as (
    select s.account_id, s.reservation_id, sum(s.amount) as amount
    from credits.reservation_slices s
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.reservation_id
  ), captures as (
    select t.account_id, t.operation_id, -sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind = 'capture' and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.operation_id
  ), compared as (
    select r.account_id, r.id,
      coalesce(s.amount, 0) = r.amount + r.extra and coalesce(c.amount, 0) = r.captured
        and (r.status = 'open' or r.captured + r.released = r.amount + r.extra)
        and (r.status <> 'open' or r.expires_at > b.settled_at or b.due_at <= r.expires_at) as ok
    from public.credit_reservations r
    join credits.balances b on b.account_id = r.account_id and b.credit_type = r.credit_type
    left join slices s on s.account_id = r.account_id and s.reservation_id = r.id
    left join captures c on c.account_id = r.account_id and c.operation_id = r.operation_id
    where p_account_id is null or r.account_id = p_account_id
  )
  select (select count(*) from public.credit_reservations x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.id as reservation_id from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_holds(uuid) is
  'Rule 4: captured and returned is what was held, and a hold past its expiry is due to be closed before anything else happens.';
revoke all on function credits.verify_holds(uuid) from public, anon, authenticated, service_role;

create function credits.verify_allowances(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with periods as (
    select g.account_id, g.credit_type, g.period_start, count(*) as grants, sum(g.amount) as amount
    from public.credit_grants g
    where g.source = 'plan' and g.voided_at is null and (p_account_id is null or g.account_id = p_account_id)
    group by g.account_id, g.credit_type, g.period_start
  ), compared as (
    select p.account_id, p.credit_type, p.period_start,
      p.grants = 1 and (
        b.kind = 'limit' or b.period_start <> p.period_start or b.allowance is null or p.amount <= b.peak_allowance
        or exists (select from public.credit_transactions t
          where t.account_id = p.account_id and t.credit_type = p.credit_type and t.description = 'unlimited allowance')) as ok
    from periods p
    join credits.balances b on b.account_id = p.account_id and b.credit_type = p.credit_type
  )
  select (select count(*) from public.credit_grants x
      where x.source = 'plan' and x.voided_at is null and (p_account_id is null or x.account_id = p_account_id)),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.period_start from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_allowances(uuid) is
  'Rule 5: one allowance per account, type and period, and no more of it than the largest plan held in the period gives.';
revoke all on function credits.verify_allowances(uuid) from public, anon, authenticated, service_role;

create function credits.verify_conservation(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with sums as (
    select t.account_id, t.credit_type,
      coalesce(sum(t.amount) filter (where t.kind = 'grant'), 0) as granted,
      -coalesce(sum(t.amount) filter (where t.kind <> 'grant'), 0) as gone
    from public.credit_transactions t
    where p_account_id is null or t.account_id = p_account_id
    group by t.account_id, t.credit_type
  ), compared as (
    select s.account_id, s.credit_type, s.granted = s.gone + b.balance as ok
    from sums s
    left join credits.balances b on b.account_id = s.account_id and b.credit_type = s.credit_type
  )
  select (select count(*) from credits.balances x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_conservation(uuid) is 'Rule 7: everything granted is spent, expired, voided or left.';
revoke all on function credits.verify_conservation(uuid) from public, anon, authenticated, service_role;

create function credits.public_relations()
returns setof name
language sql
immutable
security invoker
set search_path = ''
as $$
  select unnest('{plans, plan_limits, subscriptions, credit_balances, credit_grants, credit_transactions,
    credit_reservations, workspaces, workspace_members}'::name[])
$$;
comment on function credits.public_relations() is
  'The tables and views in schema public that are this system''s alone. usage is not among them: it may be the project''s.';
revoke all on function credits.public_relations() from public, anon, authenticated, service_role;

create function credits.public_functions()
returns setof name
language sql
immutable
security invoker
set search_path = ''
as $$
  select unnest('{
    consume_credits, consume_credits_batch, check_credits, reserve_credits, capture_credits, release_credits, refund_credits,
    grant_credits, revoke_grant, reset_monthly_credits, change_plan, get_credit_summary, explain_operation,
    mark_test_account, set_test_clock, set_subscription_status, set_time_zone, freeze_account, unfreeze_account, list_plans,
    get_credit_history, system_status, verify_books, verify_checklist, diagnose, explain_balance, find_operation,
    import_balances, export_account, forget_account, metrics_consumption, metrics_conversion, metrics_usage,
    metrics_exhaustion, metrics_breakage, metrics_active_accounts, metrics_liability, metrics_health, roll_up_metrics,
    track_metadata_key}'::name[])
$$;
comment on function credits.public_functions() is 'The functions in schema public that are this system''s.';
revoke all on function credits.public_functions() from public, anon, authenticated, service_role;

create function credits.verify_privileges()
returns table (checked bigint, violations jsonb)
language sql
stable
security invoker
set search_path = ''
as $$
  with ours as (
    select c.oid, c.oid::regclass::text as name from pg_catalog.pg_class c
    where c.relkind in ('r', 'v', 'p') and (c.relnamespace = 'credits'::regnamespace
      or c.relnamespace = 'public'::regnamespace and c.relname in (select credits.public_relations()))
  ), functions as (
    select p.oid, p.oid::regprocedure::text as name, n.nspname, p.proname, p.proconfig, p.prosecdef, p.prokind
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'credits' or n.nspname = 'public' and p.proname in (select credits.public_functions())
  ), compared as (
    select o.name || ' may be written by ' || r.name as what, not (
      has_table_privilege(r.name, o.oid, 'insert') or has_table_privilege(r.name, o.oid, 'update')
      or has_table_privilege(r.name, o.oid, 'delete') or has_table_privilege(r.name, o.oid, 'truncate')
      or has_any_column_privilege(r.name, o.oid, 'insert, update')) as ok
    from ours o cross join (values ('anon'), ('authenticated'), ('service_role')) as r(name)
    union all
    select o.name || ' has no row level security', c.relrowsecurity or c.relkind = 'v'
    from ours o join pg_catalog.pg_class c on c.oid = o.oid
    union all
    select f.name || ' may be called by anon', not has_function_privilege('anon', f.oid, 'execute')
    from functions f
    union all
    select f.name || ' may be called by authenticated', not has_function_privilege('authenticated', f.oid, 'execute')
      or f.proname in ('get_credit_summary', 'explain_operation', 'get_credit_history')
      or f.nspname = 'credits' and f.proname in ('readable_accounts', 'balance_at', 'read_summary', 'read_operation', 'read_history')
    from functions f
    union all
    select f.name || ' gives a signed-in user its owner''s rights',
      f.nspname <> 'public' or not f.prosecdef or not has_function_privilege('authenticated', f.oid, 'execute')
    from functions f
    union all
    select f.name || ' has no fixed search_path', coalesce('search_path=""' = any (f.proconfig), false)
    from functions f where f.prokind <> 'a'
    union all
    select 'the schema credits is open to ' || r.name, not has_schema_privilege(r.name, 'credits', 'usage')
    from (values ('anon'), ('authenticated'), ('service_role')) as r(name)
    union all
    select 'the trigger ' || w.name || ' is missing or disabled', exists (
      select from pg_catalog.pg_trigger g
      where g.tgrelid = 'public.credit_transactions'::regclass and g.tgname = w.name and g.tgenabled in ('O', 'A'))
    from (values ('credit_transactions_are_append_only'), ('credit_transactions_are_never_truncated')) as w(name)
  )
  select count(*), coalesce(jsonb_agg(c.what) filter (where c.ok is not true and c.nth <= 10), '[]')
  from (select c.*, row_number() over (partition by c.ok is not true) as nth from compared c) c
$$;
comment on function credits.verify_privileges() is
  'Rule 8: nobody may write a table, only the service role may move credits, and the ledger''s guards stand.';
revoke all on function credits.verify_privileges() from public, anon, authenticated, service_role;

create function credits.verify_all(p_account_id uuid default null, p_rule integer default null)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set work_mem = '256MB'
as $$
declare
  v_checks jsonb;
begin
  with checks as (
    select 1 as rule, 'every grant is what its ledger rows say' as name, v.* from credits.verify_grants(p_account_id) v
    where coalesce(p_rule, 1) = 1
    union all
    select 2, 'the ledger is a chain without a gap', v.* from credits.verify_chain(p_account_id) v
    where coalesce(p_rule, 2) = 2
    union all
    select 2, 'every balance is what its grants hold', v.* from credits.verify_balances(p_account_id) v
    where coalesce(p_rule, 2) = 2
    union all
    select 3, 'refunds never exceed their operation, usage agrees', v.* from credits.verify_operations(p_account_id) v
    where coalesce(p_rule, 3) = 3
    union all
    select 3, 'every idempotency key took effect once', v.* from credits.verify_keys(p_account_id) v
    where coalesce(p_rule, 3) = 3
    union all
    select 4, 'captured and returned is what was held', v.* from credits.verify_holds(p_account_id) v
    where coalesce(p_rule, 4) = 4
    union all
    select 5, 'one allowance per account, type and period', v.* from credits.verify_allowances(p_account_id) v
    where coalesce(p_rule, 5) = 5
    union all
    select 7, 'everything granted is spent, lapsed or left', v.* from credits.verify_conservation(p_account_id) v
    where coalesce(p_rule, 7) = 7
    union all
    select 8, 'only the service role moves credits, nobody changes the ledger', v.* from credits.verify_privileges() v
    where coalesce(p_rule, 8) = 8
  )
  select coalesce(jsonb_agg(jsonb_build_object('rule', c.rule, 'name', c.name, 'ok', c.violations = '[]', 'checked', c.checked,
    'violations', c.violations)), '[]') into v_checks
  from checks c;
  return jsonb_build_object(
    'success', not v_checks @> '[{"ok": false}]',
    'code', case when v_checks @> '[{"ok": false}]' then 'violated' else 'ok' end, 'checks', v_checks);
end
$$;
comment on function credits.verify_all(uuid, integer) is 'All always-true rules, or one of them, in one snapshot.';
revoke all on function credits.verify_all(uuid, integer) from public, anon, authenticated, service_role;

create function public.verify_books(
  p_user_id uuid default null, p_workspace_id uuid default null, p_rule integer default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if p_rule not between 1 and 8 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_rule', 'value', p_rule),
      'The rules are numbered 1 to 8.');
  end if;
  return credits.verify_all(coalesce(p_workspace_id, p_user_id), p_rule);
end
$$;
comment on function public.verify_books(uuid, uuid, integer) is
  'Checks the always-true rules of the books, or the one with number p_rule, for one account or for all, in one snapshot. Answers checks with rule, name, ok, checked and the first violations.';
revoke all on function public.verify_books(uuid, uuid, integer) from public, anon, authenticated, service_role;
grant execute on function public.verify_books(uuid, uuid, integer) to service_role;
