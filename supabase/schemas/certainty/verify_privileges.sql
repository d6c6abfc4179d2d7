-- Who may do what, as equivalences: what is missing is a violation as well as what is too much.

create function credits.expected_policies()
returns table (relation text, policy name, roles text)
language sql
immutable
security invoker
set search_path = ''
as $$
  values
    ('public.plans', 'Everybody may read the plans'::name, 'anon, authenticated'),
    ('public.plan_limits', 'Everybody may read the plan limits', 'anon, authenticated'),
    ('public.credit_packs', 'Everybody may read the packs', 'anon, authenticated'),
    ('public.credit_price_books', 'Everybody may read the price books', 'anon, authenticated'),
    ('credits.prices', 'Everybody may read the prices', 'anon, authenticated'),
    ('credits.credit_types', 'Everybody may read the credit types', 'anon, authenticated'),
    ('credits.settings', 'Signed-in users may read the settings', 'authenticated'),
    ('credits.subscriptions', 'Users may read what they subscribed to', 'authenticated'),
    ('credits.balances', 'Users may read their balances', 'authenticated'),
    ('public.credit_grants', 'Users may read their grants', 'authenticated'),
    ('public.credit_transactions',
      'Users may read their ledger and what they oversee', 'authenticated'),
    ('public.credit_reservations',
      'Users may read their holds and what they oversee', 'authenticated'),
    ('public.credit_workspaces', 'Members may read their workspaces', 'authenticated'),
    ('public.credit_workspace_members', 'Members may read who else is a member', 'authenticated'),
    ('public.credit_notifications', 'People may read their notifications', 'authenticated'),
    ('public.credit_webhooks', 'Overseers may read where messages are sent', 'authenticated'),
    ('public.credit_budgets', 'People may read the budgets of their accounts', 'authenticated'),
    ('public.credit_invitations',
      'Owners and admins may read the invitations of their workspaces', 'authenticated')
$$;
comment on function credits.expected_policies() is
  'Every row level security policy of this system: each lets a role read, by account unless '
  'everybody may.';
revoke all on function credits.expected_policies() from public, anon, authenticated, service_role;

create function credits.asked_for_each_row(p_condition text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select regexp_replace(p_condition,
    '\( *SELECT (credits\.\w+\(\)) AS \w+\)(::uuid(\[\])?)?', '\1', 'gi')
$$;
comment on function credits.asked_for_each_row(text) is
  'The condition of a policy without sub-selects: the same, asked for each row.';
revoke all on function credits.asked_for_each_row(text)
  from public, anon, authenticated, service_role;

create function credits.relations_for_everybody()
returns setof name
language sql
immutable
security invoker
set search_path = ''
as $$
  values ('plans'::name), ('plan_limits'), ('credit_types'), ('credit_packs'),
    ('credit_price_books'),
    ('credit_prices'), ('prices')
$$;
comment on function credits.relations_for_everybody() is
  'What a pricing page reads, signed in or not.';
revoke all on function credits.relations_for_everybody()
  from public, anon, authenticated, service_role;

create function credits.expected_triggers()
returns table (relation text, trigger name)
language sql
immutable
security invoker
set search_path = ''
as $$
  values
    ('public.credit_transactions', 'credit_transactions_are_append_only'::name),
    ('public.credit_transactions', 'credit_transactions_are_never_truncated'),
    ('credits.prices', 'prices_are_append_only'),
    ('public.credit_prices', 'credit_prices_are_never_written'),
    ('credits.prices', 'prices_are_never_truncated'),
    ('public.credit_balances', 'credit_balances_are_never_written'),
    ('credits.balances', 'balances_notice_low'),
    ('public.plans', 'plans_keep_subscribed'),
    ('public.plans', 'plans_keep_subscribed_id'),
    ('public.plans', 'plans_are_not_truncated'),
    ('public.plans', 'plans_record_condition'),
    ('public.plan_limits', 'plan_limits_make_version'),
    ('public.plan_limits', 'plan_limits_make_versions'),
    ('public.subscriptions', 'subscriptions_are_never_written'),
    ('credits.plan_versions', 'plan_versions_are_kept'),
    ('credits.plan_versions', 'plan_versions_are_not_truncated'),
    ('credits.plan_version_limits', 'plan_version_limits_are_kept'),
    ('credits.plan_version_limits', 'plan_version_limits_are_not_truncated'),
    ('credits.subscription_events', 'subscription_events_are_kept'),
    ('credits.settings', 'settings_workspace_credits_count_at_once'),
    ('public.credit_workspaces', 'credit_workspaces_open_account'),
    ('public.credit_workspaces', 'credit_workspaces_follow_deleted'),
    ('public.credit_workspace_members', 'credit_workspace_members_release_holds'),
    ('public.credit_workspace_members', 'credit_workspace_members_change_topic'),
    ('public.credit_workspace_members', 'credit_workspace_members_pass_ownership_on'),
    ('public.credit_workspace_members', 'credit_workspace_members_count_roles_anew'),
    ('auth.users', 'credits_open_account'),
    ('auth.users', 'credits_close_account'),
    ('auth.users', 'credits_follow_user')
$$;
comment on function credits.expected_triggers() is
  'The triggers that keep the books, and keep them from being changed.';
revoke all on function credits.expected_triggers() from public, anon, authenticated, service_role;

create function credits.verify_privileges()
returns table (checked bigint, violations jsonb)
language sql
stable
security invoker
set search_path = ''
as $$
  with roles(name) as (values ('anon'::name), ('authenticated'), ('service_role')),
  ours as (
    select c.oid, c.oid::regclass::text as name, c.relname, c.relkind, c.relrowsecurity, c.relowner,
      c.relacl,
      n.nspname = 'public' as is_public
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'm', 'p', 'f') and (
      n.nspname = 'credits' or n.nspname = 'public'
        and c.relname in (select credits.public_relations()))
  ), functions as (
    select p.oid, p.oid::regprocedure::text as name, n.nspname = 'public' as is_public, p.proname,
      p.proconfig, p.prosecdef,
      p.prokind, p.proowner, p.proacl,
      exists (
        select 1 from credits.public_callers() k where k.function = p.proname) as reads_for_users,
      p.proname in (
        'balance_at', 'unopened_balances', 'subscription_now', 'read_summary', 'read_operation',
        'read_history', 'read_room')
      -- What users do by a function of the same name, which asks who they are.
      or n.nspname = 'credits' and p.prosecdef and exists (
        select 1 from credits.public_callers() k where k.function = p.proname) as serves_readers
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'credits' or n.nspname = 'public'
      and p.proname in (select credits.public_functions())
  ), compared as (
    select o.name || ' may be written by ' || r.name as what, not (
      has_table_privilege(r.name, o.oid, 'insert, update, delete, truncate, references, trigger')
      or has_any_column_privilege(r.name, o.oid, 'insert, update, references')) as ok
    from ours o cross join roles r
    union all
    select format('%s %s read by %s', o.name, case when x.should then 'cannot be' else 'may be' end,
      r.name),
      (has_table_privilege(r.name, o.oid, 'select')) = x.should
        and (x.should or not has_any_column_privilege(r.name, o.oid, 'select'))
    from ours o cross join roles r cross join lateral (
      -- The schema credits is closed to all of them; what the view and the policies read in it is
      -- granted all the same.
      select case r.name
        when 'anon' then o.relname in (select credits.relations_for_everybody())
        else o.is_public or o.relname in (select credits.relations_for_everybody())
          or o.relname in ('balances', 'settings', 'subscriptions') end as should) x
    union all
    select format('%s may be used by %s', o.name, coalesce(x.grantee::regrole::text, 'anybody')),
      x.privilege_type = 'SELECT'
    from ours o cross join lateral aclexplode(o.relacl) x
    where x.grantee <> o.relowner
      and (x.grantee = 0 or x.grantee::regrole::name not in (select r.name from roles r))
    union all
    select o.name || ' has no row level security', o.relrowsecurity or o.relkind = 'v'
    from ours o
    union all
    select 'the policy "' || coalesce(e.policy, y.polname) || '" on '
      || coalesce(e.relation, y.relation)
        || case when e.policy is null then ' is not of this system' when y.polname is null
          then ' is missing' else ' was changed' end,
      y.is_sane and y.roles = e.roles
    from credits.expected_policies() e
    full join (
      select p.polname, n.nspname || '.' || c.relname as relation, (
          select string_agg(a.rolname, ', ' order by a.rolname) from pg_catalog.pg_roles a
            where a.oid = any (p.polroles)) as roles,
        p.polcmd = 'r' and p.polpermissive and p.polwithcheck is null
          and regexp_replace(credits.asked_for_each_row(
            pg_catalog.pg_get_expr(p.polqual, p.polrelid)), '\s+', '', 'g') = case
            when c.relname in (select credits.relations_for_everybody())
              or c.relname = 'settings' then 'true'
            when c.relname in ('credit_transactions', 'credit_reservations') then
              '((account_id=ANY(credits.readable_ids()))AND((user_id=account_id)'
              'OR(user_id=credits.reader_id())OR(account_id=ANY(credits.overseen_ids()))))'
            when c.relname = 'credit_webhooks' then
              '((account_id=ANY(credits.readable_ids()))'
              'AND(account_id=ANY(credits.overseen_ids())))'
            when c.relname = 'credit_notifications' then
              '((account_id=ANY(credits.readable_ids()))AND(user_id=credits.reader_id()))'
            when c.relname = 'credit_invitations' then
              '((account_id=ANY(credits.readable_ids()))'
              'AND(account_id=ANY(credits.overseen_ids())))'
            else '(account_id=ANY(credits.readable_ids()))' end as is_sane
      from pg_catalog.pg_policy p
      join ours o on o.oid = p.polrelid
      join pg_catalog.pg_class c on c.oid = p.polrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    ) y on y.relation = e.relation and y.polname = e.policy
    union all
    select format('%s %s called by %s', f.name, case when x.should then 'cannot be'
      else 'may be' end, r.name),
      has_function_privilege(r.name, f.oid, 'execute') = x.should
    from functions f cross join roles r cross join lateral (
      select case when f.is_public then r.name = 'service_role' or exists (
          select 1 from credits.public_callers() k where k.function = f.proname and k.role = r.name)
        else f.serves_readers and r.name <> 'anon'
          or f.proname in ('readable_ids', 'overseen_ids', 'reader_id', 'readable_topics')
          and r.name = 'authenticated' end as should) x
    union all
    select f.name || ' may be called by anybody', false
    from functions f cross
      join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) x where x.grantee = 0
    union all
    select format('%s runs with the rights of its %s', f.name, case when f.prosecdef then 'owner'
      else 'caller' end),
      f.prosecdef <> f.reads_for_users
    from functions f where f.is_public
    union all
    select 'the function public.' || e.name || case when count(f.oid) = 0 then ' is missing'
      else ' is there twice' end, count(f.oid) = 1
    from credits.public_functions() as e(name) left join functions f on f.is_public
      and f.proname = e.name
    group by e.name
    union all
    select f.name || ' has no fixed search_path',
      coalesce('search_path=""' = any (f.proconfig), false)
    from functions f where f.prokind <> 'a'
    union all
    select 'the schema credits is open to ' || r.name,
      not has_schema_privilege(r.name, 'credits', 'usage')
        and not has_schema_privilege(r.name, 'credits', 'create')
    from roles r
    union all
    select a.rolname || ' sees past row level security', not a.rolsuper
      and (a.rolname = 'service_role' or not a.rolbypassrls)
    from pg_catalog.pg_roles a join roles r on r.name = a.rolname
    union all
    select x.name || ' belongs to ' || x.owner::regrole::text, x.owner = n.nspowner
    from (select o.name, o.relowner as owner from ours o union all select f.name, f.proowner
      from functions f) x
    join pg_catalog.pg_namespace n on n.nspname = 'credits'
    union all
    select format('%s may act as %s, who owns the books', r.name, n.nspowner::regrole::text),
      not pg_has_role(r.name, n.nspowner, 'member')
    from roles r join pg_catalog.pg_namespace n on n.nspname = 'credits'
    union all
    select format('the trigger %s on %s is missing or disabled', w.trigger, w.relation), exists (
      select 1 from pg_catalog.pg_trigger g
      where g.tgrelid = to_regclass(w.relation) and g.tgname = w.trigger
        and g.tgenabled in ('O', 'A'))
    from credits.expected_triggers() w
  )
  select count(*), coalesce(jsonb_agg(c.what) filter (where c.ok is not true and c.nth <= 10), '[]')
  from (select c.*, row_number() over (partition by c.ok is not true order by c.what) as nth
    from compared c) c
$$;
comment on function credits.verify_privileges() is
  'Rule 8: who may do what is exactly as it was made. Nobody may write a table, only the service '
  'role may move credits, users read their own rows, and the ledger''s guards stand.';
revoke all on function credits.verify_privileges() from public, anon, authenticated, service_role;
