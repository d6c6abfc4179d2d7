-- sonas-supabase 0.1.0: credits for Supabase. Built from supabase/schemas by
-- scripts/build_migration.py; change the sources, not this file. It is one transaction: applied as
-- a whole or not at all, and it can be run again after a failure.

-- A busy table stops the migration after a moment, so that no request queues up behind it.
set local lock_timeout = '5s';
-- Functions may name what comes later in this file.
set local check_function_bodies = off;

-- schemas/installation/preflight.sql

-- sonas-supabase: credits on Supabase.
--
-- The story, in the order in which these files tell it:
--
--   1. This file looks before anything is changed: is this a Supabase database, and is every name still free?
--   2. What is on sale: credit_types, plans, plan_limits, grant_sources.
--   3. Who owns credits: accounts (a person or a workspace) and their subscriptions.
--   4. Where credits live: credit_grants, and nowhere else. What moved: credit_transactions, append-only.
--      credits.balances is the row that every operation on (account, credit type) locks first.
--   5. Time: a function tells the period at any instant; settle books what has fallen due by then;
--      credit_balances shows the same figures to the second, booked or not.
--   6. Operations: consume, reserve, capture, release, refund, grant, revoke, reset, change_plan. For each there is a core
--      function in schema `credits` over one account's rows, and an edge function in `public` which validates, resolves
--      who pays, and shapes the answer.
--   7. Triggers on auth.users open and close accounts; credits.meter_table charges for rows of the host's own tables.
--
-- Lock order: balances rows of one account, by credit_type. Everything else of the account is guarded by them: who
-- writes an account's subscription holds all its balances rows, who reads it holds at least one.

-- Functions for as long as it takes: what the Supabase CLI prints after the message is then one line, not this text, and
-- `sonas check` asks the first of them. It has the caller's search_path, since triggers of a project's own usage table run
-- in its trial.
create function pg_temp.what_is_in_the_way()
returns table (object text, problem text, cure text[], named_by text[], run_as text)
language plpgsql
volatile
security invoker
as $preflight$
declare
  -- The names in public that this file takes. Of a usage table only the columns are taken.
  -- Names of scripts/generate_edge.py, which writes them anew:
  v_relations constant name[] := '{
    credit_balances, credit_grants, credit_grants_open_idx, credit_grants_period_key,
    credit_grants_pkey, credit_invitations, credit_invitations_pkey, credit_notifications,
    credit_notifications_created_at_idx, credit_notifications_pkey,
    credit_notifications_user_id_created_at_idx, credit_packs, credit_packs_pkey,
    credit_price_books, credit_price_books_pkey, credit_prices, credit_reservations,
    credit_reservations_open_idx, credit_reservations_pkey, credit_transactions,
    credit_transactions_created_at_idx, credit_transactions_operation_idx, credit_transactions_pkey,
    credit_transactions_related_idx, credit_transactions_user_id_idx, credit_workspace_members,
    credit_workspace_members_pkey, credit_workspace_members_user_id_idx, credit_workspaces,
    credit_workspaces_pkey, plan_limits, plan_limits_pkey, plans, plans_default_key, plans_pkey,
    plans_rank_key, subscriptions, usage_denied_idx, usage_user_id_created_at_idx}';
  v_routines constant name[] := '{
    accept_workspace_invitation, attach_billing_session, capture_credits, capture_operation,
    change_plan, check_credits, claim_http_request, consume_credits, consume_credits_batch,
    consume_operation, create_billing_order, create_workspace, delete_workspace, diagnose,
    drop_http_claim, end_price, explain_balance, explain_operation, export_account,
    extend_reservation, find_operation, forget_account, freeze_account, get_billing_order,
    get_credit_history, get_credit_summary, get_workspace, grant_credits, has_credits,
    import_balances, invite_to_workspace, leave_workspace, ledger_digest, link_billing_customer,
    list_billing_prices, list_plans, list_uncollected, list_workspaces, mark_test_account,
    metrics_active_accounts, metrics_breakage, metrics_consumption, metrics_conversion,
    metrics_exhaustion, metrics_health, metrics_liability, metrics_usage, open_account, pin_plan,
    publish_plan, quote_operation, record_uncollected, refund_credits, register_billing_price,
    release_credits, remove_from_workspace, reserve_credits, reserve_operation,
    reset_monthly_credits, resolve_uncollected, revoke_grant, revoke_workspace_invitation,
    roll_up_metrics, set_auto_top_up, set_exchange_rate, set_price, set_price_book,
    set_provider_cost, set_subscription_status, set_test_clock, set_time_zone, set_workspace_role,
    store_http_answer, system_status, track_metadata_key, transfer_workspace, unfreeze_account,
    verify_books, verify_checklist, within_limit}';
  -- End of the names.
  v_triggers constant name[] := array['credits_open_account', 'credits_close_account', 'credits_follow_user'];
  -- What stands in the way: {object, problem, cure: [statement], named_by: [function]}.
  v_found jsonb := '[]';
  v_usage regclass := to_regclass('public.usage');
  v_constraint text;
  v_context text;
  v_problem text;
  v_cure text;
  v_left_out text[] := '{}';
begin
  if to_regrole('anon') is null or to_regrole('authenticated') is null or to_regrole('service_role') is null
     or to_regclass('auth.users') is null then
    raise exception 'this is not a Supabase database: the roles anon, authenticated, service_role or the table auth.users are missing. Apply the migrations with `supabase db push` to a Supabase project, or run `sonas up` for a local one.';
  end if;

  if to_regclass('credits.installed_objects') is not null then
    raise exception 'the credit system is here already, and the history of migrations does not say so, as after a restore of single schemas. Nothing has been changed. Tell the history (`supabase migration repair --status applied` with the version in this file''s name), then run `sonas doctor`, which lists what the restore has left behind, with the statements that make it again.';
  end if;

  with functions as (
    -- Text that is looked up when it runs: after a rename it would find the objects of this file.
    select p.oid::regprocedure::text as name, lower(p.prosrc) as text
    from pg_catalog.pg_proc p
    join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname in ('sql', 'plpgsql')
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname !~ '^pg_'
    where n.nspname <> 'information_schema'
      and p.prosqlbody is null
      and not exists (select 1 from pg_catalog.pg_depend d
                      where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
  ), extensions as (
    select d.classid, d.objid, e.extname
    from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
    where d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::regclass
  ), taken as (
    select c.oid, 'pg_catalog.pg_class'::regclass as class, c.relname as name, c.relowner as owner,
      case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'i' then 'index' when 'I' then 'index'
        when 'S' then 'sequence' when 'f' then 'foreign table' when 'c' then 'type' else 'table' end as kind,
      format('public.%I', c.relname) as object
    from pg_catalog.pg_class c
    left join pg_catalog.pg_index x on x.indexrelid = c.oid
    left join pg_catalog.pg_class t on t.oid = x.indrelid
    where c.relnamespace = 'public'::regnamespace
      and (c.relname = any (v_relations) or c.relname = 'usage' and c.relkind not in ('r', 'p'))
      -- The index of a table that is renamed goes with it; one of the same shape on usage is welcome.
      and not coalesce(t.relname = any (v_relations), false)
      and not coalesce(t.oid = v_usage and c.relname in ('usage_user_id_created_at_idx',
        'usage_account_id_created_at_idx'), false)
    union all
    select p.oid, 'pg_catalog.pg_proc', p.proname, p.proowner, 'function',
      format('public.%I(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
    from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname = any (v_routines)
    union all
    select y.oid, 'pg_catalog.pg_type', y.typname, y.typowner, case y.typtype when 'd' then 'domain' else 'type' end,
      format('public.%I', y.typname)
    from pg_catalog.pg_type y
    where y.typnamespace = 'public'::regnamespace and y.typrelid = 0 and y.typelem = 0
      and (y.typname = any (v_relations) or y.typname = 'usage')
    union all
    select n.oid, 'pg_catalog.pg_namespace', n.nspname, n.nspowner, 'schema', quote_ident(n.nspname)
    from pg_catalog.pg_namespace n where n.nspname = 'credits'
  ), renamed as (
    select t.*, x.extname,
      (select left(w.word || t.name, 63)::name
       from unnest(array['app_', 'app2_', 'app3_', 'app4_', 'app5_']) with ordinality as w(word, nth)
       where not exists (select 1 from pg_catalog.pg_class c
                         where c.relnamespace = 'public'::regnamespace and c.relname = left(w.word || t.name, 63))
         and not exists (select 1 from pg_catalog.pg_proc p
                         where p.pronamespace = 'public'::regnamespace and p.proname = left(w.word || t.name, 63))
         and to_regnamespace(quote_ident(left(w.word || t.name, 63))) is null
       order by w.nth limit 1) as new_name
    from taken t left join extensions x on x.classid = t.class and x.objid = t.oid
  ), cured as (
    select r.*,
      case
        when r.extname is not null then array[format('alter extension %I set schema extensions;', r.extname)]
        when r.kind = 'function' then array[format('alter routine %s rename to %I;', r.object, r.new_name)]
        else array[format('alter %s %s rename to %I;', r.kind, r.object, r.new_name)]
          || array(
            select format('alter index public.%I rename to %I;', i.relname, left('app_' || i.relname, 63))
            from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
            where x.indrelid = r.oid and (i.relname = any (v_relations) or i.relname ^@ (r.name || '_'))
            order by i.relname)
          || array(
            select format('alter sequence public.%I rename to %I;', s.relname, left('app_' || s.relname, 63))
            from pg_catalog.pg_depend d join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
            where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
              and d.refobjid = r.oid and d.deptype in ('a', 'i') and s.relname ^@ (r.name || '_')
            order by s.relname)
      end as cure,
      case when r.kind in ('index', 'sequence') or r.extname is not null then '{}'::text[]
        else array(
          select f.name from functions f
          where f.text ~ case r.kind when 'function' then format('\m%s\M"?\s*\(', lower(r.name))
            when 'schema' then '\mcredits"?\.' else format('\m%s\M', lower(r.name)) end
            and not (r.kind = 'function' and f.name = r.oid::regprocedure::text)
          order by f.name limit 20)
      end as named_by
    from renamed r
  )
  select coalesce(jsonb_agg(jsonb_build_object(
      'object', format('%s %s', c.kind, c.object),
      'problem', format('the %s %s exists already', c.kind, case c.kind when 'schema' then '"credits"' else c.object end),
      'cure', to_jsonb(c.cure), 'named_by', to_jsonb(c.named_by),
      'owner', case when not pg_catalog.pg_has_role(current_user, c.owner, 'usage') then quote_ident(pg_catalog.pg_get_userbyid(c.owner)) end)
    order by c.kind = 'schema' desc, c.kind = 'function', c.kind, c.object), '[]')
  into v_found
  from cured c;

  -- The table belongs to Supabase Auth: there a trigger is renamed by making it again, with the function that it runs.
  select v_found || coalesce(jsonb_agg(jsonb_build_object(
      'object', format('trigger %I on auth.users', g.tgname),
      'problem', format('the trigger %I on auth.users exists already', g.tgname),
      'cure', case
        when pg_catalog.pg_has_role(current_user, c.relowner, 'usage') then
          jsonb_build_array(format('alter trigger %1$I on auth.users rename to %2$I;', g.tgname, 'app_' || g.tgname))
        else jsonb_build_array(
          format('drop function %s cascade;', g.tgfoid::regprocedure),
          pg_catalog.pg_get_functiondef(g.tgfoid) || ';',
          replace(pg_catalog.pg_get_triggerdef(g.oid), format('TRIGGER %I ', g.tgname), format('TRIGGER %I ', 'app_' || g.tgname)) || ';')
      end, 'named_by', '[]'::jsonb) order by g.tgname), '[]')
  into v_found
  from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
  where g.tgrelid = to_regclass('auth.users') and g.tgname = any (v_triggers);

  -- A project may have a usage table of its own. It is kept as it is, if rows of ours can live in it.
  if v_usage is not null and (select c.relkind in ('r', 'p') from pg_catalog.pg_class c where c.oid = v_usage) then
    with columns as (
      select a.attname, a.attnum, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated, a.atttypid, a.atttypmod, w.wanted,
        format_type(a.atttypid, a.atttypmod) as type_name, quote_ident(a.attname) as name,
        a.atthasdef and w.wanted is not null as resets_default,
        pg_catalog.pg_get_expr(d.adbin, d.adrelid) as default_text
      from pg_catalog.pg_attribute a
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      left join (values ('account_id', 'uuid'), ('user_id', 'uuid'), ('credit_type', 'text'), ('credits_used', 'bigint'),
                        ('status', 'text'), ('description', 'text'), ('metadata', 'jsonb'), ('operation_id', 'uuid'),
                        ('created_at', 'timestamp with time zone')) as w(name, wanted) on w.name = a.attname
      where a.attrelid = v_usage and a.attnum > 0 and not a.attisdropped
    ), problems as (
      select 0 as nth, 'table public.usage' as object,
        'the table public.usage belongs to another role than the one that applies the migrations' as problem,
        array[format('alter table public.usage owner to %I;', current_user)] as cure
      from pg_catalog.pg_class c where c.oid = v_usage and not pg_catalog.pg_has_role(current_user, c.relowner, 'usage')
      union all
      select 0, 'table public.usage', 'the table public.usage has row level security forced on its owner, who writes there',
        array['alter table public.usage no force row level security;']
      from pg_catalog.pg_class c where c.oid = v_usage and c.relforcerowsecurity and c.relrowsecurity
      union all
      select c.attnum, 'column public.usage.' || c.name,
        format('the column public.usage.%s (%s) is NOT NULL and has no default, so a metered attempt could never be written there', c.name, c.type_name),
        case
          -- A column of the key stays NOT NULL, so it gets a value of its own.
          when exists (select 1 from pg_catalog.pg_index x
                       where x.indrelid = v_usage and x.indisprimary and c.attnum = any (x.indkey)) then
            case
              when c.type_name in ('smallint', 'integer', 'bigint') then array[
                format('alter table public.usage alter column %s add generated by default as identity;', c.name),
                format('select setval(pg_get_serial_sequence(''public.usage'', %L), coalesce(max(%s), 0) + 1, false) from public.usage;', c.attname, c.name)]
              when c.type_name in ('uuid', 'text', 'character varying') then array[
                format('alter table public.usage alter column %s set default gen_random_uuid();', c.name)]
              else array[format('-- Give %s a default, or rename the table: alter table public.usage rename to app_usage;', c.name)]
            end
          else array[format('alter table public.usage alter column %s drop not null;', c.name)]
        end
      from columns c
      where c.wanted is null and c.attnotnull and not c.atthasdef and c.attidentity = ''
      union all
      select c.attnum, 'column public.usage.' || c.name,
        format('the column public.usage.%s is %s, and %s is needed', c.name,
          case when c.attgenerated <> '' or c.attidentity = 'a' then 'worked out by the database' else c.type_name end,
          c.wanted || case when c.attgenerated <> '' or c.attidentity = 'a' then ' that may be written' else '' end),
        case
          when c.attgenerated <> '' or c.attidentity <> '' then
            array[format('alter table public.usage rename column %1$s to %2$I;', c.name, 'app_' || c.attname)]
          when c.wanted = 'text' or c.type_name in ('text', 'character varying') or c.type_name like 'character%'
            or exists (select 1 from pg_catalog.pg_cast k
                       where k.castsource = c.atttypid and k.casttarget = c.wanted::regtype) then
            case when c.default_text is null then array[]::text[]
              else array[format('alter table public.usage alter column %s drop default;', c.name)] end
            || format('alter table public.usage alter column %1$s type %2$s using %1$s::%2$s;', c.name, c.wanted)
            || case when c.default_text is null then array[]::text[]
              else array[format('alter table public.usage alter column %s set default (%s)::%s;', c.name, c.default_text, c.wanted)] end
          else array[format('alter table public.usage rename column %1$s to %2$I;', c.name, 'app_' || c.attname)]
        end
      from columns c
      where c.wanted is not null
        and (c.attgenerated <> '' or c.attidentity = 'a'
          or c.type_name <> c.wanted
          and not (c.wanted = 'text' and c.atttypid = 'character varying'::regtype and (
            c.atttypmod < 0
            or c.atttypmod - 4 >= case c.attname when 'description' then 2000 when 'status' then 7 else 63 end))
          and not (c.wanted = 'bigint' and c.type_name = 'numeric'))
    )
    select v_found || coalesce(jsonb_agg(jsonb_build_object(
      'object', p.object, 'problem', p.problem, 'cure', to_jsonb(p.cure), 'named_by', '[]'::jsonb) order by p.nth), '[]')
    into v_found
    from problems p;

    -- The last word is a trial: write one allowed and one denied attempt, and take everything back. What refuses them is
    -- taken away for the next attempt, so that all of it is found.
    while cardinality(v_left_out) < 20
      and pg_catalog.pg_has_role(current_user, (select c.relowner from pg_catalog.pg_class c where c.oid = v_usage), 'usage')
    loop
      v_problem := null;
      begin
        select string_agg(c.statement, '') into v_cure from unnest(v_left_out) as c(statement);
        if v_cure is not null then
          execute v_cure;
        end if;
        for v_cure in
          select s.statement from jsonb_array_elements(v_found) f
          cross join jsonb_array_elements_text(f.value -> 'cure') as s(statement)
          where f.value ->> 'object' ~ '^(column public.usage\.|table public.usage$)'
        loop
          execute v_cure;
        end loop;
        alter table public.usage
          add column if not exists account_id uuid, add column if not exists user_id uuid,
          add column if not exists credit_type text, add column if not exists credits_used bigint,
          add column if not exists status text, add column if not exists description text,
          add column if not exists metadata jsonb, add column if not exists operation_id uuid,
          add column if not exists created_at timestamptz default now();
        insert into public.usage (account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
        select w.id, w.id, 'message', s.used, s.status, repeat('x', 2000), '{}', gen_random_uuid(), now()
        from (select coalesce((select u.id from auth.users u limit 1), gen_random_uuid()) as id) w
        cross join (values (9007199254740992, 'allowed'), (0, 'denied'), (1, 'allowed')) as s(used, status);
        raise exception 'probe succeeded' using errcode = 'PTOK1';
      exception
        when sqlstate 'PTOK1' or foreign_key_violation then null;
        when others then
          get stacked diagnostics v_problem = message_text, v_constraint = constraint_name, v_context = pg_exception_context;
      end;
      exit when v_problem is null;
      v_cure := case
        when v_constraint <> '' and exists (
          select 1 from pg_catalog.pg_constraint c where c.conrelid = v_usage and c.conname = v_constraint) then
          format('alter table public.usage drop constraint %I;', v_constraint)
        when v_constraint <> '' and to_regclass(format('public.%I', v_constraint)) is not null then
          format('drop index public.%I;', v_constraint)
      end;
      v_found := v_found || jsonb_build_array(jsonb_build_object(
        'object', coalesce('constraint ' || nullif(v_constraint, '') || ' on public.usage', 'trial of public.usage'),
        'problem', 'the table public.usage refuses a metered attempt: ' || v_problem,
        'cure', jsonb_build_array(coalesce(
          v_cure, format('-- A row needs status ''allowed'' or ''denied'', credits_used from 0 to 2^53 and a description of up to 2000 characters: widen what refuses it (%s), or rename the table: alter table public.usage rename to app_usage;',
            coalesce(nullif(split_part(v_context, chr(10), 1), ''), 'a type, a trigger or a rule')))),
        'named_by', '[]'::jsonb));
      exit when v_cure is null;
      v_left_out := v_left_out || v_cure;
    end loop;
  end if;

  return query
  select f.value ->> 'object', f.value ->> 'problem', array(select jsonb_array_elements_text(f.value -> 'cure')),
    array(select jsonb_array_elements_text(f.value -> 'named_by')), f.value ->> 'owner'
  from jsonb_array_elements(v_found) with ordinality as f(value, nth)
  order by f.nth;
end
$preflight$;

create function pg_temp.stop_at_what_is_in_the_way()
returns void
language plpgsql
volatile
security invoker
as $preflight$
declare
  v_message text;
begin
  -- The Supabase CLI prints the message and no hint, so everything is in the message.
  select format(E'the credit system cannot be installed yet: %s in its way. Nothing has been changed. The cure, as statements:\n',
      case count(*) when 1 then 'one thing stands' else count(*) || ' things stand' end)
    || string_agg(
      format(E'\n-- %s. %s%s.\n', w.nth, w.problem, coalesce(' (run this as ' || w.run_as || ')', ''))
      || array_to_string(w.cure, E'\n')
      || coalesce(E'\n-- Named in ' || nullif(array_to_string(w.named_by, ', '), '')
        || ': change the name there too, or they reach the object of the credit system.', ''),
      '' order by w.nth)
    || E'\n\nRun them, use the new names in your code, and apply the migrations again. `sonas check` lists all this, and more, without applying anything.'
  into v_message
  from pg_temp.what_is_in_the_way() with ordinality as w(object, problem, cure, named_by, run_as, nth)
  having count(*) > 0;
  if v_message is not null then
    raise exception '%', v_message;
  end if;
end
$preflight$;

select pg_temp.stop_at_what_is_in_the_way();
drop function pg_temp.stop_at_what_is_in_the_way(), pg_temp.what_is_in_the_way();

-- schemas/installation/credits.sql

-- The core lives in a schema of its own that PostgREST never exposes, and API roles get no USAGE on
-- it: they cannot name anything in it. Policies, views and SQL-standard function bodies name things
-- when they are made, so what these call is granted function by function, and runs as its owner,
-- since what it calls in turn is named when it runs.
create schema credits;
comment on schema credits is
  'The core of the credit system: functions over one account''s rows, and the tables that no API '
  'role reads directly. Never expose it.';
revoke all on schema credits from public, anon, authenticated, service_role;

-- schemas/installation/errors.sql

-- Every error that this system raises is listed here, with its SQLSTATE (PTnnn carries the HTTP status nnn through PostgREST)
-- and a sentence for the person who meets it.
create function credits.raise_error(p_slug text, p_details jsonb default '{}', p_hint text default null)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_state text;
  v_hint text;
begin
  select e.state, e.hint into v_state, v_hint
  from (values
    ('insufficient_credits', 'PT402',
      'There are not enough credits. Upgrade the plan, buy a top-up, or wait for the renewal.'),
    ('limit_reached', 'PT402',
      'The plan''s limit is reached. Upgrade the plan or delete something that counts towards it.'),
    ('member_cap_reached', 'PT402',
      'The member''s cap is reached. Ask an owner of the workspace to raise it.'),
    ('forbidden', 'PT403',
      'The role of this member does not allow it. Ask an owner or an admin of the workspace.'),
    ('account_frozen', 'PT403', 'This account is frozen. Nothing can be spent from it.'),
    ('account_not_found', 'PT404',
      'There is no such account. Pass the id of a row in auth.users, and of a workspace that this '
      'user belongs to.'),
    ('unknown_credit_type', 'PT404',
      'There is no such credit type. credits.credit_types lists them.'),
    ('reservation_not_found', 'PT404', 'This account has no such reservation.'),
    ('operation_not_found', 'PT404', 'This account has no such operation.'),
    ('member_not_found', 'PT404', 'The workspace has no such member.'),
    ('invitation_not_found', 'PT404', 'There is no such invitation.'),
    ('unknown_operation', 'PT404',
      'The operation has no price. Set one, or name an operation of the price book.'),
    ('ledger_is_append_only', 'PT405',
      'The ledger is never changed. Book a correction with refund_credits, grant_credits or '
      'revoke_grant.'),
    ('idempotency_conflict', 'PT409',
      'This idempotency key belongs to another request. Use a new key for a new request.'),
    ('reservation_closed', 'PT409',
      'The reservation has been captured, released or has expired. Make a new one.'),
    ('last_owner', 'PT409',
      'A workspace always has an owner. Make another member an owner first, or delete it.'),
    ('invitation_used', 'PT409', 'This invitation has been used. Ask for a new one.'),
    ('invitation_expired', 'PT410', 'This invitation is no longer open. Ask for a new one.'),
    ('not_a_test_account', 'PT409',
      'Only a test account has a clock of its own. Mark it first with mark_test_account.'),
    ('invalid_amount', 'PT422',
      'An amount is a whole number of credits from 1 to 9007199254740992.'),
    ('invalid_argument', 'PT422', 'One of the arguments cannot be used; the details name it.')
  ) as e(slug, state, hint)
  where e.slug = p_slug;
  if not found then
    raise exception 'unknown error slug: %', p_slug;
  end if;
  if p_slug = 'account_frozen' then
    v_hint := credits.frozen_words();
  end if;
  raise exception using errcode = v_state, message = p_slug, detail = p_details::text, hint = coalesce(p_hint, v_hint);
end
$$;
comment on function credits.raise_error(text, jsonb, text) is
  'Raises one of the closed list of errors: SQLSTATE PTnnn, MESSAGE the slug, DETAIL a JSON object, HINT a sentence for a person.';
revoke all on function credits.raise_error(text, jsonb, text) from public, anon, authenticated, service_role;

-- schemas/plans/credit_types.sql

create table credits.credit_types (
  id text primary key,
  kind text not null,
  description text not null,
  constraint credit_types_kind_is_credit_or_limit check (kind in ('credit', 'limit')),
  constraint credit_types_id_is_a_slug check (id ~ '^[a-z][a-z0-9_]{0,62}$')
);
comment on table credits.credit_types is 'What can be metered. Credits are spent and renewed each period; a limit counts what exists.';
comment on column credits.credit_types.kind is
  '`credit`: spent, and renewed each period. `limit`: counts what exists, is never reset, and is given back on deletion.';
alter table credits.credit_types enable row level security;
revoke all on table credits.credit_types from public, anon, authenticated, service_role;
grant select on table credits.credit_types to anon, authenticated, service_role;
create policy "Everybody may read the credit types" on credits.credit_types
  for select to anon, authenticated using (true);

insert into credits.credit_types (id, kind, description) values
  ('message', 'credit', 'Project generations and chat messages'),
  ('integration', 'credit', 'API integrations and blockchain calls'),
  ('project', 'limit', 'Projects that exist');

-- schemas/plans/plans.sql

create table public.plans (
  id text primary key,
  name text not null,
  description text not null default '',
  rank integer not null,
  price_cents bigint not null,
  currency text not null default 'usd',
  is_default boolean not null default false,
  per_seat boolean not null default false,
  past_due_grace interval not null default interval '3 days',
  created_at timestamptz not null default now(),
  constraint plans_id_is_a_slug check (id ~ '^[a-z][a-z0-9_-]{0,62}$'),
  constraint plans_price_is_not_negative check (price_cents >= 0),
  constraint plans_currency_is_iso_4217 check (currency ~ '^[a-z]{3}$'),
  constraint plans_default_is_free check (not is_default or price_cents = 0),
  constraint plans_grace_is_not_negative check (past_due_grace >= interval '0')
);
create unique index plans_default_key on public.plans (is_default) where is_default;
create unique index plans_rank_key on public.plans (rank);
comment on table public.plans is 'What is on sale, one row per plan. World-readable: a pricing page reads it.';
comment on column public.plans.rank is 'Order from the smallest plan to the largest.';
comment on column public.plans.price_cents is 'Price per month in the smallest unit of the currency. A plan is paid when it is above zero.';
comment on column public.plans.is_default is 'The plan of new users, and the one whose limits apply when a paid plan is not paid for.';
comment on column public.plans.per_seat is
  'Whether a payment provider''s quantity counts as seats, each with the plan''s allowances.';
comment on column public.plans.past_due_grace is 'How long plan credits stay spendable after the subscription became past due.';
alter table public.plans enable row level security;
revoke all on table public.plans from public, anon, authenticated, service_role;
grant select on table public.plans to anon, authenticated, service_role;
create policy "Everybody may read the plans" on public.plans
  for select to anon, authenticated using (true);

-- The figures of the limits are the guide's. It names no prices: these are a starting point, change the rows to yours.
insert into public.plans (id, name, description, rank, price_cents, is_default) values
  ('free', 'Free', 'Try it out', 10, 0, true),
  ('starter', 'Starter', 'For a first product', 20, 1900, false),
  ('builder', 'Builder', 'For regular work', 30, 4900, false),
  ('pro', 'Pro', 'For professionals', 40, 9900, false),
  ('elite', 'Elite', 'For teams that never stop', 50, 19900, false);

-- schemas/plans/list_plans.sql

-- edge: result=PlanList.plans callers=service_role repeatable
--   All plans with their prices and limits, the smallest first.
create function public.list_plans()
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return jsonb_build_object('success', true, 'code', 'ok', 'plans', (
    select jsonb_agg(jsonb_build_object(
      'id', p.id, 'name', p.name, 'description', p.description, 'rank', p.rank, 'price_cents', p.price_cents,
      'currency', p.currency, 'prices', credits.plan_prices(p.id), 'per_seat', p.per_seat, 'is_default', p.is_default, 'version', credits.latest_version(p.id), 'limits', (
        select coalesce(jsonb_agg(jsonb_build_object('credit_type', l.credit_type, 'kind', t.kind, 'allowance', l.allowance,
          'unlimited', l.allowance is null, 'rollover_cap', l.rollover_cap) order by l.credit_type), '[]')
        from public.plan_limits l
        join credits.credit_types t on t.id = l.credit_type
        where l.plan_id = p.id)) order by p.rank)
    from public.plans p));
end
$$;
comment on function public.list_plans() is 'All plans with their prices and limits, the smallest first: what a pricing page shows.';
revoke all on function public.list_plans() from public, anon, authenticated, service_role;
grant execute on function public.list_plans() to service_role;

-- schemas/plans/plan_limits.sql

create table public.plan_limits (
  plan_id text not null constraint plan_limits_plan_id_fkey references public.plans (id) on update cascade on delete cascade,
  credit_type text not null constraint plan_limits_credit_type_fkey references credits.credit_types (id),
  allowance bigint,
  rollover_cap bigint not null default 0,
  constraint plan_limits_pkey primary key (plan_id, credit_type),
  constraint plan_limits_allowance_is_whole_credits check (allowance between 0 and 9007199254740992),
  constraint plan_limits_rollover_cap_is_whole_credits check (rollover_cap between 0 and 9007199254740992)
);
comment on table public.plan_limits is 'What a plan includes of each credit type, as it is on sale now: a change makes a new version of the plan. A missing row means none.';
comment on column public.plan_limits.allowance is
  'Whole credits per period, or how many may exist for a limit. Null is unlimited. A new figure counts from an account''s next period, a limit at once.';
comment on column public.plan_limits.rollover_cap is
  'How many unspent credits of the allowance move into the next period, at whose end they expire.';
alter table public.plan_limits enable row level security;
revoke all on table public.plan_limits from public, anon, authenticated, service_role;
grant select on table public.plan_limits to anon, authenticated, service_role;
create policy "Everybody may read the plan limits" on public.plan_limits
  for select to anon, authenticated using (true);

insert into public.plan_limits (plan_id, credit_type, allowance) values
  ('free', 'message', 10), ('free', 'integration', 100), ('free', 'project', 3),
  ('starter', 'message', 100), ('starter', 'integration', 2000), ('starter', 'project', null),
  ('builder', 'message', 250), ('builder', 'integration', 10000), ('builder', 'project', null),
  ('pro', 'message', 500), ('pro', 'integration', 20000), ('pro', 'project', null),
  ('elite', 'message', 1200), ('elite', 'integration', 50000), ('elite', 'project', null);

-- schemas/plans/plan_versions.sql

-- What a plan gives has versions. The figures on sale are rows of plan_limits; whoever changes them, by whatever
-- statement, makes a new version, and each account takes it at its next period.

create table credits.plan_versions (
  plan_id text not null,
  version integer not null,
  made_at timestamptz not null,
  made_by xid8 not null,
  constraint plan_versions_pkey primary key (plan_id, version),
  constraint plan_versions_count_from_one check (version > 0)
);
comment on table credits.plan_versions is
  'Every version that a plan has had. Kept when the plan is gone: past periods are judged by it.';
comment on column credits.plan_versions.version is '1, 2, 3 … per plan; the largest is on sale.';
comment on column credits.plan_versions.made_by is
  'The transaction that made it: until it ends, its further changes of the plan go into the same version.';
alter table credits.plan_versions enable row level security;
revoke all on table credits.plan_versions from public, anon, authenticated, service_role;

create table credits.plan_version_limits (
  plan_id text not null,
  version integer not null,
  credit_type text not null,
  allowance bigint,
  rollover_cap bigint not null,
  constraint plan_version_limits_pkey primary key (plan_id, version, credit_type)
);
comment on table credits.plan_version_limits is 'The plan_limits of each version. Never changed.';
comment on column credits.plan_version_limits.allowance is 'As in plan_limits: null is unlimited.';
alter table credits.plan_version_limits enable row level security;
revoke all on table credits.plan_version_limits from public, anon, authenticated, service_role;

create function credits.refuse_version_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op <> 'TRUNCATE' and exists (
    select 1 from credits.plan_versions v
    where v.plan_id = old.plan_id and v.version = old.version and v.made_by = pg_current_xact_id()) then
    return old;
  end if;
  raise exception 'a version of a plan is never changed'
    using errcode = 'object_not_in_prerequisite_state', hint = 'Change plan_limits: that makes a new version.';
end
$$;
comment on function credits.refuse_version_change() is
  'Keeps versions of plans as they were, but for the transaction that is making one.';
revoke all on function credits.refuse_version_change() from public, anon, authenticated, service_role;
create trigger plan_version_limits_are_kept before update or delete on credits.plan_version_limits
  for each row execute function credits.refuse_version_change();
create trigger plan_version_limits_are_not_truncated before truncate on credits.plan_version_limits
  for each statement execute function credits.refuse_version_change();
create trigger plan_versions_are_kept before update or delete on credits.plan_versions
  for each row execute function credits.refuse_version_change();
create trigger plan_versions_are_not_truncated before truncate on credits.plan_versions
  for each statement execute function credits.refuse_version_change();

create function credits.version_is_on_sale(p_plan_id text, p_version integer)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return not exists (
    (select l.credit_type, l.allowance, l.rollover_cap from public.plan_limits l where l.plan_id = p_plan_id
      except
      select v.credit_type, v.allowance, v.rollover_cap from credits.plan_version_limits v
      where v.plan_id = p_plan_id and v.version = p_version)
    union all
    (select v.credit_type, v.allowance, v.rollover_cap from credits.plan_version_limits v
      where v.plan_id = p_plan_id and v.version = p_version
      except
      select l.credit_type, l.allowance, l.rollover_cap from public.plan_limits l where l.plan_id = p_plan_id));
end
$$;
comment on function credits.version_is_on_sale(text, integer) is 'Whether a version has the figures of plan_limits.';
revoke all on function credits.version_is_on_sale(text, integer) from public, anon, authenticated, service_role;

create function credits.latest_version(p_plan_id text)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select v.version from credits.plan_versions v where v.plan_id = p_plan_id order by v.version desc limit 1);
end
$$;
comment on function credits.latest_version(text) is 'The version of a plan that is on sale.';
revoke all on function credits.latest_version(text) from public, anon, authenticated, service_role;

create function credits.make_plan_version(p_plan_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_last integer;
  v_is_ours boolean;
  v_now timestamptz := clock_timestamp();
begin
  -- One at a time per plan. It keeps no subscriber waiting: those take a key share lock.
  perform 1 from public.plans p where p.id = p_plan_id for no key update;
  if not found then
    return;
  end if;
  select v.version, v.made_by = pg_current_xact_id() into v_last, v_is_ours
  from credits.plan_versions v where v.plan_id = p_plan_id order by v.version desc limit 1;
  if v_last is not null and credits.version_is_on_sale(p_plan_id, v_last) then
    return;
  end if;
  if v_is_ours then
    delete from credits.plan_version_limits l where l.plan_id = p_plan_id and l.version = v_last;
    if v_last > 1 and credits.version_is_on_sale(p_plan_id, v_last - 1) then
      delete from credits.plan_versions v where v.plan_id = p_plan_id and v.version = v_last;
      return;
    end if;
  else
    v_last := coalesce(v_last, 0) + 1;
    insert into credits.plan_versions (plan_id, version, made_at, made_by)
    values (p_plan_id, v_last, v_now, pg_current_xact_id());
  end if;
  insert into credits.plan_version_limits (plan_id, version, credit_type, allowance, rollover_cap)
  select p_plan_id, v_last, l.credit_type, l.allowance, l.rollover_cap
  from public.plan_limits l where l.plan_id = p_plan_id;
end
$$;
comment on function credits.make_plan_version(text) is
  'Makes the figures of plan_limits the newest version: one per plan and transaction, none when nothing has changed.';
revoke all on function credits.make_plan_version(text) from public, anon, authenticated, service_role;

create function credits.record_limit_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'TRUNCATE' then
    perform credits.make_plan_version(p.id) from (select x.id from public.plans x order by x.id) p;
    return null;
  end if;
  if tg_op <> 'INSERT' then
    perform credits.make_plan_version(old.plan_id);
  end if;
  if tg_op = 'INSERT' or tg_op = 'UPDATE' and new.plan_id <> old.plan_id then
    perform credits.make_plan_version(new.plan_id);
  end if;
  return null;
end
$$;
comment on function credits.record_limit_change() is 'Makes a version of a changed plan, from wherever the change comes.';
revoke all on function credits.record_limit_change() from public, anon, authenticated, service_role;
create trigger plan_limits_make_version after insert or update or delete on public.plan_limits
  for each row execute function credits.record_limit_change();
create trigger plan_limits_make_versions after truncate on public.plan_limits
  for each statement execute function credits.record_limit_change();

do $$
begin
  perform credits.make_plan_version(p.id) from public.plans p;
end
$$;

create function credits.plan_figure(
  p_plan_id text, p_version integer, p_credit_type text,
  out is_included boolean, out allowance bigint, out rollover_cap bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- What the account's own version does not know is new to the plan, and counts at once.
  select true, l.allowance, l.rollover_cap into is_included, allowance, rollover_cap
  from credits.plan_version_limits l
  where l.plan_id = p_plan_id and l.credit_type = p_credit_type
    and l.version in (p_version, (select credits.latest_version(p_plan_id)))
  order by l.version = p_version desc limit 1;
  if not found then
    is_included := false;
    allowance := 0;
    rollover_cap := 0;
  end if;
end
$$;
comment on function credits.plan_figure(text, integer, text) is
  'What a version of a plan gives of a credit type. Terms that cannot be found give nothing.';
revoke all on function credits.plan_figure(text, integer, text) from public, anon, authenticated, service_role;

-- schemas/accounts/settings.sql

create table credits.settings (
  only_row boolean primary key default true,
  upgrade_url text not null default '/pricing',
  support_contact text,
  identity_by text not null default 'email',
  anonymous_credits text not null default 'none',
  workspace_credits text not null default 'none',
  stored_body_bytes integer not null default 16384,
  stored_answer_retention interval not null default '24 hours',
  stored_bodies_per_account integer not null default 1000,
  alert_percents integer[] not null default '{50,80,100}',
  message_retention interval not null default '30 days',
  constraint settings_identity_is_by_email_or_person check (identity_by in ('email', 'person')),
  constraint settings_anonymous_credits_are_none_or_free check (anonymous_credits in ('none', 'free')),
  constraint settings_workspace_credits_are_none_or_free check (workspace_credits in ('none', 'free')),
  on_cancel text not null default 'keep',
  constraint settings_on_cancel_keeps_or_voids check (on_cancel in ('keep', 'void')),
  pause text not null default 'provisional',
  billing_body_retention interval not null default '90 days',
  constraint settings_pause_is_provisional_or_none check (pause in ('provisional', 'none')),
  constraint settings_billing_bodies_are_kept_for_a_while check (billing_body_retention >= '0'),
  constraint settings_has_one_row check (only_row),
  constraint settings_stored_body_bytes_are_up_to_a_mebibyte
    check (stored_body_bytes between 0 and 1048576),
  constraint settings_stored_answers_are_kept_for_a_while
    check (stored_answer_retention > '0'),
  constraint settings_stored_bodies_per_account_are_some
    check (stored_bodies_per_account between 1 and 1000000),
  constraint settings_alert_percents_are_shares
    check (1 <= all (alert_percents) and 100 >= all (alert_percents)),
  constraint settings_messages_are_kept_for_ten_days_at_least check (message_retention >= '10 days')
);
comment on table credits.settings is 'What the edge functions need to know about the app around them. One row.';
comment on column credits.settings.upgrade_url is 'Where a denial sends people who want more credits.';
comment on column credits.settings.stored_body_bytes is
  'The largest body of an HTTP answer that is kept for a repeat under the same Idempotency-Key.';
comment on column credits.settings.stored_answer_retention is
  'How long an HTTP answer is kept for a repeat under the same Idempotency-Key.';
comment on column credits.settings.stored_bodies_per_account is
  'How many answers of one account are kept with their bodies; the older ones count as given.';
comment on column credits.settings.alert_percents is
  'At which shares used people are warned, unless their account says otherwise.';
comment on column credits.settings.message_retention is
  'How long messages are kept that were delivered or given up, and notifications.';
comment on column credits.settings.support_contact is
  'Whom people write to about an account that is frozen: an e-mail address or the address of a page.';
comment on column credits.settings.identity_by is
  'What makes two accounts the same person''s: the e-mail as it is, or (person) without plus-tags and dots that do not matter.';
comment on column credits.settings.anonymous_credits is
  'Whether anonymous sign-ins have the free plan''s credits. They have its limits, and get its credits on becoming permanent.';
comment on column credits.settings.workspace_credits is
  'Whether a workspace on the free plan has its credits, beside those of its members. It has its limits.';
comment on column credits.settings.on_cancel is
  'What a cancellation does to the paid plan credits: keep them to the end that was paid for, or void them at once.';
comment on column credits.settings.pause is
  'What a subscription gets whose invoices are not collected for a while: the one provisional '
  'period, or none.';
comment on column credits.settings.billing_body_retention is
  'How long a payment provider''s events are kept as they were received.';
alter table credits.settings enable row level security;
revoke all on table credits.settings from public, anon, authenticated, service_role;
grant select on table credits.settings to authenticated, service_role;
create policy "Signed-in users may read the settings" on credits.settings
  for select to authenticated using (true);
insert into credits.settings default values;

-- schemas/accounts/accounts.sql

create table credits.accounts (
  account_id uuid primary key,
  kind text not null,
  status text not null default 'active',
  is_test boolean not null default false,
  is_elsewhere boolean not null default false,
  free_credits text not null default 'own',
  test_now timestamptz,
  frozen_reason text,
  created_at timestamptz not null default now(),
  closed_at timestamptz,
  constraint accounts_kind_is_person_or_workspace check (kind in ('person', 'workspace')),
  constraint accounts_status_is_active_frozen_or_closed check (status in ('active', 'frozen', 'closed')),
  constraint accounts_free_credits_are_own_or_withheld_for_a_reason
    check (free_credits in ('own', 'anonymous', 'other_account')),
  constraint accounts_closed_has_a_time check ((status = 'closed') = (closed_at is not null)),
  constraint accounts_only_test_accounts_have_a_clock check (is_test or test_now is null)
);
create index accounts_closed_at_idx on credits.accounts (closed_at) where closed_at is not null;
comment on table credits.accounts is
  'Who owns credits: a person (account_id is the auth user''s id) or a workspace (account_id is the workspace''s id). Deleting the user closes the account and keeps its ledger.';
comment on column credits.accounts.is_elsewhere is
  'Opened by open_account for an id that has no row in auth.users here, and therefore not gone without one.';
comment on column credits.accounts.free_credits is
  'own: the default plan''s allowance is its own. Else why it has none: its person is anonymous, or has another open account.';
comment on column credits.accounts.test_now is 'The time of a test account, moved by set_test_clock; null follows the real clock.';
alter table credits.accounts enable row level security;
revoke all on table credits.accounts from public, anon, authenticated, service_role;

-- schemas/accounts/workspaces.sql

create table public.credit_workspaces (
  account_id uuid primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  constraint credit_workspaces_name_is_not_empty check (name <> '')
);
comment on table public.credit_workspaces is
  'Teams that share one pool of credits. The workspace''s id is the id of its account.';
alter table public.credit_workspaces enable row level security;
revoke all on table public.credit_workspaces from public, anon, authenticated, service_role;
grant select on table public.credit_workspaces to authenticated, service_role;

create table public.credit_workspace_members (
  account_id uuid not null constraint credit_workspace_members_account_id_fkey
    references public.credit_workspaces (account_id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member',
  created_at timestamptz not null default now(),
  constraint credit_workspace_members_pkey primary key (account_id, user_id),
  constraint credit_workspace_members_role_is_known check (role in ('owner', 'admin', 'member',
    'viewer'))
);
create index credit_workspace_members_user_id_idx on public.credit_workspace_members (user_id);
comment on table public.credit_workspace_members is
  'Who is in a workspace, and as what: a viewer reads, a member spends, an admin and an owner '
  'oversee it.';
comment on column public.credit_workspace_members.account_id is 'The workspace.';
alter table public.credit_workspace_members enable row level security;
revoke all on table public.credit_workspace_members from public, anon, authenticated, service_role;
grant select on table public.credit_workspace_members to authenticated, service_role;

-- Every policy compares the account with this array, which makes it an index condition, asked for
-- once. The cost says that it is dear, so that no plan reads other people's rows in some order and
-- asks for each.
create function credits.reader_id()
returns uuid
language sql
stable
security definer
set search_path = ''
as $$
  select auth.uid()
$$;
comment on function credits.reader_id() is
  'The signed-in user, for the row level security policies.';
revoke all on function credits.reader_id() from public, anon, authenticated, service_role;
grant execute on function credits.reader_id() to authenticated;

create function credits.readable_ids()
returns uuid[]
language plpgsql
stable
security definer
cost 10000
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
begin
  return array(
    select v_user_id
    union all
    select m.account_id from public.credit_workspace_members m where m.user_id = v_user_id);
end
$$;
comment on function credits.readable_ids() is
  'The accounts whose plan and balance the signed-in user may read: their own and those of their '
  'workspaces.';
revoke all on function credits.readable_ids() from public, anon, authenticated, service_role;
grant execute on function credits.readable_ids() to authenticated;

create function credits.overseen_ids()
returns uuid[]
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
begin
  return array(
    select v_user_id
    union all
    select m.account_id from public.credit_workspace_members m
    where m.user_id = v_user_id and m.role in ('owner', 'admin'));
end
$$;
comment on function credits.overseen_ids() is
  'The accounts of which the signed-in user may read what everybody did: their own, and the '
  'workspaces that they own or administer.';
revoke all on function credits.overseen_ids() from public, anon, authenticated, service_role;
grant execute on function credits.overseen_ids() to authenticated;

create function credits.only_actor(p_account_id uuid, p_user_id uuid)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_user_id = p_account_id or exists (
    select 1 from public.credit_workspace_members m
    where m.account_id = p_account_id and m.user_id = p_user_id
      and m.role in ('owner', 'admin')) then
    return null;
  end if;
  return p_user_id;
end
$$;
comment on function credits.only_actor(uuid, uuid) is
  'Whose acts on an account a reader sees: null for everybody''s, where they oversee it, else the '
  'reader''s own.';
revoke all on function credits.only_actor(uuid, uuid) from public, anon, authenticated,
  service_role;

create policy "Members may read their workspaces" on public.credit_workspaces
  for select to authenticated using (account_id = any (credits.readable_ids()));
create policy "Members may read who else is a member" on public.credit_workspace_members
  for select to authenticated using (account_id = any (credits.readable_ids()));

-- schemas/accounts/subscriptions.sql

-- What an account has subscribed to is a list of events, each with the time at which it happened, however late it was
-- heard of. Sorted by that time they are folded (calendar/fold_subscription.sql) into spells: from when on which plan, which
-- status, which periods. Everything else asks the spells. public.subscriptions shows the spell of this moment.

create table credits.subscriptions (
  account_id uuid not null constraint subscriptions_account_id_fkey references credits.accounts (account_id),
  user_id uuid,
  is_managed boolean not null default false,
  covered_until timestamptz,
  pinned_plan_id text,
  pinned_version integer,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint subscriptions_pkey primary key (account_id),
  constraint subscriptions_covered_ones_are_managed check (is_managed or covered_until is null),
  constraint subscriptions_pinned_plan_has_a_version check ((pinned_plan_id is null) = (pinned_version is null))
);
comment on table credits.subscriptions is 'What holds for a subscription at all times. One row per account.';
comment on column credits.subscriptions.user_id is 'The person; null for a workspace.';
comment on column credits.subscriptions.is_managed is
  'A payment provider says which periods are paid: covered_until. Of others a status of active says it.';
comment on column credits.subscriptions.covered_until is
  'Paid up to here. One period beyond it is granted provisionally, no more.';
comment on column credits.subscriptions.pinned_version is 'The version of pinned_plan_id that the account keeps.';
alter table credits.subscriptions enable row level security;
revoke all on table credits.subscriptions from public, anon, authenticated, service_role;
grant select on table credits.subscriptions to authenticated, service_role;
create policy "Users may read what they subscribed to" on credits.subscriptions
  for select to authenticated using (account_id = any (credits.readable_ids()));

create table credits.subscription_events (
  account_id uuid not null constraint subscription_events_account_id_fkey references credits.accounts (account_id),
  n bigint not null,
  kind text not null,
  happened_at timestamptz not null,
  recorded_at timestamptz not null,
  plan_id text,
  plan_version integer,
  quantity integer,
  at_period_end boolean,
  status text,
  ends_at timestamptz,
  keeps_paid boolean,
  time_zone text,
  constraint subscription_events_pkey primary key (account_id, n),
  constraint subscription_events_kind_is_known
    check (kind in ('opened', 'plan', 'version', 'status', 'time_zone', 'period')),
  constraint subscription_events_happened_at_some_time check (isfinite(happened_at) and isfinite(ends_at)),
  constraint subscription_events_plans_have_a_name
    check ((kind in ('opened', 'plan', 'version')) = (plan_id is not null)),
  constraint subscription_events_plans_come_now_or_at_the_end check ((kind = 'plan') = (at_period_end is not null)),
  constraint subscription_events_have_a_status check ((kind = 'status') = (status is not null)),
  constraint subscription_events_status_is_known
    check (status in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'canceled')),
  constraint subscription_events_trials_end
    check (case when status = 'trialing' then ends_at > happened_at else ends_at is null or status = 'canceled' end),
  constraint subscription_events_cancellations_say_what_is_kept check ((status = 'canceled') is not true or keeps_paid is not null),
  constraint subscription_events_zones_have_a_name check ((kind = 'time_zone') = (time_zone is not null)),
  constraint subscription_events_quantity_is_seats check (quantity between 1 and 1000000)
);
comment on table credits.subscription_events is
  'All that happened to a subscription. Rows are added, never changed; their order is happened_at, then n.';
comment on column credits.subscription_events.happened_at is 'When it happened, in the account''s time.';
comment on column credits.subscription_events.recorded_at is 'When it was heard of, in the account''s time.';
comment on column credits.subscription_events.ends_at is 'End of a trial, or when a cancellation takes effect.';
alter table credits.subscription_events enable row level security;
revoke all on table credits.subscription_events from public, anon, authenticated, service_role;

create table credits.subscription_spells (
  account_id uuid not null constraint subscription_spells_account_id_fkey references credits.accounts (account_id),
  revision bigint not null,
  n integer not null,
  event_n bigint not null,
  started_at timestamptz not null,
  plan_id text not null,
  plan_version integer,
  versioned_at timestamptz,
  quantity integer not null,
  status text not null,
  is_frozen boolean not null,
  is_earning boolean not null,
  forfeited_at timestamptz,
  is_whole boolean not null,
  anchor_at timestamptz not null,
  anchored_by integer not null,
  anchored_from timestamptz not null,
  time_zone text not null,
  past_due_since timestamptz,
  paused_since timestamptz,
  trial_ends_at timestamptz,
  pending_plan_id text,
  pending_at timestamptz,
  replaced_at timestamptz,
  constraint subscription_spells_pkey primary key (account_id, revision, n),
  constraint subscription_spells_status_is_known
    check (status in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'canceled')),
  constraint subscription_spells_trials_end check ((status = 'trialing') = (trial_ends_at is not null)),
  constraint subscription_spells_paused_ones_are_frozen_since_then
    check (status <> 'paused' or is_frozen and paused_since is not null),
  constraint subscription_spells_owing_ones_owe_since_then
    check (status not in ('past_due', 'unpaid') or past_due_since is not null),
  constraint subscription_spells_frozen_for_a_reason
    check (not is_frozen or paused_since is not null or past_due_since is not null),
  constraint subscription_spells_frozen_ones_earn_nothing check (not (is_frozen and is_earning) or replaced_at is not null
    or past_due_since is not null or paused_since is not null),
  constraint subscription_spells_pending_plan_has_a_time check ((pending_plan_id is null) = (pending_at is null))
);
create unique index subscription_spells_n_key on credits.subscription_spells (account_id, n) where replaced_at is null;
create index subscription_spells_started_at_idx on credits.subscription_spells (account_id, started_at, n)
  where replaced_at is null;
create index subscription_spells_plan_id_idx on credits.subscription_spells (plan_id) where replaced_at is null;
comment on table credits.subscription_spells is
  'The events of a subscription, folded: each row holds from started_at until the next row''s. What later news replaced is kept.';
comment on column credits.subscription_spells.event_n is 'The event that it began with, or the last one before time alone began it.';
comment on column credits.subscription_spells.versioned_at is
  'From when on plan_version counts, until the end of that period; then the newest version does.';
comment on column credits.subscription_spells.is_earning is 'Whether the plan''s allowance comes due in this spell.';
comment on column credits.subscription_spells.forfeited_at is
  'From when on it does not count any more: the account left without having paid for the period, or to leave nothing.';
comment on column credits.subscription_spells.is_whole is
  'Its allowance counts in full, not for the share of the period left: what is due to an account that left without paying.';
comment on column credits.subscription_spells.anchored_by is 'Which anchor this is, counted from 1: each one starts a new period.';
comment on column credits.subscription_spells.anchored_from is 'The first instant whose periods follow this anchor and zone.';
alter table credits.subscription_spells enable row level security;
revoke all on table credits.subscription_spells from public, anon, authenticated, service_role;

create function credits.refuse_event_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  raise exception 'what happened to a subscription is never changed'
    using errcode = 'object_not_in_prerequisite_state', hint = 'Record what happened since, with its time.';
end
$$;
comment on function credits.refuse_event_change() is 'Keeps the events of subscriptions as they were recorded.';
revoke all on function credits.refuse_event_change() from public, anon, authenticated, service_role;
create trigger subscription_events_are_kept before update or delete or truncate on credits.subscription_events
  for each statement execute function credits.refuse_event_change();

create function credits.plan_is_used()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- The row is locked by now: a subscriber that was on the way in has arrived, or finds no plan.
  if exists (
    select 1 from credits.subscription_spells s
    where s.replaced_at is null and old.id in (s.plan_id, s.pending_plan_id)
      and not exists (
        select 1 from credits.subscription_spells n
        where n.account_id = s.account_id and n.n = s.n + 1 and n.replaced_at is null
          and n.started_at <= coalesce(
            (select a.test_now from credits.accounts a where a.account_id = s.account_id), clock_timestamp()))) then
    raise exception 'the plan % has subscribers', old.id
      using errcode = 'foreign_key_violation', hint = 'Move them with change_plan first.';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end
$$;
comment on function credits.plan_is_used() is
  'Keeps a plan that accounts are on. A trigger instead of a foreign key: keys of an account''s tables never leave the account.';
revoke all on function credits.plan_is_used() from public, anon, authenticated, service_role;
create trigger plans_keep_subscribed before delete on public.plans
  for each row execute function credits.plan_is_used();
create trigger plans_keep_subscribed_id before update of id on public.plans
  for each row when (old.id <> new.id) execute function credits.plan_is_used();

-- schemas/accounts/account_answer.sql

create function credits.account_answer(p_account_id uuid, p_operation_id uuid default null)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', p_operation_id, 'credit_type', null, 'amount', null, 'remaining', null,
    'limit', null, 'used', null, 'reserved', null, 'unlimited', null,
    'period_end', (select max(n.period_end) from public.credit_balances n where n.account_id = p_account_id),
    'replayed', false, 'balances', coalesce(credits.balances_of(p_account_id), '[]'))
$$;
comment on function credits.account_answer(uuid, uuid) is
  'The answer of an operation on a whole account: what belongs to one credit type is null, balances has all of them.';
revoke all on function credits.account_answer(uuid, uuid) from public, anon, authenticated, service_role;

-- schemas/accounts/close_account.sql

-- An account ends with its person or workspace. From that instant it spends nothing: each spend asks whether they exist
-- (credits.living_accounts). What else has to be done is done here, at once where no transaction is in the way, and by the
-- job otherwise: a deletion neither fails nor waits because of credits.

create table credits.accounts_to_follow (
  account_id uuid not null,
  noticed_at timestamptz not null default now(),
  constraint accounts_to_follow_pkey primary key (account_id)
);
comment on table credits.accounts_to_follow is
  'Accounts whose person or workspace has left, come back or changed while the account was busy. The job works them off.';
alter table credits.accounts_to_follow enable row level security;
revoke all on table credits.accounts_to_follow from public, anon, authenticated, service_role;

create function credits.close_account(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  perform credits.release_open_holds(p_account_id, null, 'the account was closed');
  perform credits.give_deleted_rows_back(p_account_id);
  perform credits.end_plan(p_account_id);
  update credits.accounts a set status = 'closed', closed_at = v_now
  where a.account_id = p_account_id and a.status <> 'closed';
  update credits.balances b set account_status = 'closed' where b.account_id = p_account_id;
  perform credits.leave_workspaces(p_account_id);
  perform credits.pass_identities_on(p_account_id);
end
$$;
comment on function credits.close_account(uuid) is
  'Closes an account and keeps its ledger: releases its holds, ends its plan like a cancellation, takes the person out of workspaces.';
revoke all on function credits.close_account(uuid) from public, anon, authenticated, service_role;

create function credits.end_plan(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_event credits.subscription_events;
  v_at timestamptz := credits.account_time(p_account_id);
begin
  select 'plan', v_at, p.id, credits.latest_version(p.id), false
    into v_event.kind, v_event.happened_at, v_event.plan_id, v_event.plan_version, v_event.at_period_end
  from public.plans p where p.is_default;
  if (credits.spell_at(p_account_id, v_at)).plan_id <> v_event.plan_id then
    perform credits.record_event(p_account_id, v_event, v_at);
    perform credits.lock_account(p_account_id);
  end if;
end
$$;
comment on function credits.end_plan(uuid) is 'Ends a plan that is paid for, like a cancellation that takes effect now.';
revoke all on function credits.end_plan(uuid) from public, anon, authenticated, service_role;

create function credits.reopen_account(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_status text;
begin
  perform 1 from credits.balances b where b.account_id = p_account_id order by b.credit_type for no key update;
  -- One that was frozen comes back frozen, and one that was forgotten never does.
  update credits.accounts a set
    status = case when a.frozen_reason is null then 'active' else 'frozen' end, closed_at = null
  where a.account_id = p_account_id and a.status = 'closed'
    and not exists (select 1 from credits.forgotten_accounts f where f.account_id = p_account_id)
  returning a.status into v_status;
  if found then
    update credits.balances b set account_status = v_status, due_at = '-infinity' where b.account_id = p_account_id;
  end if;
end
$$;
comment on function credits.reopen_account(uuid) is
  'Gives an id that came back its account, with what it had bought. Does nothing for an account that is open or was forgotten.';
revoke all on function credits.reopen_account(uuid) from public, anon, authenticated, service_role;

create function credits.leave_workspaces(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- The row of a workspace comes before all that belongs to it.
  perform 1 from public.credit_workspaces w
  where w.account_id in (
    select m.account_id from public.credit_workspace_members m where m.user_id = p_account_id)
  order by w.account_id for no key update;
  delete from public.credit_workspace_members m where m.user_id = p_account_id;
end
$$;
comment on function credits.leave_workspaces(uuid) is 'Takes a person out of all workspaces, which releases their holds there.';
revoke all on function credits.leave_workspaces(uuid) from public, anon, authenticated, service_role;

create function credits.release_open_holds(p_account_id uuid, p_user_id uuid, p_reason text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_hold public.credit_reservations;
begin
  for v_balance in select * from credits.lock_account(p_account_id) loop
    for v_hold in
      select r.* from public.credit_reservations r
      where r.account_id = p_account_id and r.credit_type = v_balance.credit_type and r.status = 'open'
        and (p_user_id is null or r.user_id = p_user_id)
      order by r.id
    loop
      v_balance := credits.close_hold(p_account_id, v_balance, v_hold, p_reason);
    end loop;
  end loop;
end
$$;
comment on function credits.release_open_holds(uuid, uuid, text) is
  'Releases all holds of an account, or those of one person, also when the account is gone.';
revoke all on function credits.release_open_holds(uuid, uuid, text) from public, anon, authenticated, service_role;

create function credits.release_holds_of_removed_member()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- A workspace that is gone releases all its holds. Who is in it again keeps them.
  if exists (
    select 1 from public.credit_reservations r
    where r.account_id = old.account_id and r.user_id = old.user_id and r.status = 'open')
    and credits.is_living(old.account_id)
    and not exists (
      select 1 from public.credit_workspace_members m
      where m.account_id = old.account_id and m.user_id = old.user_id) then
    perform credits.release_open_holds(old.account_id, old.user_id, 'the member was removed');
  end if;
  return null;
end
$$;
comment on function credits.release_holds_of_removed_member() is 'Removing a member releases what they hold of the workspace.';
revoke all on function credits.release_holds_of_removed_member() from public, anon, authenticated, service_role;
create trigger credit_workspace_members_release_holds after delete on public.credit_workspace_members
  for each row execute function credits.release_holds_of_removed_member();

create function credits.pass_ownership_on()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- A person may leave for good without asking (their user is deleted): the member of the highest
  -- role who is there the longest follows.
  if old.role = 'owner' and credits.is_living(old.account_id) and not exists (
    select 1 from public.credit_workspace_members m
    where m.account_id = old.account_id and m.role = 'owner') then
    update public.credit_workspace_members m set role = 'owner'
    where m.account_id = old.account_id and m.user_id = (
      select o.user_id from public.credit_workspace_members o
      where o.account_id = old.account_id
      order by array_position('{admin,member,viewer}'::text[], o.role), o.created_at, o.user_id
      limit 1);
  end if;
  return null;
end
$$;
comment on function credits.pass_ownership_on() is
  'Makes another member the owner when the last one is gone.';
revoke all on function credits.pass_ownership_on() from public, anon, authenticated, service_role;
create trigger credit_workspace_members_pass_ownership_on after delete
  on public.credit_workspace_members for each row execute function credits.pass_ownership_on();

create function credits.follow_account(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_status text;
begin
  select a.status into v_status from credits.accounts a where a.account_id = p_account_id;
  if v_status <> 'closed' and not credits.is_living(p_account_id) then
    perform credits.close_account(p_account_id);
  elsif v_status = 'closed' and credits.is_living(p_account_id) then
    perform credits.reopen_account(p_account_id);
  end if;
  if credits.is_living(p_account_id) then
    perform credits.remember_identities(p_account_id);
    perform credits.decide_free_credits(p_account_id);
  elsif v_status = 'closed' then
    perform credits.give_deleted_rows_back(p_account_id);
  end if;
end
$$;
comment on function credits.follow_account(uuid) is
  'Brings an account in line with its person or workspace: closes it where they are gone, reopens it where they are back, and gives free credits that they are due by now. Safe to repeat.';
revoke all on function credits.follow_account(uuid) from public, anon, authenticated, service_role;

create function credits.follow_at_once(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
-- Nothing is waited for: whoever deletes a user may hold what a spend wants, while the spend holds the account.
set lock_timeout = '1ms'
as $$
begin
  begin
    perform credits.follow_account(p_account_id);
  exception when others then
    insert into credits.accounts_to_follow (account_id) values (p_account_id) on conflict (account_id) do nothing;
  end;
exception when others then
  raise warning 'credits: account % could not be brought in line with its user: % (%)', p_account_id, sqlerrm, sqlstate;
end
$$;
comment on function credits.follow_at_once(uuid) is
  'Brings an account in line with its person or workspace, or leaves that to the job where the account is busy. Waits for no lock and raises nothing.';
revoke all on function credits.follow_at_once(uuid) from public, anon, authenticated, service_role;

create function credits.follow_waiting_accounts(p_limit integer default 100)
returns integer
language plpgsql
volatile
security invoker
set search_path = ''
set lock_timeout = '1ms'
as $$
declare
  v_account_id uuid;
  v_count integer := 0;
begin
  for v_account_id in
    select f.account_id from credits.accounts_to_follow f order by f.account_id limit p_limit for update skip locked
  loop
    begin
      perform credits.follow_account(v_account_id);
      delete from credits.accounts_to_follow f where f.account_id = v_account_id;
      v_count := v_count + 1;
    exception when others then
      raise warning 'credits: account % could not be brought in line with its user: % (%)', v_account_id, sqlerrm, sqlstate;
    end;
  end loop;
  return v_count;
end
$$;
comment on function credits.follow_waiting_accounts(integer) is
  'Works off accounts whose person or workspace changed while they were busy. Answers how many.';
revoke all on function credits.follow_waiting_accounts(integer) from public, anon, authenticated, service_role;

create function credits.tend_accounts()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.follow_waiting_accounts();
  perform credits.return_dropped_tables();
  perform credits.drop_old_identities();
end
$$;
comment on function credits.tend_accounts() is
  'The part of the job that is about accounts: follows what users and workspaces did while accounts were busy, gives back rows of dropped tables, and drops old identities. Bounded.';
revoke all on function credits.tend_accounts() from public, anon, authenticated, service_role;

create function credits.follow_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.follow_at_once(coalesce(new.id, old.id));
  return null;
end
$$;
comment on function credits.follow_user() is
  'Follows what becomes of a user: deleted, also softly, come back, under another e-mail, no longer anonymous. Never blocks it.';
revoke all on function credits.follow_user() from public, anon, authenticated, service_role;
-- At the end of the transaction, when all that goes with the user is gone as well.
create constraint trigger credits_close_account after delete on auth.users
  deferrable initially deferred for each row execute function credits.follow_user();
create constraint trigger credits_follow_user
  after update of deleted_at, email, phone, is_anonymous on auth.users
  deferrable initially deferred for each row
  when ((old.deleted_at, old.email, old.phone, old.is_anonymous)
    is distinct from (new.deleted_at, new.email, new.phone, new.is_anonymous))
  execute function credits.follow_user();

create function credits.follow_workspace()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.follow_at_once(old.account_id);
  return null;
end
$$;
comment on function credits.follow_workspace() is 'Closes the account of a workspace that is deleted.';
revoke all on function credits.follow_workspace() from public, anon, authenticated, service_role;
create constraint trigger credit_workspaces_follow_deleted after delete on public.credit_workspaces
  deferrable initially deferred for each row execute function credits.follow_workspace();

-- schemas/accounts/freeze_account.sql

create function credits.mark_frozen(p_account_id uuid, p_frozen boolean, p_reason text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_status text := case when p_frozen then 'frozen' else 'active' end;
begin
  perform credits.lock_account(p_account_id);
  update credits.accounts a set status = v_status, frozen_reason = case when p_frozen then coalesce(p_reason, '') end
  where a.account_id = p_account_id and a.status <> 'closed';
  update credits.balances b set account_status = v_status
  where b.account_id = p_account_id and b.account_status <> 'closed';
end
$$;
comment on function credits.mark_frozen(uuid, boolean, text) is 'Stops all spending of an account, or allows it again.';
revoke all on function credits.mark_frozen(uuid, boolean, text) from public, anon, authenticated, service_role;

-- edge: result=StatusChange callers=service_role repeatable
--   Stop all spending until :meth:`unfreeze_account`.
--
--   Raises:
--       AccountNotFound.
create function public.freeze_account(p_user_id uuid, p_reason text default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  perform credits.check_request(1, p_reason, null, null, 'p_reason');
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  perform credits.mark_frozen(v_account_id, true, p_reason);
  return credits.account_answer(v_account_id) || '{"status": "frozen"}';
end
$$;
comment on function public.freeze_account(uuid, text, uuid) is
  'Stops all spending: consume, reserve and capture raise account_frozen until unfreeze_account. Credits, renewals, releases and refunds go on.';
revoke all on function public.freeze_account(uuid, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.freeze_account(uuid, text, uuid) to service_role;

create function credits.frozen_words()
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select format('This account is frozen: nothing can be spent from it, and its credits stay. Write to %s to have it looked at.',
    coalesce(nullif(s.support_contact, ''), 'the support of this service'))
  from credits.settings s
$$;
comment on function credits.frozen_words() is 'What the person is told whose account is frozen, and whom to write to.';
revoke all on function credits.frozen_words() from public, anon, authenticated, service_role;

-- schemas/accounts/get_credit_summary.sql

create function credits.balances_of(p_account_id uuid)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'credit_type', n.credit_type, 'kind', t.kind, 'allowance', n.allowance, 'used', n.used, 'reserved', n.reserved,
    'remaining', n.remaining, 'unlimited', n.allowance is null, 'percent_used', w.percent_used,
    'warning', case when n.remaining <= 0 then 'exhausted' when w.percent_used >= 80 then 'low' end,
    'debt', credits.debt_of(p_account_id, n.credit_type),
    'period_start', n.period_start, 'period_end', n.period_end) order by n.credit_type), '[]')
  from public.credit_balances n
  join credits.credit_types t on t.id = n.credit_type
  cross join lateral (
    select credits.percent_used(n.used, n.remaining) as percent_used
  ) w
  where n.account_id = p_account_id
$$;
comment on function credits.balances_of(uuid) is
  'The balances of an account as JSON objects, with the percentage used and the warning: low from 80 %, exhausted at nothing left.';
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
  'Whose rows a call may read: any user''s for the service role, one''s own for a signed-in user. Raises account_not_found for everybody else''s.';
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
begin
  perform credits.give_deleted_rows_back(v_account_id);
  select * into v_account from credits.accounts a where a.account_id = v_account_id;
  v_at := greatest(coalesce(v_account.test_now, statement_timestamp()), (
    select max(b.settled_at) from credits.balances b where b.account_id = v_account_id));
  return (
    select jsonb_build_object(
      'success', true, 'code', 'ok', 'account_id', v_account_id, 'user_id', v_user_id,
      'plan', p.id, 'plan_name', p.name, 'plan_version', s.plan_version, 'quantity', s.quantity,
      'status', case when v_account.status = 'frozen' then 'frozen' else s.status end,
      'upgrade_url', (select c.upgrade_url from credits.settings c),
      'support_contact', (select c.support_contact from credits.settings c),
      'message', case when v_account.status = 'frozen' then credits.frozen_words() end,
      'free_credits', v_account.free_credits,
      'pending_plan', s.pending_plan_id, 'pending_at', s.pending_at, 'trial_ends_at', s.trial_ends_at,
      'period_start', r.period_start, 'period_end', r.period_end, 'now', v_at,
      'balances', credits.balances_of(v_account_id),
      'grants', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'grant_id', g.id, 'credit_type', g.credit_type, 'source', g.source, 'amount', g.amount, 'remaining', g.remaining,
          'held', g.held, 'priority', g.priority, 'starts_at', g.starts_at, 'expires_at', g.expires_at,
          'frozen', g.frozen_at is not null, 'description', g.description)
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
comment on function credits.read_summary(uuid, uuid) is 'What get_credit_summary answers, after asking whether the caller may read it.';
revoke all on function credits.read_summary(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function credits.read_summary(uuid, uuid) to authenticated, service_role;

-- edge: result=Summary callers=authenticated,service_role repeatable
--   Plan, period, balances with warnings, open grants.
--
--   Raises:
--       AccountNotFound: there is no such user or workspace.
create function public.get_credit_summary(p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.read_summary(p_user_id, p_workspace_id);
comment on function public.get_credit_summary(uuid, uuid) is
  'Everything that a usage page shows of one account: plan, period, balances with percentage and warning, open grants. A signed-in user may leave p_user_id out; another user''s raises account_not_found.';
revoke all on function public.get_credit_summary(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.get_credit_summary(uuid, uuid) to authenticated, service_role;

-- schemas/accounts/identity.sql

-- Free credits once per person. The default plan's allowance of a period belongs to an identity, not to an id: an account of
-- the same identity that is open has it, and one that follows it continues with what it left, in the same period. Of an
-- identity only a keyed hash is kept, which survives forget_account, for a year after the account was closed.

create table credits.identity_key (
  only_row boolean primary key default true,
  inner_key bytea not null,
  outer_key bytea not null,
  constraint identity_key_has_one_row check (only_row)
);
comment on table credits.identity_key is
  'The secret of the hashes of identities, as the two blocks of HMAC-SHA256. Made once, and never read but by hash_identity.';
alter table credits.identity_key enable row level security;
revoke all on table credits.identity_key from public, anon, authenticated, service_role;
do $$
declare
  v_key bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
  v_inner bytea := decode(repeat('36', 64), 'hex');
  v_outer bytea := decode(repeat('5c', 64), 'hex');
begin
  for n in 0 .. length(v_key) - 1 loop
    v_inner := set_byte(v_inner, n, get_byte(v_inner, n) # get_byte(v_key, n));
    v_outer := set_byte(v_outer, n, get_byte(v_outer, n) # get_byte(v_key, n));
  end loop;
  insert into credits.identity_key (inner_key, outer_key) values (v_inner, v_outer);
end
$$;

create table credits.account_identities (
  account_id uuid not null,
  identity bytea not null,
  created_at timestamptz not null default now(),
  constraint account_identities_pkey primary key (account_id, identity)
);
create index account_identities_identity_idx on credits.account_identities (identity);
comment on table credits.account_identities is
  'Which identities an account has had: the hash of each e-mail or phone number, or what credits.identity_of says.';
alter table credits.account_identities enable row level security;
revoke all on table credits.account_identities from public, anon, authenticated, service_role;

create table credits.identity_holders (
  identity bytea not null,
  account_id uuid not null,
  constraint identity_holders_pkey primary key (identity)
);
create index identity_holders_account_id_idx on credits.identity_holders (account_id);
comment on table credits.identity_holders is
  'Which account has the free credits of an identity. Two sign-ups of one identity at once meet here, and one of them waits.';
alter table credits.identity_holders enable row level security;
revoke all on table credits.identity_holders from public, anon, authenticated, service_role;

create table credits.carried_allowances (
  account_id uuid not null,
  credit_type text not null,
  period_end timestamptz not null,
  amount bigint not null,
  constraint carried_allowances_pkey primary key (account_id, credit_type),
  constraint carried_allowances_amount_is_not_negative check (amount >= 0)
);
comment on table credits.carried_allowances is
  'What an earlier account of the same person had left of the free allowance of the period that ends at period_end.';
alter table credits.carried_allowances enable row level security;
revoke all on table credits.carried_allowances from public, anon, authenticated, service_role;

create function credits.free_allowance(
  p_account_id uuid, p_credit_type text, p_period_start timestamptz, p_allowance bigint)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_free_credits text;
  v_kind text;
  v_carried bigint;
begin
  select a.free_credits, a.kind into v_free_credits, v_kind from credits.accounts a where a.account_id = p_account_id;
  if v_kind = 'workspace' then
    return case when (select s.workspace_credits from credits.settings s) = 'free' then p_allowance else 0 end;
  end if;
  if v_free_credits <> 'own' then
    return 0;
  end if;
  select c.amount into v_carried
  from credits.carried_allowances c
  where c.account_id = p_account_id and c.credit_type = p_credit_type and p_period_start < c.period_end;
  return least(p_allowance, v_carried);
end
$$;
comment on function credits.free_allowance(uuid, text, timestamptz, bigint) is
  'How much of the default plan''s allowance of a period an account is due: all of it, what an earlier account of the same person left of it, or nothing.';
revoke all on function credits.free_allowance(uuid, text, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.identity_of(p_user auth.users)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when e.email is null then 'phone:' || nullif(regexp_replace(p_user.phone, '[^0-9]', '', 'g'), '')
    when s.identity_by <> 'person' then 'email:' || e.email
    when e.domain in ('gmail.com', 'googlemail.com') then 'email:' || replace(e.mailbox, '.', '') || '@gmail.com'
    else 'email:' || e.mailbox || '@' || e.domain end
  from credits.settings s
  cross join lateral (
    select n.email, split_part(split_part(n.email, '@', 1), '+', 1) as mailbox, split_part(n.email, '@', 2) as domain
    from (select nullif(lower(btrim(p_user.email)), '') as email) n
  ) e
$$;
comment on function credits.identity_of(auth.users) is
  'What tells one person from another, as a text of which only a keyed hash is kept: the e-mail without regard to case, without one the phone number; with identity_by = ''person'' without plus-tags, and without dots where the provider ignores them. Null is no identity. A project may replace this function.';
revoke all on function credits.identity_of(auth.users) from public, anon, authenticated, service_role;

create function credits.hash_identity(p_identity text)
returns bytea
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select sha256(k.outer_key || sha256(k.inner_key || convert_to(p_identity, 'UTF8'))) from credits.identity_key k);
end
$$;
comment on function credits.hash_identity(text) is 'The keyed hash (HMAC-SHA256) of an identity.';
revoke all on function credits.hash_identity(text) from public, anon, authenticated, service_role;

create function credits.remember_identities(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_identity bytea := (
    select credits.hash_identity(credits.identity_of(u)) from auth.users u
    where u.id = p_account_id and u.deleted_at is null);
begin
  if v_identity is not null then
    insert into credits.account_identities (account_id, identity) values (p_account_id, v_identity)
    on conflict (account_id, identity) do nothing;
  end if;
end
$$;
comment on function credits.remember_identities(uuid) is
  'Notes the identity that an account has now; earlier ones count on. It has none while it has neither e-mail nor phone number.';
revoke all on function credits.remember_identities(uuid) from public, anon, authenticated, service_role;

create function credits.decide_free_credits(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_had text;
  v_has text := 'own';
begin
  select a.free_credits into v_had from credits.accounts a where a.account_id = p_account_id and a.kind = 'person';
  if exists (
    select 1 from auth.users u cross join credits.settings s
    where u.id = p_account_id and u.is_anonymous and s.anonymous_credits = 'none') then
    v_has := 'anonymous';
  elsif not credits.hold_identities(p_account_id) then
    v_has := 'other_account';
  end if;
  -- What an account has is not taken back: it can only gain them once it is open.
  if v_had is null or v_had = 'own' and exists (
    select 1 from credits.balances b where b.account_id = p_account_id) then
    return;
  end if;
  if v_has = 'own' then
    perform credits.carry_allowances(p_account_id);
  end if;
  if v_had <> v_has then
    update credits.accounts a set free_credits = v_has where a.account_id = p_account_id;
    update credits.balances b set due_at = '-infinity'
    where b.account_id = p_account_id and v_has = 'own';
  end if;
end
$$;
comment on function credits.decide_free_credits(uuid) is
  'Finds out whether an account has free credits of its own: not while its person is anonymous, nor beside another open account of the same identity. Safe to repeat; what was given is never taken back.';
revoke all on function credits.decide_free_credits(uuid) from public, anon, authenticated, service_role;

create function credits.hold_identities(p_account_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_identity bytea;
  v_holder_id uuid;
  v_is_holder boolean := true;
begin
  for v_identity in
    select i.identity from credits.account_identities i where i.account_id = p_account_id order by i.identity
  loop
    -- Whoever comes second waits here, and looks afterwards.
    insert into credits.identity_holders (identity, account_id) values (v_identity, p_account_id)
    on conflict (identity) do nothing;
    select h.account_id into v_holder_id
    from credits.identity_holders h where h.identity = v_identity for update;
    if v_holder_id = p_account_id then
      continue;
    elsif credits.is_living(v_holder_id) then
      v_is_holder := false;
    else
      update credits.identity_holders h set account_id = p_account_id where h.identity = v_identity;
    end if;
  end loop;
  return v_is_holder;
end
$$;
comment on function credits.hold_identities(uuid) is
  'Takes the free credits of an account''s identities over, unless another open account has them. Answers whether it has them now.';
revoke all on function credits.hold_identities(uuid) from public, anon, authenticated, service_role;

create function credits.earlier_accounts(p_account_id uuid)
returns setof uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
    select distinct o.account_id
    from credits.account_identities i
    join credits.account_identities o on o.identity = i.identity and o.account_id <> p_account_id
    join credits.accounts a on a.account_id = o.account_id
    where i.account_id = p_account_id and a.free_credits = 'own' and not credits.is_living(o.account_id)
      and coalesce(a.closed_at > credits.clock() - interval '1 year', true);
end
$$;
comment on function credits.earlier_accounts(uuid) is
  'The accounts of the same person that had free credits and are gone, for no longer than a year.';
revoke all on function credits.earlier_accounts(uuid) from public, anon, authenticated, service_role;

create function credits.carry_allowances(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  insert into credits.carried_allowances (account_id, credit_type, period_end, amount)
  select p_account_id, l.credit_type, max(l.period_end), min(l.amount)
  from credits.earlier_accounts(p_account_id) e
  cross join lateral (
    select c.credit_type, c.period_end, c.amount
    from credits.carried_allowances c where c.account_id = e and c.period_end > v_now
    union all
    select g.credit_type, max(g.expires_at), sum(g.remaining)::bigint
    from public.credit_grants g join public.plans p on p.id = g.plan_id and p.is_default
    where g.account_id = e and g.source = 'plan' and g.starts_at <= v_now and g.expires_at > v_now
    group by g.credit_type
  ) l
  group by l.credit_type
  on conflict (account_id, credit_type) do nothing;
end
$$;
comment on function credits.carry_allowances(uuid) is
  'Notes what earlier accounts of the same person left of the free allowance of the period that is running.';
revoke all on function credits.carry_allowances(uuid) from public, anon, authenticated, service_role;

create function credits.inherited_anchor(p_account_id uuid)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select s.anchor_at
    from credits.earlier_accounts(p_account_id) e
    join credits.accounts a on a.account_id = e
    join public.subscriptions s on s.account_id = e
    where s.anchor_at <= credits.clock()
    order by a.created_at desc, e
    limit 1);
end
$$;
comment on function credits.inherited_anchor(uuid) is
  'The instant that the periods of the person''s last account were counted from: a new one continues with the same periods. Null where there was none.';
revoke all on function credits.inherited_anchor(uuid) from public, anon, authenticated, service_role;

create function credits.pass_identities_on(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_next_id uuid;
begin
  delete from credits.identity_holders h where h.account_id = p_account_id;
  for v_next_id in
    select distinct o.account_id
    from credits.account_identities i
    join credits.account_identities o on o.identity = i.identity and o.account_id <> p_account_id
    join credits.accounts a on a.account_id = o.account_id and a.free_credits = 'other_account' and a.status <> 'closed'
    where i.account_id = p_account_id
    order by o.account_id
  loop
    perform credits.decide_free_credits(v_next_id);
  end loop;
end
$$;
comment on function credits.pass_identities_on(uuid) is
  'When an account is closed: another open account of the same person continues with what is left of the free credits.';
revoke all on function credits.pass_identities_on(uuid) from public, anon, authenticated, service_role;

create function credits.drop_old_identities()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  delete from credits.account_identities i
  using credits.accounts a
  where a.closed_at < clock_timestamp() - interval '1 year' and i.account_id = a.account_id;
end
$$;
comment on function credits.drop_old_identities() is 'Drops the hashes of accounts that were closed more than a year ago.';
revoke all on function credits.drop_old_identities() from public, anon, authenticated, service_role;

-- schemas/accounts/living_accounts.sql

-- Who is there. An account whose user or workspace is gone spends nothing from that instant, whatever was booked about it.

create view credits.living_accounts
with (security_invoker = true)
as
select u.id as account_id from auth.users u where u.deleted_at is null
union all
select w.account_id from public.credit_workspaces w
union all
select a.account_id from credits.accounts a where a.is_elsewhere;
comment on view credits.living_accounts is
  'The accounts whose person or workspace exists: not deleted, not deleted softly by Auth. Part of the statement that spends, by account_id.';
revoke all on table credits.living_accounts from public, anon, authenticated, service_role;

create function credits.is_living(p_account_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (select 1 from credits.living_accounts l where l.account_id = p_account_id);
end
$$;
comment on function credits.is_living(uuid) is 'Whether the person or workspace of an account exists.';
revoke all on function credits.is_living(uuid) from public, anon, authenticated, service_role;

-- schemas/accounts/mark_test_account.sql

-- edge: result=Clock callers=service_role repeatable
--   Make an account a test account, which it stays.
--
--   Raises:
--       AccountNotFound.
create function public.mark_test_account(p_user_id uuid, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(p_user_id, p_workspace_id);
begin
  update credits.accounts a set is_test = true where a.account_id = v_account_id;
  return credits.account_answer(v_account_id) || jsonb_build_object('now', (
    select coalesce(a.test_now, statement_timestamp()) from credits.accounts a where a.account_id = v_account_id));
end
$$;
comment on function public.mark_test_account(uuid, uuid) is 'Makes an account a test account, which may have a clock of its own (set_test_clock). It stays one.';
revoke all on function public.mark_test_account(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.mark_test_account(uuid, uuid) to service_role;

-- schemas/accounts/open_account.sql

-- edge: result=OpenedAccount callers=service_role repeatable
--   Open an account on the default plan for an id that has no row in `auth.users` here: a user of
--   another project, or of another shard. It is there until it is forgotten.
--
--   Raises:
--       AccountNotFound: the id is a workspace's, or the account was forgotten.
--       InvalidArgument: no id, or the nil UUID.
create function public.open_account(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  -- The nil UUID stands for no user at all, in libraries and in tokens.
  if p_user_id is null or p_user_id = '00000000-0000-0000-0000-000000000000'::uuid then
    perform credits.raise_error('invalid_argument', '{"argument": "p_user_id"}', 'Pass the id of the user.');
  end if;
  if exists (select 1 from credits.accounts a where a.account_id = p_user_id and a.kind <> 'person')
     or exists (select 1 from credits.forgotten_accounts f where f.account_id = p_user_id)
     or exists (select 1 from auth.users u where u.id = p_user_id and u.deleted_at is not null) then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id));
  end if;
  perform credits.open_account(p_user_id, 'person');
  -- A user who is known here comes and goes by auth.users; another one is there from now on.
  if not exists (select 1 from auth.users u where u.id = p_user_id) then
    update credits.accounts a set is_elsewhere = true where a.account_id = p_user_id and not a.is_elsewhere;
    perform credits.reopen_account(p_user_id);
    perform credits.lock_account(p_user_id);
  end if;
  return credits.account_answer(p_user_id) || jsonb_build_object('account_id', p_user_id);
end
$$;
comment on function public.open_account(uuid) is
  'Opens an account on the default plan for an id that has no row in auth.users here: users of another project, or a shard''s. Safe to repeat.';
revoke all on function public.open_account(uuid) from public, anon, authenticated, service_role;
grant execute on function public.open_account(uuid) to service_role;

create function credits.open_account(p_account_id uuid, p_kind text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_user_id uuid := case when p_kind = 'person' then p_account_id end;
  v_anchor_at timestamptz := v_now;
begin
  insert into credits.accounts (account_id, kind, created_at) values (p_account_id, p_kind, v_now)
  on conflict (account_id) do nothing;
  if p_kind = 'person' then
    perform credits.remember_identities(p_account_id);
    perform credits.decide_free_credits(p_account_id);
    v_anchor_at := coalesce(credits.inherited_anchor(p_account_id), v_now);
  end if;
  insert into credits.subscriptions (account_id, user_id, created_at, updated_at)
  values (p_account_id, v_user_id, v_now, v_now) on conflict (account_id) do nothing;
  if found then
    perform credits.open_subscription(p_account_id, v_anchor_at);
  end if;
  insert into credits.balances (account_id, credit_type, user_id, kind, used_since, settled_at, test_now, account_status)
  select p_account_id, t.id, v_user_id, t.kind, v_now, v_now, a.test_now, a.status
  from credits.credit_types t
  join credits.accounts a on a.account_id = p_account_id
  order by t.id
  on conflict (account_id, credit_type) do nothing;
  if credits.is_living(p_account_id) then
    perform credits.reopen_account(p_account_id);
  end if;
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.open_account(uuid, text) is
  'Opens an account on the default plan with its credits, completes one that lacks something, or reopens one whose person is back. Safe to repeat.';
revoke all on function credits.open_account(uuid, text) from public, anon, authenticated, service_role;

create function credits.open_account_of_new_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.open_account(new.id, 'person');
  -- From now on the account ends with the user who is known here.
  update credits.accounts a set is_elsewhere = false where a.account_id = new.id and a.is_elsewhere;
  return new;
exception when others then
  -- A sign-up is worth more than its credits: the first call opens the account then.
  raise warning 'credits: the account of user % could not be opened: % (%)', new.id, sqlerrm, sqlstate;
  return new;
end
$$;
comment on function credits.open_account_of_new_user() is
  'Gives a new user the default plan and its credits in the transaction of the sign-up. Never blocks a sign-up: it logs, and the first call mends it.';
revoke all on function credits.open_account_of_new_user() from public, anon, authenticated, service_role;
create trigger credits_open_account after insert on auth.users
  for each row execute function credits.open_account_of_new_user();

create function credits.open_account_of_new_workspace()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.open_account(new.account_id, 'workspace');
  return new;
end
$$;
comment on function credits.open_account_of_new_workspace() is 'Gives a new workspace the default plan and its credits.';
revoke all on function credits.open_account_of_new_workspace() from public, anon, authenticated, service_role;
create trigger credit_workspaces_open_account after insert on public.credit_workspaces
  for each row execute function credits.open_account_of_new_workspace();

-- schemas/accounts/refuse_repeated_signup.sql

-- A hook of Supabase Auth (before user created) that a project may switch on. Without it a second account of a person is
-- let in, with no free credits of its own.
create function credits.refuse_repeated_signup(p_event jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_user auth.users := jsonb_populate_record(null::auth.users, jsonb_build_object(
    'email', p_event #> '{user,email}', 'phone', p_event #> '{user,phone}',
    'is_anonymous', p_event #> '{user,is_anonymous}', 'raw_app_meta_data', p_event #> '{user,app_metadata}',
    'raw_user_meta_data', p_event #> '{user,user_metadata}'));
begin
  if exists (
    select 1 from credits.identity_holders h
    where h.identity = credits.hash_identity(credits.identity_of(v_user)) and credits.is_living(h.account_id)) then
    return jsonb_build_object('error', jsonb_build_object('http_code', 403,
      'message', 'You have an account already. Sign in with the address that you signed up with.'));
  end if;
  return jsonb '{}';
exception when others then
  -- A sign-up is worth more than its credits.
  raise warning 'credits: a sign-up was let in unseen: % (%)', sqlerrm, sqlstate;
  return jsonb '{}';
end
$$;
comment on function credits.refuse_repeated_signup(jsonb) is
  'A before-user-created hook of Supabase Auth: refuses to sign a person up who has an open account, as far as credits.identity_of can tell. Switch it on with: grant usage on schema credits to supabase_auth_admin; grant execute on function credits.refuse_repeated_signup(jsonb) to supabase_auth_admin; and choose it under Authentication, Hooks.';
revoke all on function credits.refuse_repeated_signup(jsonb) from public, anon, authenticated, service_role;

-- schemas/accounts/set_test_clock.sql

create function credits.move_clock(p_account_id uuid, p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
begin
  -- Nothing is booked here: what falls due by the new time does so whoever comes by first.
  perform 1 from credits.balances b where b.account_id = p_account_id order by b.credit_type for no key update;
  if not exists (select 1 from credits.accounts a where a.account_id = p_account_id and a.is_test) then
    perform credits.raise_error('not_a_test_account');
  end if;
  select max(greatest(b.test_now, b.settled_at)) into v_now
  from credits.balances b where b.account_id = p_account_id;
  if p_now is null or not isfinite(p_now) or p_now < v_now then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_now', 'now', v_now),
      'A test clock moves forwards only.');
  end if;
  update credits.accounts a set test_now = p_now where a.account_id = p_account_id;
  update credits.balances b set test_now = p_now where b.account_id = p_account_id;
end
$$;
comment on function credits.move_clock(uuid, timestamptz) is 'Moves the clock of a test account forwards.';
revoke all on function credits.move_clock(uuid, timestamptz) from public, anon, authenticated, service_role;

-- edge: result=Clock callers=service_role repeatable
--   Set the time of a test account, forwards only; every rule follows it.
--
--   Raises:
--       NotATestAccount: the account is not marked.
--       InvalidArgument: the time is not aware, or earlier than the account's.
--       AccountNotFound.
create function public.set_test_clock(p_user_id uuid, p_now timestamptz, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(p_user_id, p_workspace_id);
begin
  perform credits.move_clock(v_account_id, p_now);
  return credits.account_answer(v_account_id) || jsonb_build_object('now', p_now);
end
$$;
comment on function public.set_test_clock(uuid, timestamptz, uuid) is
  'Sets the time of a test account, forwards only. It stands still until it is set again, and every rule follows it. Raises not_a_test_account for others.';
revoke all on function public.set_test_clock(uuid, timestamptz, uuid) from public, anon, authenticated, service_role;
grant execute on function public.set_test_clock(uuid, timestamptz, uuid) to service_role;

-- schemas/accounts/set_time_zone.sql

create function credits.move_time_zone(p_account_id uuid, p_time_zone text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_event credits.subscription_events;
  v_at timestamptz;
begin
  select max(b.settled_at) into v_at from credits.lock_account(p_account_id) b;
  v_event.kind := 'time_zone';
  v_event.happened_at := v_at;
  v_event.time_zone := p_time_zone;
  perform credits.record_event(p_account_id, v_event, v_at);
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.move_time_zone(uuid, text) is 'Changes the wall clock that later periods follow. The running period ends as it was to end.';
revoke all on function credits.move_time_zone(uuid, text) from public, anon, authenticated, service_role;

-- edge: result=TimeZoneChange callers=service_role repeatable
--   Set the wall clock that later periods follow, such as ``Europe/Paris``.
--
--   Raises:
--       InvalidArgument: not a name of the IANA time zone database.
--       AccountNotFound.
create function public.set_time_zone(p_user_id uuid, p_time_zone text, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  if not exists (select 1 from pg_catalog.pg_timezone_names z where z.name = p_time_zone) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_time_zone', 'value', p_time_zone),
      'Pass a name of the IANA time zone database, such as Europe/Paris.');
  end if;
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  perform credits.move_time_zone(v_account_id, p_time_zone);
  return credits.account_answer(v_account_id) || jsonb_build_object('time_zone', p_time_zone);
end
$$;
comment on function public.set_time_zone(uuid, text, uuid) is
  'Sets the time zone whose wall clock the account''s periods follow, from the end of the running one on. Default UTC.';
revoke all on function public.set_time_zone(uuid, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.set_time_zone(uuid, text, uuid) to service_role;

-- schemas/accounts/unfreeze_account.sql

-- edge: result=StatusChange callers=service_role repeatable
--   Allow a frozen account to spend again.
--
--   Raises:
--       AccountNotFound.
create function public.unfreeze_account(p_user_id uuid, p_reason text default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  perform credits.check_request(1, p_reason, null, null, 'p_reason');
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  perform credits.mark_frozen(v_account_id, false, p_reason);
  return credits.account_answer(v_account_id) || '{"status": "active"}';
end
$$;
comment on function public.unfreeze_account(uuid, text, uuid) is 'Allows a frozen account to spend again.';
revoke all on function public.unfreeze_account(uuid, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.unfreeze_account(uuid, text, uuid) to service_role;

-- schemas/ledger/grant_sources.sql

create table credits.grant_sources (
  id text primary key,
  priority integer not null,
  priority_when_expiring integer not null,
  may_be_granted boolean not null,
  description text not null
);
comment on table credits.grant_sources is
  'Where credits come from, and in which order they are burnt: the lowest priority first.';
comment on column credits.grant_sources.priority is
  'Given to a grant that never expires, frozen on the grant when it is issued.';
comment on column credits.grant_sources.priority_when_expiring is
  'Given to a grant that expires, frozen on the grant when it is issued.';
comment on column credits.grant_sources.may_be_granted is
  'Whether grant_credits accepts it; the plan allowance is granted by the calendar alone.';
alter table credits.grant_sources enable row level security;
revoke all on table credits.grant_sources from public, anon, authenticated, service_role;

insert into credits.grant_sources (id, priority, priority_when_expiring, may_be_granted,
  description) values
  ('rollover', 10, 10, true, 'Unspent allowance of the period before'),
  ('trial', 20, 20, true, 'Credits to try a plan'),
  ('promotion', 20, 20, true, 'Credits of a campaign'),
  ('compensation', 20, 20, true, 'Credits that make up for a failure'),
  ('plan', 30, 30, false, 'The allowance of the plan'),
  ('top_up', 50, 50, true, 'Purchased credits'),
  ('goodwill', 60, 20, true, 'A gift of the support team');

-- schemas/ledger/balances.sql

create table credits.balances (
  account_id uuid not null constraint balances_account_id_fkey references credits.accounts (account_id),
  credit_type text not null,
  user_id uuid,
  kind text not null,
  account_status text not null default 'active',
  allowance bigint,
  version bigint not null default 0,
  balance bigint not null default 0,
  withheld bigint not null default 0,
  reserved bigint not null default 0,
  reserved_unlimited bigint not null default 0,
  used bigint not null default 0,
  used_since timestamptz not null,
  period_start timestamptz,
  period_end timestamptz,
  anchored_by integer,
  restarted_at timestamptz,
  restarted_event bigint,
  plan_id text,
  plan_version integer,
  granted bigint not null default 0,
  overdrawn bigint not null default 0,
  prepaid_nano bigint not null default 0,
  is_floating boolean not null default false,
  alert_percent smallint default 0,
  alert_amount bigint,
  due_at timestamptz not null default '-infinity',
  settled_at timestamptz not null,
  test_now timestamptz,
  top_up_below bigint,
  constraint balances_pkey primary key (account_id, credit_type),
  constraint balances_prepaid_is_less_than_a_credit check (prepaid_nano between 0 and 999999999),
  constraint balances_parts_fit_into_the_whole
    check (least(withheld, reserved, reserved_unlimited, used, balance - withheld - reserved) >= 0)
) with (fillfactor = 50);
create index balances_user_id_idx on credits.balances (user_id);
create index balances_due_at_idx on credits.balances (due_at) where test_now is null and not is_floating;
create index balances_test_now_idx on credits.balances (test_now) where test_now is not null;
comment on table credits.balances is
  'The booked state of one account and credit type, and the row that every operation on them locks first. Read public.credit_balances instead: it is right to the second.';
comment on column credits.balances.version is 'The version of the last ledger row.';
comment on column credits.balances.balance is 'What the grants hold: the last balance_after of the ledger.';
comment on column credits.balances.withheld is 'The part of it in grants that are frozen or have not started.';
comment on column credits.balances.reserved is 'The part of it that live holds have pinned.';
comment on column credits.balances.reserved_unlimited is
  'What live holds have set aside that were made while the type was unlimited: of no grant, and of no balance.';
comment on column credits.balances.used is 'Spent less refunded since used_since; for a limit, how many exist.';
comment on column credits.balances.allowance is 'The allowance in force, null for unlimited.';
comment on column credits.balances.anchored_by is 'Which anchor of the subscription the booked period follows.';
comment on column credits.balances.restarted_at is 'When the allowance of the booked period was last restarted by hand.';
comment on column credits.balances.restarted_event is 'The last event of the subscription that had been heard of then.';
comment on column credits.balances.plan_version is 'The version of plan_id that the booked period is under.';
comment on column credits.balances.granted is
  'What the plan has granted for the booked period, less what was withdrawn: an upgrade grants only what exceeds it.';
comment on column credits.balances.overdrawn is
  'What was granted and spent though it was not due: what is refunded of it is withdrawn.';
comment on column credits.balances.prepaid_nano is
  'What is paid of a credit and not used, in billionths of a credit: of priced operations.';
comment on column credits.balances.is_floating is
  'Its terms may change at any moment: a limit, a credit type that the plan does not include, or one that is overdrawn.';
comment on column credits.balances.alert_percent is
  'The next share used, in percent, of which people are warned: those below it have been told of. '
  'Null is none; 0 stands for the lowest, before anything was spent in the period.';
comment on column credits.balances.alert_amount is
  'The next amount left of which people are warned; null is none.';
comment on column credits.balances.due_at is 'The next instant at which something expires, starts or renews; until then this row is the truth. -infinity where it is floating.';
comment on column credits.balances.settled_at is 'The latest time this row has seen. A clock that steps back is held here.';
comment on column credits.balances.account_status is 'Copy of accounts.status, so that a spend needs no second row.';
comment on column credits.balances.test_now is 'Copy of accounts.test_now, so that a spend needs no second row.';
comment on column credits.balances.top_up_below is
  'Fewer credits than this are topped up automatically; null where nothing is.';
alter table credits.balances enable row level security;
revoke all on table credits.balances from public, anon, authenticated, service_role;
grant select on table credits.balances to authenticated, service_role;
create policy "Users may read their balances" on credits.balances
  for select to authenticated using (account_id = any (credits.readable_ids()));

-- schemas/ledger/credit_grants.sql

create table public.credit_grants (
  account_id uuid not null constraint credit_grants_account_id_fkey
    references credits.accounts (account_id),
  id uuid not null default gen_random_uuid(),
  credit_type text not null,
  source text not null,
  priority integer not null,
  amount bigint not null,
  remaining bigint not null,
  held bigint not null default 0,
  spent bigint not null default 0,
  lapsed bigint not null default 0,
  starts_at timestamptz not null,
  expires_at timestamptz,
  period_start timestamptz,
  plan_id text,
  frozen_at timestamptz,
  frozen_reason text,
  voided_at timestamptz,
  void_reason text,
  paid_amount bigint,
  currency text,
  description text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  is_open boolean not null generated always as (remaining > 0) stored,
  constraint credit_grants_pkey primary key (account_id, id),
  constraint credit_grants_nothing_is_lost check (amount = remaining + spent + lapsed),
  constraint credit_grants_no_part_is_negative
    check (least(held, remaining - held, spent, lapsed) >= 0)
) with (fillfactor = 70);
create index credit_grants_open_idx on public.credit_grants
  (account_id, credit_type, priority, expires_at, starts_at, id) where is_open;
create unique index credit_grants_period_key on public.credit_grants (account_id, credit_type,
  period_start)
  where period_start is not null and voided_at is null;
-- A check costs every spend its share of time, most of all one that compares texts. Here and in the
-- ledger stand those that keep credits from being lost or overspent; verify_books checks the rest.
comment on table public.credit_grants is
  'The only home of credits. What a grant held at first is spent, lapsed (expired or voided) or '
  'remaining; nothing else can happen to it.';
comment on column public.credit_grants.source is
  'plan, rollover, trial, promotion, compensation, top_up or goodwill.';
comment on column public.credit_grants.priority is
  'Burn order: lower first. Taken from the source when the grant was issued.';
comment on column public.credit_grants.amount is
  'Credits issued. Grows for a plan grant when an upgrade adds to it.';
comment on column public.credit_grants.held is 'The part of remaining that live holds have pinned.';
comment on column public.credit_grants.spent is 'Consumed or captured, less refunded.';
comment on column public.credit_grants.lapsed is 'Expired or voided.';
comment on column public.credit_grants.period_start is
  'For the plan''s allowance: start of its period. A limit has none: then it is 1970, an instant that
   every client can read. One per account, type and period.';
comment on column public.credit_grants.frozen_at is
  'Not spendable from here on, not lost either: a payment is past due or disputed.';
comment on column public.credit_grants.paid_amount is
  'What was paid for it, in the smallest unit of the currency; null where nothing was sold.';
alter table public.credit_grants enable row level security;
revoke all on table public.credit_grants from public, anon, authenticated, service_role;
grant select on table public.credit_grants to authenticated, service_role;
create policy "Users may read their grants" on public.credit_grants
  for select to authenticated using (account_id = any (credits.readable_ids()));

-- schemas/ledger/credit_transactions.sql

create type credits.entry_kind as enum ('grant', 'consume', 'capture', 'refund', 'expire', 'void');
comment on type credits.entry_kind is
  'grant and refund add credits to a grant; consume and capture spend them; expire and void take '
  'them away unspent.';

create table public.credit_transactions (
  account_id uuid not null,
  credit_type text not null,
  version bigint not null,
  operation_id uuid not null,
  grant_id uuid,
  user_id uuid,
  kind credits.entry_kind not null,
  amount bigint not null,
  balance_after bigint,
  related_operation_id uuid,
  description text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  constraint credit_transactions_pkey primary key (account_id, credit_type, version),
  constraint credit_transactions_balance_is_not_negative check (balance_after >= 0)
);
create index credit_transactions_operation_idx on public.credit_transactions (account_id,
  operation_id);
create index credit_transactions_related_idx on public.credit_transactions (account_id,
  related_operation_id)
  where related_operation_id is not null;
-- What a member did in a workspace. Rows of persons are not in it, so their spends do not grow.
create index credit_transactions_user_id_idx
  on public.credit_transactions (account_id, user_id, created_at) where user_id <> account_id;
comment on table public.credit_transactions is
  'The ledger: one row per operation and grant touched, chained by version and balance_after per '
  'account and credit type. While a type is unlimited, one row per operation, of no grant and '
  'outside of the chain. Rows are added, never changed.';
comment on column public.credit_transactions.version is
  '1, 2, 3 … per account and credit type, without a gap.';
comment on column public.credit_transactions.operation_id is
  'What belongs together: all rows of one operation have its id. A hold and its capture are one '
  'operation.';
comment on column public.credit_transactions.grant_id is
  'The grant whose credits moved; null while the type is unlimited, which has no stock.';
comment on column public.credit_transactions.user_id is
  'Who acted; null for what time did by itself.';
comment on column public.credit_transactions.amount is
  'Credits, signed: positive into the grant, negative out of it.';
comment on column public.credit_transactions.balance_after is
  'What the grants of this account and type hold after this row: the last balance_after before it '
  'plus amount. Null when it moved no grant: what is unlimited has no balance.';
comment on column public.credit_transactions.related_operation_id is
  'For a refund the operation it gives back; for an expiry or a compensation the operation that '
  'caused it.';
comment on column public.credit_transactions.created_at is
  'When it was booked, in the account''s time.';
alter table public.credit_transactions enable row level security;
revoke all on table public.credit_transactions from public, anon, authenticated, service_role;
grant select on table public.credit_transactions to authenticated, service_role;
create policy "Users may read their ledger and what they oversee"
  on public.credit_transactions for select to authenticated using (
    account_id = any (credits.readable_ids())
    and (user_id = account_id or user_id = credits.reader_id()
      or account_id = any (credits.overseen_ids())));

create function credits.refuse_ledger_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- Figures never change. The words of somebody who is forgotten may be blanked, and nothing else.
  if tg_op = 'UPDATE' then
    if new.description is null and new.metadata = '{}'
       and to_jsonb(new) - '{description, metadata}'::text[] = to_jsonb(old)
         - '{description, metadata}'::text[]
       and exists (select 1 from credits.forgotten_accounts f
         where f.account_id in (old.account_id, old.user_id)) then
      return new;
    end if;
  end if;
  perform credits.raise_error('ledger_is_append_only', jsonb_build_object('attempted',
    lower(tg_op)));
  return null;
end
$$;
comment on function credits.refuse_ledger_change() is
  'Stops UPDATE, DELETE and TRUNCATE of the ledger for those whom no privilege stops. Lets pass '
  'only what forget_account does: blank description and metadata of a forgotten account.';
revoke all on function credits.refuse_ledger_change() from public, anon, authenticated,
  service_role;
create trigger credit_transactions_are_append_only before update
  or delete on public.credit_transactions
  for each row execute function credits.refuse_ledger_change();
create trigger credit_transactions_are_never_truncated before truncate on public.credit_transactions
  for each statement execute function credits.refuse_ledger_change();

-- schemas/ledger/debts.sql

-- What an account owes: credits of a purchase whose payment was taken back after they had been
-- spent. The next purchase pays first, an allowance never does. A debt that turns out to be smaller
-- than what was paid comes back as credits.

create table credits.debts (
  account_id uuid not null
    constraint debts_account_id_fkey references credits.accounts (account_id),
  credit_type text not null,
  source text not null,
  amount bigint not null,
  paid bigint not null default 0,
  created_at timestamptz not null,
  constraint debts_pkey primary key (account_id, credit_type, source),
  constraint debts_paid_is_a_part_of_the_amount check (paid >= 0 and paid <= amount)
);
comment on table credits.debts is
  'Credits that an account owes. A row stays when it is paid, so that a payment that fails later '
  'can be told apart.';
comment on column credits.debts.source is
  'What it is for: the payment that was taken back, by its provider''s id.';
comment on column credits.debts.amount is
  'Credits owed in all; amount less paid is still to be paid.';
comment on column credits.debts.paid is 'Credits that purchases have paid, less what came back.';
alter table credits.debts enable row level security;
revoke all on table credits.debts from public, anon, authenticated, service_role;

create table credits.debt_payments (
  account_id uuid not null,
  credit_type text not null,
  source text not null,
  operation_id uuid not null,
  grant_id uuid not null,
  amount bigint not null,
  created_at timestamptz not null,
  constraint debt_payments_pkey primary key (account_id, credit_type, source, operation_id),
  constraint debt_payments_debt_fkey foreign key (account_id, credit_type, source)
    references credits.debts (account_id, credit_type, source),
  constraint debt_payments_move_something check (amount <> 0)
);
comment on table credits.debt_payments is
  'Which grant paid a debt, and which one gave back what had been paid too much. The ledger has a '
  'row of each.';
comment on column credits.debt_payments.amount is
  'Credits: positive for a payment, negative for what came back.';
alter table credits.debt_payments enable row level security;
revoke all on table credits.debt_payments from public, anon, authenticated, service_role;

create function credits.debt_of(p_account_id uuid, p_credit_type text)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(d.amount - d.paid), 0)::bigint from credits.debts d
    where d.account_id = p_account_id and d.credit_type = p_credit_type);
end
$$;
comment on function credits.debt_of(uuid, text) is
  'Credits that an account still owes of one type.';
revoke all on function credits.debt_of(uuid, text) from public, anon, authenticated, service_role;

create function credits.pay_debts(
  p_account_id uuid, inout p_balance credits.balances, p_grant_id uuid, p_amount bigint,
  p_related_operation_id uuid, out p_paid bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_debt record;
  v_part bigint;
  v_operation_id uuid;
begin
  p_paid := 0;
  for v_debt in
    select d.source, d.amount - d.paid as open from credits.debts d
    where d.account_id = p_account_id and d.credit_type = p_balance.credit_type
      and d.paid < d.amount
    order by d.created_at, d.source
  loop
    v_part := least(v_debt.open, p_amount - p_paid);
    exit when v_part = 0;
    v_operation_id := gen_random_uuid();
    p_balance := credits.take_unspent(p_account_id, p_balance, p_grant_id, v_part, 'void', null,
      v_operation_id, p_related_operation_id,
      'pays for credits that were spent before their payment was taken back');
    update credits.debts d set paid = d.paid + v_part
    where d.account_id = p_account_id and d.credit_type = p_balance.credit_type
      and d.source = v_debt.source;
    insert into credits.debt_payments (
      account_id, credit_type, source, operation_id, grant_id, amount, created_at)
    values (p_account_id, p_balance.credit_type, v_debt.source, v_operation_id, p_grant_id, v_part,
      p_balance.settled_at);
    p_paid := p_paid + v_part;
  end loop;
end
$$;
comment on function credits.pay_debts(uuid, credits.balances, uuid, bigint, uuid) is
  'Pays debts of the locked balance''s type out of a grant that p_related_operation_id has just '
  'issued, the oldest debt first.';
revoke all on function credits.pay_debts(uuid, credits.balances, uuid, bigint, uuid)
  from public, anon, authenticated, service_role;

create function credits.set_debt(
  p_account_id uuid, inout p_balance credits.balances, p_source text, p_amount bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_paid bigint;
begin
  if p_amount is null or p_amount not between 0 and 9007199254740992 then
    perform credits.raise_error('invalid_amount', jsonb_build_object('amount', p_amount));
  end if;
  select d.paid into v_paid from credits.debts d
  where d.account_id = p_account_id and d.credit_type = p_balance.credit_type
    and d.source = p_source;
  if v_paid > p_amount then
    p_balance := credits.give_back_paid(p_account_id, p_balance, p_source, v_paid - p_amount);
  end if;
  if p_amount > 0 or v_paid is not null then
    insert into credits.debts as d (account_id, credit_type, source, amount, created_at)
    values (p_account_id, p_balance.credit_type, p_source, p_amount, p_balance.settled_at)
    on conflict (account_id, credit_type, source) do update set amount = excluded.amount;
  end if;
end
$$;
comment on function credits.set_debt(uuid, credits.balances, text, bigint) is
  'Sets what the account owes for p_source, whatever order the news came in. What had been paid '
  'above it comes back as credits. Call save_balance afterwards.';
revoke all on function credits.set_debt(uuid, credits.balances, text, bigint)
  from public, anon, authenticated, service_role;

create function credits.give_back_paid(
  p_account_id uuid, inout p_balance credits.balances, p_source text, p_amount bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_amount;
  v_part bigint;
  v_payment record;
  v_issued record;
  v_operation_id uuid;
begin
  -- The last payment first, as long as it may be spent as the credits that paid it, and for a day
  -- at least.
  for v_payment in
    select p.grant_id, g.expires_at, sum(p.amount) as amount, max(p.created_at) as paid_at
    from credits.debt_payments p
    join public.credit_grants g on g.account_id = p.account_id and g.id = p.grant_id
    where p.account_id = p_account_id and p.credit_type = p_balance.credit_type
      and p.source = p_source
    group by p.grant_id, g.expires_at
    having sum(p.amount) > 0
    order by paid_at desc, p.grant_id
  loop
    v_part := least(v_left, v_payment.amount);
    exit when v_part = 0;
    v_left := v_left - v_part;
    v_operation_id := gen_random_uuid();
    v_issued := credits.issue(p_account_id, p_balance, null, v_operation_id, 'top_up', v_part,
      p_balance.settled_at, case when v_payment.expires_at is not null then
        greatest(v_payment.expires_at, p_balance.settled_at + interval '24 hours') end, null,
      'paid for a debt that was smaller in the end', '{}');
    p_balance := v_issued.p_balance;
    insert into credits.debt_payments (
      account_id, credit_type, source, operation_id, grant_id, amount, created_at)
    values (p_account_id, p_balance.credit_type, p_source, v_operation_id, v_payment.grant_id,
      -v_part, p_balance.settled_at);
    update credits.debts d set paid = d.paid - v_part, amount = d.paid - v_part
    where d.account_id = p_account_id and d.credit_type = p_balance.credit_type
      and d.source = p_source;
    p_balance := (select d.p_balance
      from credits.pay_debts(
        p_account_id, p_balance, v_issued.p_grant_id, v_part, v_operation_id) d);
  end loop;
end
$$;
comment on function credits.give_back_paid(uuid, credits.balances, text, bigint) is
  'Gives credits back that had paid a debt, as grants with the expiry of those that paid. Other '
  'debts are paid from them first.';
revoke all on function credits.give_back_paid(uuid, credits.balances, text, bigint)
  from public, anon, authenticated, service_role;

-- schemas/ledger/get_credit_history.sql

-- The ledger of an account, page by page. Times are no place to go on from: several rows may share
-- an instant. A cursor holds how far each chain has been read, by version, so a page is found at
-- once and every row comes once, also while new ones are added.

create function credits.entries_below(
  p_account_id uuid, p_credit_type text, p_version bigint, p_only_actor uuid, p_limit integer)
returns table (
  version bigint, credit_type text, operation_id uuid, kind credits.entry_kind, grant_id uuid,
  user_id uuid, amount bigint, balance_after bigint, related_operation_id uuid, description text,
  metadata jsonb, created_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_only_actor is null then
    return query
      select t.version, t.credit_type, t.operation_id, t.kind, t.grant_id, t.user_id, t.amount,
        t.balance_after, t.related_operation_id, t.description, t.metadata, t.created_at
      from public.credit_transactions t
      where t.account_id = p_account_id and t.credit_type = p_credit_type
        and t.version < p_version
      order by t.version desc limit p_limit;
    return;
  end if;
  return query
    select t.version, t.credit_type, t.operation_id, t.kind, t.grant_id, t.user_id, t.amount,
      t.balance_after, t.related_operation_id, t.description, t.metadata, t.created_at
    from public.credit_transactions t
    where t.account_id = p_account_id and t.credit_type = p_credit_type and t.version < p_version
      -- Only in workspaces does a reader see no more than their own, and those rows have an index.
      and t.user_id = p_only_actor and t.user_id <> t.account_id
    order by t.version desc limit p_limit;
end
$$;
comment on function credits.entries_below(uuid, text, bigint, uuid, integer) is
  'The newest p_limit ledger rows of a chain below a version; of one actor alone where one is '
  'named.';
revoke all on function credits.entries_below(uuid, text, bigint, uuid, integer)
  from public, anon, authenticated, service_role;

create function credits.write_cursor(p_account_id uuid, p_credit_type text, p_versions jsonb)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select translate(encode(convert_to(jsonb_build_object(
    'account', p_account_id, 'type', p_credit_type, 'below', p_versions)::text, 'UTF8'), 'base64'),
    E'+/=\n', '-_')
$$;
comment on function credits.write_cursor(uuid, text, jsonb) is
  'The cursor of a history that has been read down to these versions, as text for a URL.';
revoke all on function credits.write_cursor(uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.read_cursor(p_account_id uuid, p_credit_type text, p_cursor text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_text text := translate(p_cursor, '-_', '+/');
  v_cursor jsonb;
begin
  begin
    v_cursor := convert_from(
      decode(v_text || repeat('=', (4 - length(v_text) % 4) % 4), 'base64'), 'UTF8')::jsonb;
    if length(p_cursor) <= 8192 and jsonb_typeof(v_cursor -> 'below') = 'object'
       and p_cursor = credits.write_cursor(p_account_id, p_credit_type, v_cursor -> 'below')
       and not exists (
         select 1 from jsonb_each_text(v_cursor -> 'below') b where b.value::bigint < 0) then
      return v_cursor -> 'below';
    end if;
  exception when data_exception then
    null;
  end;
  perform credits.raise_error('invalid_argument', '{"argument": "p_cursor"}',
    'A cursor is the next_cursor of a page of the same history, unchanged.');
  return null;
end
$$;
comment on function credits.read_cursor(uuid, text, text) is
  'How far the chains of an account have been read: the version below which the next page starts, '
  'by credit type.';
revoke all on function credits.read_cursor(uuid, text, text)
  from public, anon, authenticated, service_role;

create function credits.history_page(
  p_account_id uuid, p_credit_type text, p_limit integer, p_versions jsonb, p_only_actor uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    with found as (
      select t.*,
        -- Times follow versions. Where a clock had stepped back they would not, and versions
        -- decide.
        min(t.created_at) over (partition by t.credit_type order by t.version desc) as at
      from jsonb_each_text(p_versions) c
      cross join lateral credits.entries_below(
        p_account_id, c.key, c.value::bigint, p_only_actor, p_limit + 1) t
    ), numbered as (
      select f.*, row_number() over (order by f.at desc, f.credit_type, f.version desc) as nth
      from found f
    ), page as (
      select n.* from numbered n where n.nth <= p_limit
    )
    select jsonb_build_object(
      'rows', (select coalesce(jsonb_agg(to_jsonb(p) - '{at, nth}'::text[] order by p.nth), '[]')
        from page p),
      'next_cursor', case when exists (select 1 from numbered n where n.nth > p_limit) then
        credits.write_cursor(p_account_id, p_credit_type, p_versions || (
          select jsonb_object_agg(l.credit_type, l.version)
          from (select p.credit_type, min(p.version) as version from page p group by 1) l)) end));
end
$$;
comment on function credits.history_page(uuid, text, integer, jsonb, uuid) is
  'A page of the ledger below these versions, newest first, and the cursor of the next one; null '
  'after the last.';
revoke all on function credits.history_page(uuid, text, integer, jsonb, uuid)
  from public, anon, authenticated, service_role;

create function credits.read_history(
  p_user_id uuid, p_credit_type text, p_limit integer, p_cursor text, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.reading_user(p_user_id);
  v_account_id uuid := credits.paying_account(v_user_id, p_workspace_id, p_credit_type);
  v_versions jsonb;
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.raise_error(
      'invalid_argument', jsonb_build_object('argument', 'p_limit', 'value', p_limit),
      'A page of the history has 1 to 1000 rows.');
  end if;
  if p_cursor is not null then
    v_versions := credits.read_cursor(v_account_id, p_credit_type, p_cursor);
  else
    select coalesce(jsonb_object_agg(b.credit_type, b.version + 1), '{}') into v_versions
    from credits.balances b
    where b.account_id = v_account_id and (p_credit_type is null or b.credit_type = p_credit_type);
  end if;
  return jsonb_build_object('success', true, 'code', 'ok', 'account_id', v_account_id)
    || credits.history_page(v_account_id, p_credit_type, p_limit, v_versions,
      credits.only_actor(v_account_id, v_user_id));
end
$$;
comment on function credits.read_history(uuid, text, integer, text, uuid) is
  'What get_credit_history answers, after asking whether the caller may read it.';
revoke all on function credits.read_history(uuid, text, integer, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.read_history(uuid, text, integer, text, uuid)
  to authenticated, service_role;

-- edge: result=HistoryPage callers=authenticated,service_role repeatable
--   A page of the ledger, newest first: 1 to 1000 rows. ``cursor`` is the ``next_cursor`` of the page before.
--
--   ``iter_credit_history`` goes through all of them. Of a workspace a member reads what they did themselves.
--
--   Raises:
--       InvalidArgument: another ``limit``, or a ``cursor`` of another history.
--       AccountNotFound, UnknownCreditType.
create function public.get_credit_history(
  p_user_id uuid default null, p_credit_type text default null, p_limit integer default 50,
  p_cursor text default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.read_history(p_user_id, p_credit_type, p_limit, p_cursor, p_workspace_id);
comment on function public.get_credit_history(uuid, text, integer, text, uuid) is
  'The ledger of an account, newest first: p_limit rows (1 to 1000), and next_cursor for the page '
  'after them, null after the last. Every row comes once. A signed-in user may leave p_user_id '
  'out; of a workspace a member reads what they did themselves.';
revoke all on function public.get_credit_history(uuid, text, integer, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_credit_history(uuid, text, integer, text, uuid)
  to authenticated, service_role;

-- schemas/ledger/grant_credits.sql

create type credits.grant_order as (
  credit_type text,
  amount bigint,
  source text,
  description text,
  starts_at timestamptz,
  expires_at timestamptz,
  priority integer,
  paid_amount bigint,
  currency text,
  metadata jsonb
);
comment on type credits.grant_order is 'What a caller of grant_credits asks for.';

create function credits.check_grant_order(p_order credits.grant_order)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text;
  v_hint text;
begin
  if not exists (
    select 1 from credits.grant_sources s where s.id = p_order.source and s.may_be_granted) then
    perform credits.raise_error('invalid_argument', jsonb_build_object(
      'argument', 'p_source', 'value', p_order.source, 'known', (
        select jsonb_agg(s.id order by s.id) from credits.grant_sources s where s.may_be_granted)),
      'The source says where the credits come from; the plan''s allowance is granted by the '
      'calendar alone.');
  end if;
  if not coalesce(isfinite(p_order.starts_at), true) then
    v_argument := 'p_starts_at';
    v_hint := 'A grant starts at an instant, or now (null).';
  elsif not coalesce(isfinite(p_order.expires_at), true) then
    v_argument := 'p_expires_at';
    v_hint := 'A grant expires in the future, or never (null).';
  elsif p_order.expires_at <= p_order.starts_at then
    v_argument := 'p_starts_at';
    v_hint := 'A grant starts before it expires.';
  elsif p_order.priority not between 0 and 1000 then
    v_argument := 'p_priority';
    v_hint := 'A priority is a number from 0 to 1000; the lowest is spent first.';
  elsif p_order.paid_amount not between 0 and 9007199254740992
        or (p_order.paid_amount is null and p_order.currency is not null) then
    v_argument := 'p_paid_amount';
    v_hint := 'What was paid is a whole number in the smallest unit of p_currency, from 0.';
  elsif p_order.paid_amount is not null
        and not coalesce(p_order.currency ~ '^[a-z]{3}$', false) then
    v_argument := 'p_currency';
    v_hint := 'A currency is its ISO 4217 code, such as usd. What was paid has one.';
  end if;
  if v_argument is not null then
    perform credits.raise_error(
      'invalid_argument', jsonb_build_object('argument', v_argument), v_hint);
  end if;
end
$$;
comment on function credits.check_grant_order(credits.grant_order) is
  'Raises invalid_argument for what no grant can be.';
revoke all on function credits.check_grant_order(credits.grant_order)
  from public, anon, authenticated, service_role;

create function credits.grant_request(p_user_id uuid, p_order credits.grant_order)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'function', 'grant_credits', 'user_id', p_user_id, 'credit_type', p_order.credit_type,
    'amount', p_order.amount, 'source', p_order.source, 'description', p_order.description,
    'starts_at', p_order.starts_at, 'expires_at', p_order.expires_at, 'priority', p_order.priority,
    'paid_amount', p_order.paid_amount, 'currency', p_order.currency,
    'metadata', p_order.metadata);
end
$$;
comment on function credits.grant_request(uuid, credits.grant_order) is
  'What is compared when a grant is sent again under its key.';
revoke all on function credits.grant_request(uuid, credits.grant_order)
  from public, anon, authenticated, service_role;

create function credits.grant_to(
  p_account_id uuid, p_user_id uuid, p_order credits.grant_order, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_operation_id uuid := gen_random_uuid();
  v_issued record;
  v_paid record;
  v_debt_paid bigint := 0;
  v_request jsonb := credits.grant_request(p_user_id, p_order);
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_order.credit_type);
  if v_balance.account_status = 'closed' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  if p_order.expires_at <= v_balance.settled_at then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_expires_at', 'now', v_balance.settled_at),
      'A grant expires in the future, or never (null).');
  end if;
  if v_balance.kind = 'limit' and p_order.expires_at is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_expires_at'),
      'A limit counts what exists, so what is granted to it never expires.');
  end if;

  v_issued := credits.issue(p_account_id, v_balance, p_user_id, v_operation_id, p_order.source,
    p_order.amount, coalesce(p_order.starts_at, v_balance.settled_at), p_order.expires_at, null,
    p_order.description, p_order.metadata);
  v_balance := v_issued.p_balance;
  update public.credit_grants g set
    priority = coalesce(p_order.priority, g.priority), paid_amount = p_order.paid_amount,
    currency = p_order.currency
  where g.account_id = p_account_id and g.id = v_issued.p_grant_id
    and (p_order.priority is not null or p_order.paid_amount is not null);
  if p_order.source = 'top_up' then
    v_paid := credits.pay_debts(
      p_account_id, v_balance, v_issued.p_grant_id, p_order.amount, v_operation_id);
    v_balance := v_paid.p_balance;
    v_debt_paid := v_paid.p_paid;
  end if;
  -- Settled, for what is frozen now freezes what comes in, too.
  v_balance := credits.apply_due(p_account_id, v_balance);
  perform credits.rearm_levels(p_account_id, p_order.credit_type);
  v_answer := credits.answer(v_balance, v_operation_id, p_order.amount)
    || jsonb_build_object('grant_id', v_issued.p_grant_id, 'debt_paid', v_debt_paid);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.grant_to(uuid, uuid, credits.grant_order, text) is
  'Issues a grant beside the plan''s allowance. A purchase pays first what the account owes.';
revoke all on function credits.grant_to(uuid, uuid, credits.grant_order, text)
  from public, anon, authenticated, service_role;

-- edge: result=Grant callers=service_role keyed
--   Give ``amount`` credits beside the allowance, from ``starts_at`` (None: now) until ``expires_at`` (None: for ever).
--
--   ``source`` is rollover, trial, promotion, compensation, top_up or goodwill, and decides the
--   order of spending, unless ``priority`` does (0 to 1000, the lowest first). A ``top_up`` is a
--   purchase: it pays first what the account owes. ``paid_amount`` is what it cost, in the smallest unit of ``currency``.
--
--   Raises:
--       InvalidArgument: another source, or an ``expires_at`` that is past or for a limit.
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound, UnknownCreditType, InvalidAmount.
create function public.grant_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_source text default 'promotion',
  p_description text default null, p_expires_at timestamptz default null,
  p_idempotency_key text default null, p_metadata jsonb default '{}',
  p_workspace_id uuid default null, p_starts_at timestamptz default null,
  p_priority integer default null, p_paid_amount bigint default null,
  p_currency text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_order credits.grant_order := row(
    p_credit_type, p_amount, p_source, p_description, p_starts_at, p_expires_at, p_priority,
    p_paid_amount, lower(p_currency), coalesce(p_metadata, '{}'));
begin
  perform credits.check_request(p_amount, p_description, p_idempotency_key, p_metadata);
  perform credits.check_grant_order(v_order);
  return credits.respond(credits.grant_to(
    credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, '')), p_user_id,
    v_order, p_idempotency_key));
end
$$;
comment on function public.grant_credits(
  uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid, timestamptz, integer, bigint,
  text) is
  'Gives an account p_amount whole credits beside its allowance, from p_starts_at (null: now) '
  'until p_expires_at (null: for ever). Answers grant_id. p_source: rollover, trial, promotion, '
  'compensation, top_up or goodwill; it decides the order of spending unless p_priority does. A '
  'top_up pays first what the account owes (debt_paid).';
revoke all on function public.grant_credits(
  uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid, timestamptz, integer, bigint,
  text) from public, anon, authenticated, service_role;
grant execute on function public.grant_credits(
  uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid, timestamptz, integer, bigint,
  text) to service_role;

-- schemas/ledger/idempotency_keys.sql

create table credits.idempotency_keys (
  account_id uuid not null,
  idempotency_key text not null,
  operation_id uuid not null,
  remaining bigint,
  allowance bigint,
  used bigint,
  reserved bigint,
  period_end timestamptz,
  request jsonb,
  answer jsonb,
  created_at timestamptz,
  constraint idempotency_keys_pkey primary key (account_id, idempotency_key)
);
comment on table credits.idempotency_keys is
  'Requests that took effect under a key of the caller, with their first answer. Kept as long as the ledger. A denial leaves no row. Of a spend the row has only what the ledger does not tell: request and answer are made again from both.';
comment on column credits.idempotency_keys.remaining is 'Of a spend: what was left after it; null when it was unlimited.';
comment on column credits.idempotency_keys.allowance is 'Of a spend: the allowance then; null when it was unlimited.';
comment on column credits.idempotency_keys.used is 'Of a spend: used in the period, this spend included.';
comment on column credits.idempotency_keys.reserved is 'Of a spend: what live holds had set aside; null for 0.';
comment on column credits.idempotency_keys.period_end is 'Of a spend: the end of the period that it was made in.';
comment on column credits.idempotency_keys.request is 'The request of anything but a spend.';
comment on column credits.idempotency_keys.answer is 'The answer to anything but a spend.';
comment on column credits.idempotency_keys.created_at is 'When anything but a spend took effect; of a spend the ledger says it.';
alter table credits.idempotency_keys enable row level security;
revoke all on table credits.idempotency_keys from public, anon, authenticated, service_role;

create function credits.replay(p_account_id uuid, p_idempotency_key text, p_request jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_key record;
  v_differs_in jsonb;
begin
  if p_idempotency_key is null then
    return null;
  end if;
  select k.operation_id, k.request, k.answer into v_key
  from credits.idempotency_keys k
  where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key;
  if not found then
    return null;
  end if;
  if v_key.answer is null then
    select r.request, r.answer into v_key.request, v_key.answer
    from credits.read_spend_of_key(p_account_id, p_idempotency_key) r;
  end if;
  v_differs_in := credits.differences(v_key.request, p_request);
  if v_differs_in <> '[]' then
    perform credits.raise_error('idempotency_conflict',
      jsonb_build_object('idempotency_key', p_idempotency_key, 'differs_in', v_differs_in));
  end if;
  return v_key.answer || '{"replayed": true}';
end
$$;
comment on function credits.replay(uuid, text, jsonb) is
  'The first answer to this request under this key, marked as replayed; null when the key is new. Raises idempotency_conflict for another request. Call it with the balance locked.';
revoke all on function credits.replay(uuid, text, jsonb) from public, anon, authenticated, service_role;

create function credits.differences(p_request jsonb, p_other jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Times are instants, however the session that wrote them down spells them.
  return (
    select coalesce(jsonb_agg(coalesce(a.key, b.key) order by coalesce(a.key, b.key) collate "C"), '[]')
    from jsonb_each(p_request) a full join jsonb_each(p_other) b on a.key = b.key
    where a.value is distinct from b.value
      and not coalesce(case when a.key ~ '(^|_)at$'
        then (a.value #>> '{}')::timestamptz = (b.value #>> '{}')::timestamptz end, false));
end
$$;
comment on function credits.differences(jsonb, jsonb) is
  'In which arguments two requests differ. What ends in at is a time, and compared as an instant: a key means the same in every session.';
revoke all on function credits.differences(jsonb, jsonb) from public, anon, authenticated, service_role;

create function credits.spend_request(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_metadata jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('function', 'consume_credits', 'user_id', p_user_id, 'credit_type', p_credit_type,
    'amount', p_amount, 'description', p_description, 'metadata', p_metadata);
end
$$;
comment on function credits.spend_request(uuid, text, bigint, text, jsonb) is
  'What makes a spend the same spend under its key, alone or in a batch.';
revoke all on function credits.spend_request(uuid, text, bigint, text, jsonb) from public, anon, authenticated, service_role;

create function credits.read_spend_of_key(p_account_id uuid, p_idempotency_key text, out request jsonb, out answer jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select credits.spend_request(s.user_id, s.credit_type, s.amount, s.description, s.metadata),
    jsonb_build_object(
      'success', true, 'code', 'ok', 'operation_id', k.operation_id, 'credit_type', s.credit_type, 'amount', s.amount,
      'remaining', k.remaining, 'limit', k.allowance, 'used', k.used, 'reserved', coalesce(k.reserved, 0),
      'unlimited', k.allowance is null, 'period_end', k.period_end, 'replayed', false)
    into request, answer
  from credits.idempotency_keys k
  cross join lateral (
    select t.user_id, t.credit_type, (-sum(t.amount))::bigint as amount, t.description, t.metadata
    from public.credit_transactions t
    where t.account_id = k.account_id and t.operation_id = k.operation_id and t.kind = 'consume'
    group by t.user_id, t.credit_type, t.description, t.metadata) s
  where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key;
end
$$;
comment on function credits.read_spend_of_key(uuid, text) is
  'The request and the first answer of a spend under a key, made again from the ledger and from what the key remembers.';
revoke all on function credits.read_spend_of_key(uuid, text) from public, anon, authenticated, service_role;

create function credits.remember_spend(
  p_account_id uuid, p_idempotency_key text, p_operation_id uuid, p_balance credits.balances)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_idempotency_key is null then
    return;
  end if;
  insert into credits.idempotency_keys (
    account_id, idempotency_key, operation_id, remaining, allowance, used, reserved, period_end)
  values (
    p_account_id, p_idempotency_key, p_operation_id, credits.available(p_balance), p_balance.allowance, p_balance.used,
    nullif(p_balance.reserved + p_balance.reserved_unlimited, 0), p_balance.period_end)
  on conflict (account_id, idempotency_key) do nothing;
  if not found then
    perform credits.raise_error('idempotency_conflict', jsonb_build_object('idempotency_key', p_idempotency_key));
  end if;
end
$$;
comment on function credits.remember_spend(uuid, text, uuid, credits.balances) is
  'Keeps what the ledger does not tell of the answer to a spend. Its fast road and a batch do the same in the statement that posts.';
revoke all on function credits.remember_spend(uuid, text, uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.remember(
  p_account_id uuid, p_idempotency_key text, p_operation_id uuid, p_request jsonb, p_answer jsonb, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_idempotency_key is null then
    return;
  end if;
  -- Requests for the same balance wait for its lock, so only a request for another one can be first here.
  insert into credits.idempotency_keys (account_id, idempotency_key, operation_id, request, answer, created_at)
  values (p_account_id, p_idempotency_key, p_operation_id, p_request, p_answer, p_at)
  on conflict (account_id, idempotency_key) do nothing;
  if not found then
    perform credits.raise_error('idempotency_conflict', jsonb_build_object('idempotency_key', p_idempotency_key));
  end if;
end
$$;
comment on function credits.remember(uuid, text, uuid, jsonb, jsonb, timestamptz) is
  'Keeps the answer to a request that took effect, so that the same request is answered alike and takes effect once.';
revoke all on function credits.remember(uuid, text, uuid, jsonb, jsonb, timestamptz) from public, anon, authenticated, service_role;

-- schemas/ledger/post_entry.sql

-- The helpers that move credits. Each takes the locked balance and hands back its next state; save_balance writes it.

create function credits.post_entry(
  p_account_id uuid, inout p_balance credits.balances, p_grant_id uuid, p_user_id uuid, p_operation_id uuid,
  p_kind credits.entry_kind, p_amount bigint, p_related_operation_id uuid, p_description text, p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  p_balance.version := p_balance.version + 1;
  -- What is unlimited has no stock: its rows are of no grant, and leave the balance alone.
  p_balance.balance := p_balance.balance + case when p_grant_id is null then 0 else p_amount end;
  insert into public.credit_transactions (
    account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after,
    related_operation_id, description, metadata, created_at)
  values (
    p_account_id, p_balance.credit_type, p_balance.version, p_operation_id, p_grant_id, p_user_id, p_kind, p_amount,
    case when p_grant_id is not null then p_balance.balance end, p_related_operation_id, p_description, p_metadata, p_balance.settled_at);
end
$$;
comment on function credits.post_entry(uuid, credits.balances, uuid, uuid, uuid, credits.entry_kind, bigint, uuid, text, jsonb) is
  'Adds one row to the ledger: the next version of the locked balance.';
revoke all on function credits.post_entry(uuid, credits.balances, uuid, uuid, uuid, credits.entry_kind, bigint, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.issue(
  p_account_id uuid, inout p_balance credits.balances, p_user_id uuid, p_operation_id uuid, p_source text, p_amount bigint,
  p_starts_at timestamptz, p_expires_at timestamptz, p_related_operation_id uuid, p_description text, p_metadata jsonb,
  p_plan_id text default null, p_period_start timestamptz default null, out p_grant_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
begin
  if p_balance.balance + p_amount > 9007199254740992 then
    perform credits.raise_error('invalid_amount', jsonb_build_object('amount', p_amount, 'balance', p_balance.balance),
      'A balance cannot exceed 9007199254740992 credits.');
  end if;
  insert into public.credit_grants (
    account_id, credit_type, source, priority, amount, remaining, starts_at, expires_at, period_start, plan_id,
    description, metadata, created_at)
  select p_account_id, p_balance.credit_type, s.id,
    case when p_expires_at is null then s.priority else s.priority_when_expiring end,
    p_amount, p_amount, p_starts_at, p_expires_at, p_period_start, p_plan_id, p_description, p_metadata, p_balance.settled_at
  from credits.grant_sources s where s.id = p_source
  returning id into strict p_grant_id;
  p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, p_user_id, p_operation_id, 'grant', p_amount,
    p_related_operation_id, p_description, p_metadata);
end
$$;
comment on function credits.issue(uuid, credits.balances, uuid, uuid, text, bigint, timestamptz, timestamptz, uuid, text, jsonb, text, timestamptz) is
  'Issues a grant: its row, and its first row in the ledger.';
revoke all on function credits.issue(uuid, credits.balances, uuid, uuid, text, bigint, timestamptz, timestamptz, uuid, text, jsonb, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.issue_allowance(
  p_account_id uuid, inout p_balance credits.balances, p_amount bigint, p_plan_id text, p_user_id uuid, p_operation_id uuid,
  p_description text, p_source text default 'plan', out p_grant_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_period_start timestamptz := coalesce(p_balance.period_start, 'epoch');
  v_issued record;
begin
  update public.credit_grants g set amount = g.amount + p_amount, remaining = g.remaining + p_amount
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
    and g.period_start = v_period_start and g.voided_at is null
  returning g.id into p_grant_id;
  if found then
    p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, p_user_id, p_operation_id, 'grant', p_amount, null,
      p_description, '{}');
    return;
  end if;
  select * into v_issued from credits.issue(p_account_id, p_balance, p_user_id, p_operation_id, p_source, p_amount,
    coalesce(p_balance.period_start, p_balance.used_since), p_balance.period_end, null, p_description, '{}',
    p_plan_id, v_period_start);
  p_balance := v_issued.p_balance;
  p_grant_id := v_issued.p_grant_id;
end
$$;
comment on function credits.issue_allowance(uuid, credits.balances, bigint, text, uuid, uuid, text, text) is
  'Adds credits to the plan grant of the period, of which there is one: the allowance itself, or the difference of an upgrade.';
revoke all on function credits.issue_allowance(uuid, credits.balances, bigint, text, uuid, uuid, text, text)
  from public, anon, authenticated, service_role;

create function credits.take_unspent(
  p_account_id uuid, inout p_balance credits.balances, p_grant_id uuid, p_amount bigint, p_kind credits.entry_kind, p_user_id uuid,
  p_operation_id uuid, p_related_operation_id uuid, p_description text)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.credit_grants g set remaining = g.remaining - p_amount, lapsed = g.lapsed + p_amount
  where g.account_id = p_account_id and g.id = p_grant_id;
  p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, p_user_id, p_operation_id, p_kind, -p_amount,
    p_related_operation_id, p_description, '{}');
end
$$;
comment on function credits.take_unspent(uuid, credits.balances, uuid, bigint, credits.entry_kind, uuid, uuid, uuid, text) is
  'Takes credits out of a grant without anybody having spent them: they expire, or are voided.';
revoke all on function credits.take_unspent(uuid, credits.balances, uuid, bigint, credits.entry_kind, uuid, uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.expire_ended(p_account_id uuid, inout p_balance credits.balances, p_related_operation_id uuid default null)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_grant record;
begin
  for v_grant in
    select g.id, g.remaining - g.held as free, case when g.voided_at is null then 'expire' else 'void' end::credits.entry_kind as kind,
      case when g.voided_at is null then g.source || ' expired' else g.void_reason end as reason
    from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open and g.remaining > g.held
      and (g.expires_at <= p_balance.settled_at or g.voided_at is not null)
    order by g.expires_at nulls last, g.id
  loop
    p_balance := credits.take_unspent(p_account_id, p_balance, v_grant.id, v_grant.free, v_grant.kind, null, gen_random_uuid(),
      p_related_operation_id, v_grant.reason);
  end loop;
end
$$;
comment on function credits.expire_ended(uuid, credits.balances, uuid) is
  'Books out what grants that have expired or were voided still have free, also right after a hold or a refund gave it back.';
revoke all on function credits.expire_ended(uuid, credits.balances, uuid) from public, anon, authenticated, service_role;

create function credits.release_slices(p_account_id uuid, inout p_balance credits.balances, p_reservation_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_amount bigint;
begin
  with slices as (
    select s.grant_id, s.amount - s.captured as amount from credits.reservation_slices s
    where s.account_id = p_account_id and s.reservation_id = p_reservation_id
  ), unpinned as (
    update public.credit_grants g set held = g.held - s.amount
    from slices s where g.account_id = p_account_id and g.id = s.grant_id
  )
  select coalesce(sum(s.amount), 0) into v_amount from slices s;
  p_balance.reserved := p_balance.reserved - v_amount;
  p_balance.reserved_unlimited := p_balance.reserved_unlimited - (
    select r.unlimited - r.unlimited_captured from public.credit_reservations r
    where r.account_id = p_account_id and r.id = p_reservation_id);
end
$$;
comment on function credits.release_slices(uuid, credits.balances, uuid) is 'Gives what a hold has set aside back: its slices to their grants, and what was unlimited to nothing.';
revoke all on function credits.release_slices(uuid, credits.balances, uuid) from public, anon, authenticated, service_role;

create function credits.align_allowance(
  p_account_id uuid, inout p_balance credits.balances, p_related_operation_id uuid default null)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_grant record;
  v_taken bigint;
  v_excess bigint;
begin
  if p_balance.kind = 'credit' or p_balance.allowance is null then
    return;
  end if;
  select g.id, g.remaining - g.held as free into v_grant
  from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
    and g.period_start = 'epoch' and g.voided_at is null;
  v_taken := credits.taken_of_limit(p_account_id, p_balance);
  v_excess := coalesce(v_grant.free, 0) - greatest(0, p_balance.allowance - v_taken);
  if v_excess > 0 then
    p_balance := credits.take_unspent(p_account_id, p_balance, v_grant.id, v_excess, 'expire', null, gen_random_uuid(),
      p_related_operation_id, 'above the allowance');
  elsif v_excess < 0 then
    p_balance := (select i.p_balance from credits.issue_allowance(p_account_id, p_balance, -v_excess,
      (select t.plan_id from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at) t),
      null, gen_random_uuid(), 'plan allowance') i);
  end if;
end
$$;
comment on function credits.align_allowance(uuid, credits.balances, uuid) is
  'Brings the plan grant of a limit to what its allowance leaves free: its allowance, less what exists. Does nothing for credits, nor while the limit is unlimited.';
revoke all on function credits.align_allowance(uuid, credits.balances, uuid) from public, anon, authenticated, service_role;

create function credits.taken_of_limit(p_account_id uuid, p_balance credits.balances)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- What was made while the limit was unlimited is of no grant, and exists all the same.
  return p_balance.used + p_balance.reserved_unlimited + (
    select coalesce(sum(case when g.source = 'plan' then g.held else -g.spent end), 0)
    from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type);
end
$$;
comment on function credits.taken_of_limit(uuid, credits.balances) is
  'How much of a limit''s allowance is taken: what exists and is held, less what other grants pay for.';
revoke all on function credits.taken_of_limit(uuid, credits.balances) from public, anon, authenticated, service_role;

create function credits.save_balance(p_account_id uuid, inout p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_terms record;
begin
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at);
  p_balance.is_floating := p_balance.kind = 'limit' or not v_terms.is_included or p_balance.overdrawn > 0;
  select
    coalesce(sum(g.remaining - g.held) filter (where g.frozen_at is not null or g.starts_at > p_balance.settled_at), 0),
    case when p_balance.is_floating then '-infinity' else least(
      min(g.expires_at) filter (where g.expires_at > p_balance.settled_at),
      min(g.starts_at) filter (where g.starts_at > p_balance.settled_at),
      (select min(r.expires_at) from public.credit_reservations r
        where r.account_id = p_account_id and r.credit_type = p_balance.credit_type and r.status = 'open'),
      p_balance.period_end, v_terms.changes_at, 'infinity') end
    into p_balance.withheld, p_balance.due_at
  from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open;

  update credits.balances b set
    version = p_balance.version, balance = p_balance.balance, withheld = p_balance.withheld,
    reserved = p_balance.reserved, reserved_unlimited = p_balance.reserved_unlimited, used = p_balance.used, used_since = p_balance.used_since,
    allowance = p_balance.allowance, period_start = p_balance.period_start, period_end = p_balance.period_end,
    anchored_by = p_balance.anchored_by, restarted_at = p_balance.restarted_at,
    restarted_event = p_balance.restarted_event,
    is_floating = p_balance.is_floating, plan_id = p_balance.plan_id,
    plan_version = p_balance.plan_version, granted = p_balance.granted, overdrawn = p_balance.overdrawn,
    due_at = p_balance.due_at, settled_at = p_balance.settled_at
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
end
$$;
comment on function credits.save_balance(uuid, credits.balances) is
  'Writes the locked balance back, with what is withheld and when something falls due next worked out anew.';
revoke all on function credits.save_balance(uuid, credits.balances) from public, anon, authenticated, service_role;

-- schemas/ledger/revoke_grant.sql

create function credits.lock_grant(
  p_account_id uuid, p_grant_id uuid, out p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
begin
  select g.credit_type into v_credit_type from public.credit_grants g
  where g.account_id = p_account_id and g.id = p_grant_id;
  if not found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_grant_id', 'value', p_grant_id),
      'This account has no such grant.');
  end if;
  p_balance := credits.lock_balance(p_account_id, v_credit_type);
end
$$;
comment on function credits.lock_grant(uuid, uuid) is
  'Locks the balance that a grant belongs to. Raises invalid_argument when the account has no such '
  'grant.';
revoke all on function credits.lock_grant(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.revoke(
  p_account_id uuid, p_user_id uuid, p_grant_id uuid, p_reason text, p_amount bigint default null)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_grant(p_account_id, p_grant_id);
  v_grant record;
  v_operation_id uuid := gen_random_uuid();
  v_amount bigint;
begin
  if v_balance.account_status = 'closed' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  select g.source, g.voided_at, g.remaining - g.held as free, g.credit_type, g.created_at
    into v_grant
  from public.credit_grants g where g.account_id = p_account_id and g.id = p_grant_id;
  if v_grant.voided_at is not null then
    return credits.answer(v_balance, null, 0)
      || jsonb_build_object('grant_id', p_grant_id, 'replayed', true);
  end if;
  if v_balance.kind = 'limit' and v_grant.source = 'plan' then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_grant_id', 'value', p_grant_id),
      'The allowance of a limit follows from the plan. Change the plan instead.');
  end if;
  if p_amount > v_grant.free then
    perform credits.raise_error('invalid_amount',
      jsonb_build_object('amount', p_amount, 'revocable', v_grant.free),
      'More than a grant has left cannot be taken back.');
  end if;
  v_amount := coalesce(p_amount, v_grant.free);
  if v_amount > 0 then
    v_balance := credits.take_unspent(p_account_id, v_balance, p_grant_id, v_amount, 'void',
      p_user_id, v_operation_id,
      -- A part relates to what issued the grant, which tells it from the end of the grant.
      case when p_amount is not null then (
        select t.operation_id from public.credit_transactions t
        where t.account_id = p_account_id and t.credit_type = v_grant.credit_type
          and t.created_at = v_grant.created_at and t.grant_id = p_grant_id and t.kind = 'grant'
        order by t.version limit 1) end,
      coalesce(p_reason, 'revoked'));
  end if;
  -- A grant of which a part was taken back goes on: what is refunded into it can be spent again.
  if p_amount is null then
    update public.credit_grants g
    set voided_at = v_balance.settled_at, void_reason = coalesce(p_reason, 'revoked')
    where g.account_id = p_account_id and g.id = p_grant_id;
  end if;
  v_balance := credits.save_balance(p_account_id, v_balance);
  return credits.answer(v_balance, v_operation_id, v_amount)
    || jsonb_build_object('grant_id', p_grant_id);
end
$$;
comment on function credits.revoke(uuid, uuid, uuid, text, bigint) is
  'Voids what a grant has left, or p_amount of it. What a live hold has pinned stays with the '
  'hold, and lapses when it is released.';
revoke all on function credits.revoke(uuid, uuid, uuid, text, bigint)
  from public, anon, authenticated, service_role;

create function credits.freeze_grant(p_account_id uuid, p_grant_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_grant(p_account_id, p_grant_id);
begin
  -- A payment that is past due freezes and thaws with the calendar; any other reason outlasts it.
  update public.credit_grants g
  set frozen_at = coalesce(g.frozen_at, v_balance.settled_at), frozen_reason = p_reason
  where g.account_id = p_account_id and g.id = p_grant_id
    and (g.frozen_at is null or g.frozen_reason = 'past_due');
  if not found then
    return false;
  end if;
  perform credits.save_balance(p_account_id, v_balance);
  return true;
end
$$;
comment on function credits.freeze_grant(uuid, uuid, text) is
  'Keeps what a grant has left from being spent, for a reason in words: a payment is disputed. '
  'Says whether it is frozen for this reason now; one that is frozen for another one keeps that.';
revoke all on function credits.freeze_grant(uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.thaw_grant(p_account_id uuid, p_grant_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_grant(p_account_id, p_grant_id);
begin
  update public.credit_grants g set frozen_at = null, frozen_reason = null
  where g.account_id = p_account_id and g.id = p_grant_id and g.frozen_reason = p_reason;
  if not found then
    return false;
  end if;
  -- Where a payment is past due, that freezes it from now on.
  perform credits.apply_due(p_account_id, v_balance);
  return true;
end
$$;
comment on function credits.thaw_grant(uuid, uuid, text) is
  'Lets a grant be spent again that was frozen for this reason. Says whether it was.';
revoke all on function credits.thaw_grant(uuid, uuid, text)
  from public, anon, authenticated, service_role;

-- edge: result=Grant callers=service_role repeatable-without=amount
--   Take back what a grant has left, or ``amount`` of it; the answer's ``amount`` says how much that was.
--
--   What was spent stays spent. A second time changes nothing and answers ``replayed``. Where a part
--   was taken back, the grant goes on.
--
--   Raises:
--       InvalidArgument: the account has no such grant.
--       InvalidAmount: more than it has left.
create function public.revoke_grant(
  p_user_id uuid, p_grant_id uuid, p_reason text default null, p_workspace_id uuid default null,
  p_amount bigint default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(coalesce(p_amount, 1), p_reason, null, null, 'p_reason');
  return credits.respond(credits.revoke(credits.paying_account(p_user_id, p_workspace_id), p_user_id,
    p_grant_id, p_reason, p_amount));
end
$$;
comment on function public.revoke_grant(uuid, uuid, text, uuid, bigint) is
  'Takes back what a grant has left, or p_amount of it; amount says how much that was. What was '
  'spent stays spent. A second time changes nothing and answers replayed.';
revoke all on function public.revoke_grant(uuid, uuid, text, uuid, bigint)
  from public, anon, authenticated, service_role;
grant execute on function public.revoke_grant(uuid, uuid, text, uuid, bigint) to service_role;

-- schemas/ledger/spendable_grants.sql

create function credits.spendable_grants(p_account_id uuid, p_credit_type text, p_at timestamptz)
returns table (id uuid, free bigint)
language plpgsql
stable
rows 3
security invoker
set search_path = ''
as $$
begin
  return query
  select g.id, g.remaining - g.held
  from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = p_credit_type and g.is_open and g.remaining > g.held
    and g.starts_at <= p_at and (g.expires_at is null or g.expires_at > p_at) and g.frozen_at is null
  order by g.priority, g.expires_at, g.starts_at, g.id;
end
$$;
comment on function credits.spendable_grants(uuid, text, timestamptz) is
  'The grants that may be spent at an instant, in burn order: started, not expired, with something free, not frozen (what was voided has nothing free). The fast roads of consume and reserve say the same in the statement that changes the first one.';
revoke all on function credits.spendable_grants(uuid, text, timestamptz) from public, anon, authenticated, service_role;

-- schemas/ledger/usage.sql

-- A project may have a usage table of its own: then it keeps its columns, rows, key, privileges and
-- policies, and gains what is missing, nullable. The preflight has made sure that rows of ours can
-- live in it.
do $usage$
begin
  if to_regclass('public.usage') is not null then
    alter table public.usage
      add column if not exists id uuid,
      add column if not exists account_id uuid, add column if not exists user_id uuid,
      add column if not exists credit_type text, add column if not exists credits_used bigint,
      add column if not exists status text, add column if not exists description text,
      add column if not exists metadata jsonb, add column if not exists operation_id uuid,
      add column if not exists created_at timestamptz;
    -- Rows that were there say nothing about when; new ones do.
    if (select not a.atthasdef and a.attidentity = '' and format_type(a.atttypid, null) = 'uuid'
        from pg_catalog.pg_attribute a where a.attrelid = 'public.usage'::regclass
          and a.attname = 'id') then
      alter table public.usage alter column id set default gen_random_uuid();
    end if;
    if (select not a.atthasdef from pg_catalog.pg_attribute a
        where a.attrelid = 'public.usage'::regclass and a.attname = 'created_at') then
      alter table public.usage alter column created_at set default now();
    end if;
    create index if not exists usage_user_id_created_at_idx on public.usage (user_id, created_at);
    create index if not exists usage_account_id_created_at_idx
      on public.usage (account_id, created_at);
    return;
  end if;

  create table public.usage (
    account_id uuid not null,
    id uuid not null default gen_random_uuid(),
    user_id uuid,
    credit_type text not null,
    credits_used bigint not null,
    status text not null,
    description text,
    metadata jsonb not null default '{}',
    operation_id uuid not null,
    created_at timestamptz not null default now(),
    -- The index by account and time is the key itself, so that an attempt pays for one index less.
    constraint usage_pkey primary key (account_id, created_at, id)
  );
  create index usage_user_id_created_at_idx on public.usage (user_id, created_at);
  comment on table public.usage is
    'Every metered attempt, allowed or denied. A hold is one attempt: denied when it was refused, '
    'allowed when it was captured.';
  comment on column public.usage.user_id is 'Who acted; account_id is who pays.';
  comment on column public.usage.credits_used is
    'Credits charged by this attempt; 0 when it was denied.';
  alter table public.usage enable row level security;
  revoke all on table public.usage from public, anon, authenticated, service_role;
  grant select on table public.usage to authenticated, service_role;
  create policy "Users may read their usage and what they oversee"
    on public.usage for select to authenticated using (
      account_id = any (credits.readable_ids())
      and (user_id = account_id or user_id = credits.reader_id()
        or account_id = any (credits.overseen_ids())));
end
$usage$;

-- schemas/messages/outbox.sql

-- Messages out. What happens to an account is announced in the transaction in which it happens
-- (credits.announce): a row of the outbox, and a notification for each of its people. A rollback
-- takes both back. A worker routes the outbox to channels (credits.route_messages), and each
-- channel of an account delivers its messages in their order, whatever becomes of the others.

create table credits.message_kinds (
  id text not null,
  is_essential boolean not null default false,
  is_mailed boolean not null default true,
  constraint message_kinds_pkey primary key (id)
);
comment on table credits.message_kinds is 'What can be announced. The same list on every machine.';
comment on column credits.message_kinds.is_essential is
  'Mailed whatever the person has turned off, and without an unsubscribe link.';
comment on column credits.message_kinds.is_mailed is
  'Mailed unless the person has turned it off. Others are shown in the app and sent to webhooks.';
alter table credits.message_kinds enable row level security;
revoke all on table credits.message_kinds from public, anon, authenticated, service_role;
insert into credits.message_kinds (id, is_essential, is_mailed) values
  ('credits.level', false, true),
  ('credits.recovered', false, false),
  ('credits.renewed', false, false),
  ('credits.expiring', false, true),
  ('top_up.bought', false, true),
  ('top_up.stopped', false, true),
  ('payment.failed', true, true),
  ('plan.changed', true, true),
  ('trial.ending', false, true),
  ('hold.expired', false, false),
  ('budget.reached', false, true);

create table credits.outbox (
  account_id uuid not null,
  id uuid not null default gen_random_uuid(),
  n bigint generated always as identity,
  kind text not null,
  credit_type text,
  user_id uuid,
  data jsonb not null,
  once_key text,
  created_at timestamptz not null,
  routed_at timestamptz,
  constraint outbox_pkey primary key (account_id, id),
  constraint outbox_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
create unique index outbox_account_id_once_key_key on credits.outbox (account_id, once_key)
  where once_key is not null;
create index outbox_waiting_idx on credits.outbox (n) where routed_at is null;
create index outbox_routed_at_idx on credits.outbox (routed_at) where routed_at is not null;
comment on table credits.outbox is
  'What is to be told about an account, written in the transaction in which it happened.';
comment on column credits.outbox.n is
  'In which order messages of one account were written. Messages about one credit type commit in '
  'this order, for their balance is locked.';
comment on column credits.outbox.user_id is 'Who acted, where a person did.';
comment on column credits.outbox.once_key is 'What is announced under one key is announced once.';
comment on column credits.outbox.routed_at is 'When a worker gave it to the account''s channels.';
alter table credits.outbox enable row level security;
revoke all on table credits.outbox from public, anon, authenticated, service_role;

-- schemas/messages/credit_notifications.sql

create table public.credit_notifications (
  account_id uuid not null,
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  kind text not null,
  data jsonb not null,
  created_at timestamptz not null,
  read_at timestamptz,
  constraint credit_notifications_pkey primary key (account_id, id),
  constraint credit_notifications_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
create index credit_notifications_user_id_created_at_idx
  on public.credit_notifications (user_id, created_at);
create index credit_notifications_created_at_idx on public.credit_notifications (created_at);
comment on table public.credit_notifications is
  'What people are told in the app: one row per message and person. Written with what it tells of.';
comment on column public.credit_notifications.user_id is 'Who is told.';
comment on column public.credit_notifications.read_at is 'When the person has read it.';
alter table public.credit_notifications enable row level security;
revoke all on table public.credit_notifications from public, anon, authenticated, service_role;
grant select on table public.credit_notifications to authenticated, service_role;
create policy "People may read their notifications" on public.credit_notifications
  for select to authenticated using (
    account_id = any (credits.readable_ids()) and user_id = credits.reader_id());

-- schemas/messages/message_preferences.sql

create table credits.message_preferences (
  account_id uuid not null,
  user_id uuid not null,
  by_mail boolean not null default true,
  in_app boolean not null default true,
  constraint message_preferences_pkey primary key (account_id, user_id),
  constraint message_preferences_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
comment on table credits.message_preferences is
  'What a person wants to be told about an account, and how. Without a row: everything.';
alter table credits.message_preferences enable row level security;
revoke all on table credits.message_preferences from public, anon, authenticated, service_role;

create function credits.people_of(p_account_id uuid)
returns table (user_id uuid, by_mail boolean, in_app boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select p.user_id, coalesce(f.by_mail, true), coalesce(f.in_app, true)
  from (
    select a.account_id as user_id from credits.accounts a
    where a.account_id = p_account_id and a.kind = 'person'
    union
    select m.user_id from public.credit_workspace_members m
    where m.account_id = p_account_id and m.role in ('owner', 'admin')
  ) p
  left join credits.message_preferences f
    on f.account_id = p_account_id and f.user_id = p.user_id
  order by p.user_id;
end
$$;
comment on function credits.people_of(uuid) is
  'Who is told about an account: the person, or the owners and admins of a workspace.';
revoke all on function credits.people_of(uuid) from public, anon, authenticated, service_role;

-- schemas/messages/announce.sql

create function credits.announce(
  p_account_id uuid, p_kind text, p_data jsonb default '{}', p_credit_type text default null,
  p_user_id uuid default null, p_once text default null)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_data jsonb;
  v_message_id uuid;
begin
  if not exists (select 1 from credits.message_kinds k where k.id = p_kind) then
    raise exception 'no such kind of message: %', p_kind;
  end if;
  v_data := jsonb_build_object('account_id', p_account_id, 'at', credits.account_time(p_account_id))
    || case when p_credit_type is null then jsonb '{}'
      else jsonb_build_object('credit_type', p_credit_type) end
    || case when p_user_id is null then jsonb '{}'
      else jsonb_build_object('user_id', p_user_id) end
    || coalesce(p_data, '{}');
  insert into credits.outbox (
    account_id, kind, credit_type, user_id, data, once_key, created_at)
  values (p_account_id, p_kind, p_credit_type, p_user_id, v_data, p_once, v_now)
  on conflict (account_id, once_key) where once_key is not null do nothing
  returning id into v_message_id;
  if v_message_id is null then
    return null;
  end if;
  insert into public.credit_notifications (account_id, user_id, kind, data, created_at)
  select p_account_id, p.user_id, p_kind, v_data, v_now
  from credits.people_of(p_account_id) p
  where p.in_app;
  perform credits.broadcast(p_account_id, p_kind, v_message_id);
  return v_message_id;
end
$$;
comment on function credits.announce(uuid, text, jsonb, text, uuid, text) is
  'Tells the people and the receivers of an account what has just happened to it, as part of the '
  'transaction: nothing is told of what is rolled back. p_once: what bears the same key is told '
  'once (then null). Answers the id of the message.';
revoke all on function credits.announce(uuid, text, jsonb, text, uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/messages/broadcast.sql

-- Where Supabase Realtime is there, pages that show an account hear at once that there is news, and
-- read it through row level security. Who may listen is asked when a page joins a topic, not for
-- each message: so the topic of an account changes when a member goes.
create table credits.broadcast_epochs (
  account_id uuid not null,
  epoch integer not null,
  constraint broadcast_epochs_pkey primary key (account_id),
  constraint broadcast_epochs_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
comment on table credits.broadcast_epochs is
  'How often the topic of a workspace has changed because a member went. Without a row: never.';
alter table credits.broadcast_epochs enable row level security;
revoke all on table credits.broadcast_epochs from public, anon, authenticated, service_role;

create function credits.topic_of(p_account_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return 'account:' || p_account_id || ':' || coalesce(
    (select e.epoch from credits.broadcast_epochs e where e.account_id = p_account_id), 0);
end
$$;
comment on function credits.topic_of(uuid) is 'On which topic news of an account is broadcast.';
revoke all on function credits.topic_of(uuid) from public, anon, authenticated, service_role;

create function credits.broadcast(p_account_id uuid, p_kind text, p_message_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_send regproc := to_regprocedure('realtime.send(jsonb,text,text,boolean)');
begin
  if v_send is null then
    return;
  end if;
  begin
    -- Ids and kinds only: figures are read by those who may.
    execute format('select %s($1, ''credits'', $2, true)', v_send)
      using jsonb_build_object('id', p_message_id, 'kind', p_kind), credits.topic_of(p_account_id);
  exception when others then
    raise warning 'credits: news of account % was not broadcast: % (%)',
      p_account_id, sqlerrm, sqlstate;
  end;
end
$$;
comment on function credits.broadcast(uuid, text, uuid) is
  'Says on the account''s topic that there is news, where Supabase Realtime is there. Never fails.';
revoke all on function credits.broadcast(uuid, text, uuid)
  from public, anon, authenticated, service_role;

create function credits.change_topic()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into credits.broadcast_epochs as e (account_id, epoch) values (old.account_id, 1)
  on conflict (account_id) do update set epoch = e.epoch + 1;
  return null;
end
$$;
comment on function credits.change_topic() is
  'Gives a workspace another topic when a member goes: who listened to the old one hears no more.';
revoke all on function credits.change_topic() from public, anon, authenticated, service_role;
create trigger credit_workspace_members_change_topic
  after delete or update of user_id on public.credit_workspace_members
  for each row execute function credits.change_topic();

-- schemas/messages/levels.sql

-- Levels: at which share of a credit type's period, and at which amounts left, people are warned.
--
-- The row of the balance has the next level, so that a spend compares its own outcome with one
-- number. What lies below that level has been told. Only a grant, or a new period, takes it down.

create table credits.alert_settings (
  account_id uuid not null,
  credit_type text not null,
  percents integer[] not null,
  amounts bigint[] not null,
  constraint alert_settings_pkey primary key (account_id, credit_type),
  constraint alert_settings_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
comment on table credits.alert_settings is
  'The levels of an account that are not those of credits.settings.';
comment on column credits.alert_settings.percents is 'Shares used, from 1 to 100, in order.';
comment on column credits.alert_settings.amounts is 'Amounts left, in order.';
alter table credits.alert_settings enable row level security;
revoke all on table credits.alert_settings from public, anon, authenticated, service_role;

create function credits.percent_used(p_used bigint, p_remaining bigint)
returns integer
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case
    when p_remaining is null then 0
    when p_used + p_remaining = 0 then 100
    else div(100::numeric * p_used, p_used::numeric + p_remaining) end;
end
$$;
comment on function credits.percent_used(bigint, bigint) is
  'The share used of a credit type in its period, in whole percent rounded down, whatever was '
  'bought or given beside the allowance: the same figure for summary, page, header and alert.';
revoke all on function credits.percent_used(bigint, bigint)
  from public, anon, authenticated, service_role;

create function credits.levels_of(
  p_account_id uuid, p_credit_type text, out percents integer[], out amounts bigint[],
  out is_default boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select a.percents, a.amounts, false into percents, amounts, is_default
  from credits.alert_settings a
  where a.account_id = p_account_id and a.credit_type = p_credit_type;
  if not found then
    select s.alert_percents, array[]::bigint[], true into percents, amounts, is_default
    from credits.settings s;
  end if;
end
$$;
comment on function credits.levels_of(uuid, text) is
  'At which shares used and amounts left the people of an account are warned.';
revoke all on function credits.levels_of(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.reaches_level(p_balance credits.balances)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_remaining bigint := credits.available(p_balance);
begin
  return coalesce(
    100::numeric * p_balance.used
      >= p_balance.alert_percent::numeric * (p_balance.used + v_remaining)
    or v_remaining <= p_balance.alert_amount, false);
end
$$;
comment on function credits.reaches_level(credits.balances) is
  'Whether a balance is at or beyond the next level that its people are warned of. Never while it '
  'is unlimited. The fast roads compare the same in the statement that charges.';
revoke all on function credits.reaches_level(credits.balances)
  from public, anon, authenticated, service_role;

create function credits.notice_levels(p_account_id uuid, p_credit_type text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_levels record;
  v_remaining bigint;
  v_from bigint;
  v_percent integer;
  v_amount bigint;
begin
  select * into v_balance from credits.balances b
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  if not credits.reaches_level(v_balance) then
    return;
  end if;
  v_levels := credits.levels_of(p_account_id, p_credit_type);
  v_remaining := credits.available(v_balance);
  v_from := case when v_balance.alert_percent = 0 then 9223372036854775807
    else v_balance.alert_amount end;
  -- Who passes several levels at once is told of the last one.
  select max(l) into v_percent from unnest(v_levels.percents) l
  where l >= v_balance.alert_percent
    and 100::numeric * v_balance.used >= l::numeric * (v_balance.used + v_remaining);
  select min(a) into v_amount from unnest(v_levels.amounts) a
  where a <= v_from and a >= v_remaining;
  update credits.balances b set
    alert_percent = (select min(l) from unnest(v_levels.percents) l
      where l >= v_balance.alert_percent and (v_percent is null or l > v_percent)),
    alert_amount = (select max(a) from unnest(v_levels.amounts) a
      where a <= v_from and (v_amount is null or a < v_amount))
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  if v_percent is not null then
    perform credits.announce_level(p_account_id, v_balance, v_percent, 'percent');
  end if;
  if v_amount is not null then
    perform credits.announce_level(p_account_id, v_balance, v_amount, 'credits');
  end if;
end
$$;
comment on function credits.notice_levels(uuid, text) is
  'Warns of a level that the locked balance has reached, and remembers the next one. Called by '
  'what spends, in its transaction.';
revoke all on function credits.notice_levels(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.announce_level(
  p_account_id uuid, p_balance credits.balances, p_level bigint, p_unit text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.announce(p_account_id, 'credits.level',
    credits.level_data(p_balance)
      || jsonb_build_object('level', p_level, 'unit', p_unit),
    p_balance.credit_type);
end
$$;
comment on function credits.announce_level(uuid, credits.balances, bigint, text) is
  'Tells of one level: a share used in percent, or an amount of credits left.';
revoke all on function credits.announce_level(uuid, credits.balances, bigint, text)
  from public, anon, authenticated, service_role;

create function credits.level_data(p_balance credits.balances)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_remaining bigint := credits.available(p_balance);
begin
  return jsonb_build_object(
    'name', (select t.description from credits.credit_types t where t.id = p_balance.credit_type),
    'kind', p_balance.kind, 'used', p_balance.used, 'remaining', v_remaining,
    'percent_used', credits.percent_used(p_balance.used, v_remaining),
    'period_end', p_balance.period_end);
end
$$;
comment on function credits.level_data(credits.balances) is
  'What a message about a level or a renewal says of the balance.';
revoke all on function credits.level_data(credits.balances)
  from public, anon, authenticated, service_role;

create function credits.rearm_levels(p_account_id uuid, p_credit_type text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_levels record;
  v_remaining bigint;
  v_percents integer[];
  v_amounts bigint[];
begin
  select * into v_balance from credits.balances b
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  v_remaining := credits.available(v_balance);
  -- Nothing has been told of this period, or nothing can be.
  if v_balance.alert_percent = 0 or v_remaining is null then
    return;
  end if;
  v_levels := credits.levels_of(p_account_id, p_credit_type);
  v_percents := array(select l from unnest(v_levels.percents) l
    where l < coalesce(v_balance.alert_percent, 101)
      and 100::numeric * v_balance.used < l::numeric * (v_balance.used + v_remaining) order by l);
  v_amounts := array(select a from unnest(v_levels.amounts) a
    where a > coalesce(v_balance.alert_amount, -1) and v_remaining > a order by a);
  if cardinality(v_percents) + cardinality(v_amounts) = 0 then
    return;
  end if;
  update credits.balances b set
    alert_percent = coalesce(v_percents[1], b.alert_percent),
    alert_amount = coalesce(v_amounts[cardinality(v_amounts)], b.alert_amount)
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  perform credits.announce(p_account_id, 'credits.recovered',
    credits.level_data(v_balance)
      || jsonb_build_object('levels', v_percents, 'amounts', v_amounts),
    p_credit_type);
end
$$;
comment on function credits.rearm_levels(uuid, text) is
  'After a grant has lifted the locked balance: levels that it is below again can be told anew. '
  'Says so, if there are any.';
revoke all on function credits.rearm_levels(uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/spending/check_credits.sql

-- edge: result=Advice callers=service_role repeatable
--   Whether ``amount`` credits could be spent now.
--
--   Advice for a user interface: it changes nothing, holds nothing and does not raise when there is
--   not enough. To be sure, reserve.
create function public.check_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint default 1, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_balance credits.balances;
  v_now record;
begin
  perform credits.check_request(p_amount, null, null, null);
  v_account_id := credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, ''));
  if p_workspace_id is not null then
    perform credits.require_spender(v_account_id, p_user_id);
  end if;
  perform credits.give_deleted_rows_back(v_account_id);
  select * into v_balance from credits.balances b where b.account_id = v_account_id and b.credit_type = p_credit_type;
  v_balance.settled_at := greatest(coalesce(v_balance.test_now, statement_timestamp()), v_balance.settled_at);
  select * into v_now from credits.balance_at(v_account_id, v_balance, v_balance.settled_at);
  v_balance.allowance := v_now.allowance;
  v_balance.used := v_now.used;
  v_balance.reserved := v_now.reserved;
  v_balance.reserved_unlimited := 0;
  v_balance.withheld := 0;
  v_balance.balance := v_now.remaining + v_now.reserved;
  v_balance.period_end := v_now.period_end;
  if v_balance.account_status = 'frozen' then
    return credits.explain_denial(credits.denial(v_account_id, v_balance, null, p_amount)) || jsonb_build_object(
      'code', 'account_frozen', 'message', 'This account is frozen.', 'hint', credits.frozen_words());
  end if;
  if v_now.remaining < p_amount then
    return credits.explain_denial(credits.denial(v_account_id, v_balance, null, p_amount));
  end if;
  return credits.respond(credits.answer(v_balance, null, p_amount));
end
$$;
comment on function public.check_credits(uuid, text, bigint, uuid) is
  'Whether p_amount could be spent now: advice for a UI, with the answer that consume_credits would give, or the code account_frozen. Changes nothing and holds nothing; to be sure, reserve.';
revoke all on function public.check_credits(uuid, text, bigint, uuid) from public, anon, authenticated, service_role;
grant execute on function public.check_credits(uuid, text, bigint, uuid) to service_role;

-- schemas/spending/consume_credits.sql

-- A spend takes one of two roads. The fast one is two statements: charge the balance, which locks it, then take from the
-- first grant, post, log and keep the key. The careful one does what the fast one cannot: book what has fallen due,
-- replay, deny, take from several grants, and spend what is unlimited.

-- edge: result=Answer callers=service_role keyed denies
--   Spend ``amount`` credits, all or nothing.
--
--   The same ``idempotency_key`` takes effect once. ``strict`` keeps a denial off the record in
--   ``usage``, and off what else the transaction has done.
--
--   Raises:
--       InsufficientCredits: there is not enough (also LimitReached, MemberCapReached).
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, AccountNotFound, UnknownCreditType, InvalidAmount, InvalidArgument.
create function public.consume_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint default 1, p_description text default null,
  p_idempotency_key text default null, p_metadata jsonb default '{}', p_workspace_id uuid default null,
  p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_metadata jsonb;
  v_answer jsonb;
begin
  v_metadata := credits.check_request(p_amount, p_description, p_idempotency_key, p_metadata);
  -- A person who has the balance is the common case and costs no look-up; every other one is sorted out below.
  if p_workspace_id is null then
    v_answer := credits.consume(p_user_id, p_user_id, p_credit_type, p_amount, p_description, p_idempotency_key,
      v_metadata);
    if v_answer ->> 'code' = 'ok' and current_setting('response.status', true) is distinct from '402' then
      return v_answer;
    end if;
  end if;
  if v_answer is null then
    v_answer := credits.consume(credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, '')), p_user_id,
      p_credit_type, p_amount, p_description, p_idempotency_key, v_metadata);
  end if;
  return credits.respond(v_answer, p_strict);
end
$$;
comment on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean) is
  'Spends p_amount whole credits, all or nothing. Answers a JSON object; running out is an answer (success false, HTTP 402) and is on record in usage, unless p_strict raises it. The same p_idempotency_key takes effect once.';
revoke all on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean) to service_role;

create function credits.consume(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_idempotency_key text,
  p_metadata jsonb, p_forced boolean default false)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid;
  v_version bigint;
  v_balance bigint;
  v_remaining bigint;
  v_allowance bigint;
  v_used bigint;
  v_reserved bigint;
  v_period_end timestamptz;
  v_at timestamptz;
  v_reaches_level boolean;
begin
  -- A caller that waits here for the lock compares anew with what the one before left.
  update credits.balances b set
    version = b.version + 1, balance = b.balance - p_amount, used = b.used + p_amount,
    settled_at = greatest(b.settled_at, least(coalesce(b.test_now, clock_timestamp()), b.due_at - interval '1 microsecond'))
  where b.account_id = p_account_id and b.credit_type = p_credit_type and b.account_status = 'active'
    and (b.user_id is not null or p_user_id is distinct from p_account_id)
    and b.due_at > greatest(b.settled_at, coalesce(b.test_now, clock_timestamp()))
    and b.allowance is not null and b.balance - b.withheld - b.reserved >= p_amount
  returning gen_random_uuid(), b.version, b.balance, b.balance - b.withheld - b.reserved, b.allowance, b.used,
      b.reserved + b.reserved_unlimited, b.period_end, b.settled_at,
      -- As credits.reaches_level says.
      100::numeric * b.used >= b.alert_percent::numeric * (b.used + b.balance - b.withheld - b.reserved)
        or b.balance - b.withheld - b.reserved <= b.alert_amount
    into v_operation_id, v_version, v_balance, v_remaining, v_allowance, v_used, v_reserved, v_period_end, v_at,
      v_reaches_level;
  if not found then
    return credits.consume_with_care(p_account_id, p_user_id, p_credit_type, p_amount, p_description, p_idempotency_key,
      p_metadata, p_forced);
  end if;
  if p_user_id <> p_account_id then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;

  -- The balance was locked in the statement before, so this one sees what everybody else has left. It does nothing when the
  -- account is gone, the key is known, or the first grant (see spendable_grants) does not have it all.
  if p_idempotency_key is null then
    with spent as (
      update public.credit_grants g set remaining = g.remaining - p_amount, spent = g.spent + p_amount
      where g.account_id = p_account_id and g.remaining - g.held >= p_amount
        and exists (select 1 from credits.living_accounts l where l.account_id = p_account_id) and g.id = (
        select f.id from public.credit_grants f
        where f.account_id = p_account_id and f.credit_type = p_credit_type and f.is_open and f.remaining > f.held
          and f.starts_at <= v_at and (f.expires_at is null or f.expires_at > v_at) and f.frozen_at is null
        order by f.priority, f.expires_at, f.starts_at, f.id
        limit 1)
      returning g.id
    ), posted as (
      insert into public.credit_transactions (
        account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, description,
        metadata, created_at)
      select p_account_id, p_credit_type, v_version, v_operation_id, s.id, p_user_id, 'consume', -p_amount, v_balance,
        p_description, p_metadata, v_at
      from spent s
    )
    insert into public.usage (
      account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
    select p_account_id, p_user_id, p_credit_type, p_amount, 'allowed', p_description, p_metadata, v_operation_id, v_at
    from spent s;
  else
    with spent as (
      update public.credit_grants g set remaining = g.remaining - p_amount, spent = g.spent + p_amount
      where g.account_id = p_account_id and g.remaining - g.held >= p_amount
        and exists (select 1 from credits.living_accounts l where l.account_id = p_account_id) and g.id = (
        select f.id from public.credit_grants f
        where f.account_id = p_account_id and f.credit_type = p_credit_type and f.is_open and f.remaining > f.held
          and f.starts_at <= v_at and (f.expires_at is null or f.expires_at > v_at) and f.frozen_at is null
        order by f.priority, f.expires_at, f.starts_at, f.id
        limit 1)
        and not exists (
          select 1 from credits.idempotency_keys k
          where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key)
      returning g.id
    ), posted as (
      insert into public.credit_transactions (
        account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, description,
        metadata, created_at)
      select p_account_id, p_credit_type, v_version, v_operation_id, s.id, p_user_id, 'consume', -p_amount, v_balance,
        p_description, p_metadata, v_at
      from spent s
    ), kept as (
      -- Only a request for another balance, which has not waited for this lock, can have put the key there meanwhile.
      insert into credits.idempotency_keys (
        account_id, idempotency_key, operation_id, remaining, allowance, used, reserved, period_end)
      select p_account_id, p_idempotency_key, v_operation_id, v_remaining, v_allowance, v_used, nullif(v_reserved, 0),
        v_period_end
      from spent s
      on conflict (account_id, idempotency_key) do nothing
      returning account_id
    )
    insert into public.usage (
      account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
    select p_account_id, p_user_id, p_credit_type, p_amount, 'allowed', p_description, p_metadata, v_operation_id, v_at
    from kept k;
  end if;
  if found then
    if v_reaches_level then
      perform credits.notice_levels(p_account_id, p_credit_type);
    end if;
    return jsonb_build_object(
      'success', true, 'code', 'ok', 'operation_id', v_operation_id, 'credit_type', p_credit_type, 'amount', p_amount,
      'remaining', v_remaining, 'limit', v_allowance, 'used', v_used, 'reserved', v_reserved, 'unlimited', false,
      'period_end', v_period_end, 'replayed', false);
  end if;

  -- Undone, and done with care. A key that was taken while this call posted raises there, which takes all of it back.
  update credits.balances b set version = b.version - 1, balance = b.balance + p_amount, used = b.used - p_amount
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  return credits.consume_with_care(p_account_id, p_user_id, p_credit_type, p_amount, p_description, p_idempotency_key,
    p_metadata, p_forced);
end
$$;
comment on function credits.consume(uuid, uuid, text, bigint, text, text, jsonb, boolean) is
  'Spends all of the amount or nothing. Null when there is no such balance, or when it is a workspace''s and nobody acts for it. p_forced counts what existed before a limit was metered, however many.';
revoke all on function credits.consume(uuid, uuid, text, bigint, text, text, jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.consume_with_care(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_idempotency_key text,
  p_metadata jsonb, p_forced boolean)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid := gen_random_uuid();
  v_balance credits.balances;
  v_lacking bigint;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_credit_type);
  if v_balance.account_id is null or v_balance.account_status = 'closed'
     or (v_balance.user_id is null and p_user_id = p_account_id) then
    return null;
  end if;
  if p_user_id <> p_account_id then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key,
    credits.spend_request(p_user_id, p_credit_type, p_amount, p_description, p_metadata));
  if v_answer is not null then
    return v_answer;
  end if;
  if v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;

  v_lacking := p_amount - credits.available(v_balance);
  -- Rows that were deleted without the account, with their table perhaps, count no more before a place is denied.
  if v_lacking > 0 and v_balance.kind = 'limit' and credits.give_deleted_rows_back(p_account_id) > 0 then
    v_balance := credits.lock_balance(p_account_id, p_credit_type);
    v_lacking := p_amount - credits.available(v_balance);
  end if;
  if v_lacking > 0 and not p_forced then
    return credits.refuse(p_account_id, v_balance, v_operation_id, p_amount, p_user_id, p_description, p_metadata);
  elsif v_lacking > 0 then
    v_balance := (select i.p_balance from credits.issue_allowance(p_account_id, v_balance, v_lacking, null, null,
      gen_random_uuid(), 'existed before it was metered') i);
  end if;
  v_balance := credits.spend(p_account_id, v_balance, p_amount, v_operation_id, p_user_id, p_description, p_metadata);
  perform credits.remember_spend(p_account_id, p_idempotency_key, v_operation_id, v_balance);
  return credits.answer(v_balance, v_operation_id, p_amount);
end
$$;
comment on function credits.consume_with_care(uuid, uuid, text, bigint, text, text, jsonb, boolean) is
  'What consume does when its fast road ends: locks the balance, books what has fallen due, replays, compares, then spends.';
revoke all on function credits.consume_with_care(uuid, uuid, text, bigint, text, text, jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.spend(
  p_account_id uuid, inout p_balance credits.balances, p_amount bigint, p_operation_id uuid, p_user_id uuid,
  p_description text, p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_left bigint := case when p_balance.allowance is not null then p_amount else 0 end;
  v_take bigint;
  v_grant record;
begin
  for v_grant in select * from credits.spendable_grants(p_account_id, p_balance.credit_type, p_balance.settled_at) loop
    exit when v_left = 0;
    v_take := least(v_left, v_grant.free);
    update public.credit_grants g set remaining = g.remaining - v_take, spent = g.spent + v_take
    where g.account_id = p_account_id and g.id = v_grant.id;
    p_balance := credits.post_entry(p_account_id, p_balance, v_grant.id, p_user_id, p_operation_id, 'consume', -v_take, null,
      p_description, p_metadata);
    v_left := v_left - v_take;
  end loop;
  if v_left > 0 then
    perform credits.raise_disagreement(p_account_id, p_balance.credit_type, v_left);
  end if;
  if p_balance.allowance is null then
    p_balance := credits.post_entry(p_account_id, p_balance, null, p_user_id, p_operation_id, 'consume', -p_amount, null,
      p_description, p_metadata);
  end if;
  p_balance.used := p_balance.used + p_amount;
  update credits.balances b set
    version = p_balance.version, balance = p_balance.balance, used = p_balance.used, settled_at = p_balance.settled_at
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
  values (
    p_account_id, p_user_id, p_balance.credit_type, p_amount, 'allowed', p_description, p_metadata, p_operation_id,
    p_balance.settled_at);
  perform credits.notice_levels(p_account_id, p_balance.credit_type);
end
$$;
comment on function credits.spend(uuid, credits.balances, bigint, uuid, uuid, text, jsonb) is
  'Takes an amount that is there from the grants in burn order, one ledger row each, or from none while the type is unlimited: one row. Logs it in usage.';
revoke all on function credits.spend(uuid, credits.balances, bigint, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.raise_disagreement(p_account_id uuid, p_credit_type text, p_missing bigint)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  raise exception 'the books of account % disagree: % % credits are missing', p_account_id, p_missing, p_credit_type
    using hint = 'Run `sonas verify`. Nothing has been changed.';
end
$$;
comment on function credits.raise_disagreement(uuid, text, bigint) is
  'Raises that the grants have less than the balance says, which no operation leaves behind.';
revoke all on function credits.raise_disagreement(uuid, text, bigint) from public, anon, authenticated, service_role;

-- schemas/spending/consume_credits_batch.sql

-- A batch is one spend after the other, booked as a set: each balance and each grant is changed once, however many items.

create type credits.batch_item as (
  nth integer,
  credit_type text,
  amount bigint,
  description text,
  idempotency_key text,
  metadata jsonb,
  operation_id uuid,
  first_nth integer,
  answer jsonb
);
comment on type credits.batch_item is
  'An item of a batch: what is asked, the id of its operation, the first item with the same key, and the answer that its key has already.';

-- edge: result=Batch callers=service_role keyed denies reads=items:spend_items
--   Spend several items, all or none.
--
--   Each of the 1 to 100 items is a mapping with ``credit_type`` and, as in
--   :meth:`consume_credits`, ``amount``, ``description``, ``idempotency_key`` and ``metadata``.
--
--   Raises:
--       InsufficientCredits: one of them cannot be had, so none was spent.
--       InvalidAmount, InvalidArgument: ``details["item"]`` says which item.
create function public.consume_credits_batch(p_user_id uuid, p_items jsonb, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_items credits.batch_item[] := credits.batch_items(p_items);
  v_account_id uuid;
  v_credit_type text;
begin
  for v_credit_type in select distinct i.credit_type from unnest(v_items) i order by 1 loop
    v_account_id := credits.paying_account(p_user_id, p_workspace_id, v_credit_type);
  end loop;
  return credits.respond(credits.consume_batch(v_account_id, p_user_id, v_items));
end
$$;
comment on function public.consume_credits_batch(uuid, jsonb, uuid) is
  'Spends several items, all or none. p_items is an array of 1 to 100 objects with credit_type, amount, description, idempotency_key and metadata. Answers with items, one answer each; the same key twice is one spend, and amount counts it once. A denial names the first item that cannot be had.';
revoke all on function public.consume_credits_batch(uuid, jsonb, uuid) from public, anon, authenticated, service_role;
grant execute on function public.consume_credits_batch(uuid, jsonb, uuid) to service_role;

create function credits.batch_items(p_items jsonb)
returns credits.batch_item[]
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_wrong record;
  v_items credits.batch_item[];
begin
  if jsonb_typeof(p_items) is distinct from 'array' or jsonb_array_length(p_items) not between 1 and 100 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_items"}', 'p_items is a JSON array of 1 to 100 objects.');
  end if;
  -- All are looked at together; what is wrong with the first bad one is told by itself.
  select (i.nth - 1)::integer as nth, i.value into v_wrong
  from jsonb_array_elements(p_items) with ordinality i(value, nth)
  where not coalesce(credits.is_batch_item(i.value), false)
  order by i.nth limit 1;
  if found then
    perform credits.refuse_batch_item(v_wrong.nth, v_wrong.value);
  end if;
  select array_agg(row((i.nth - 1)::integer, coalesce(coalesce(i.value -> 'credit_type', i.value -> 'p_credit_type') #>> '{}', ''),
      coalesce(i.value -> 'amount', i.value -> 'p_amount', '1')::bigint,
      coalesce(i.value -> 'description', i.value -> 'p_description') #>> '{}',
      coalesce(i.value -> 'idempotency_key', i.value -> 'p_idempotency_key') #>> '{}',
      coalesce(nullif(coalesce(i.value -> 'metadata', i.value -> 'p_metadata'), 'null'), '{}'),
      gen_random_uuid(), null, null)::credits.batch_item order by i.nth) into v_items
  from jsonb_array_elements(p_items) with ordinality i(value, nth);
  return v_items;
end
$$;
comment on function credits.batch_items(jsonb) is
  'Reads the items of a batch. Keys are those of consume_credits, with or without p_. Raises invalid_argument or invalid_amount and says which item.';
revoke all on function credits.batch_items(jsonb) from public, anon, authenticated, service_role;

create function credits.is_batch_item(p_item jsonb)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select jsonb_typeof(p_item) = 'object'
    and p_item - '{credit_type, amount, description, idempotency_key, metadata}'::text[]
      - '{p_credit_type, p_amount, p_description, p_idempotency_key, p_metadata}'::text[] = '{}'
    and case when jsonb_typeof(f.amount) = 'number' then f.amount::numeric = trunc(f.amount::numeric)
        and f.amount::numeric between 1 and 9007199254740992 end
    and jsonb_typeof(f.credit_type) in ('string', 'null')
    and jsonb_typeof(f.description) in ('string', 'null') and length(coalesce(f.description #>> '{}', '')) <= 2000
    and jsonb_typeof(f.key) in ('string', 'null') and length(coalesce(f.key #>> '{}', '-')) between 1 and 255
    and jsonb_typeof(f.metadata) in ('object', 'null') and octet_length(f.metadata::text) <= 65536
  from (select coalesce(p_item -> 'amount', p_item -> 'p_amount', '1') as amount,
    coalesce(p_item -> 'credit_type', p_item -> 'p_credit_type', 'null') as credit_type,
    coalesce(p_item -> 'description', p_item -> 'p_description', 'null') as description,
    coalesce(p_item -> 'idempotency_key', p_item -> 'p_idempotency_key', 'null') as key,
    coalesce(p_item -> 'metadata', p_item -> 'p_metadata', 'null') as metadata) f
$$;
comment on function credits.is_batch_item(jsonb) is 'Whether a JSON value is what consume_credits takes as an item of a batch.';
revoke all on function credits.is_batch_item(jsonb) from public, anon, authenticated, service_role;

create function credits.refuse_batch_item(p_nth integer, p_item jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_at jsonb := jsonb_build_object('argument', 'p_items', 'item', p_nth);
  v_item jsonb;
  v_unknown text;
begin
  if jsonb_typeof(p_item) <> 'object' then
    perform credits.raise_error('invalid_argument', v_at, 'Each item is a JSON object.');
  end if;
  select coalesce(jsonb_object_agg(regexp_replace(e.key, '^p_', ''), e.value), '{}'),
    min(e.key) filter (where e.key !~ '^(p_)?(credit_type|amount|description|idempotency_key|metadata)$')
    into v_item, v_unknown
  from jsonb_each(p_item) e;
  if v_unknown is not null then
    perform credits.raise_error('invalid_argument', v_at || jsonb_build_object('key', v_unknown),
      'An item has credit_type, amount, description, idempotency_key and metadata.');
  end if;
  if exists (select 1 from jsonb_each(v_item) e
    where e.key in ('credit_type', 'description', 'idempotency_key') and jsonb_typeof(e.value) not in ('string', 'null')) then
    perform credits.raise_error('invalid_argument', v_at, 'credit_type, description and idempotency_key are strings.');
  end if;
  perform credits.check_request(1, v_item ->> 'description', v_item ->> 'idempotency_key',
    nullif(v_item -> 'metadata', 'null'));
  perform credits.raise_error('invalid_amount', jsonb_build_object('item', p_nth, 'amount', v_item -> 'amount'));
end
$$;
comment on function credits.refuse_batch_item(integer, jsonb) is 'Raises what is wrong with an item of a batch.';
revoke all on function credits.refuse_batch_item(integer, jsonb) from public, anon, authenticated, service_role;

create function credits.consume_batch(p_account_id uuid, p_user_id uuid, p_items credits.batch_item[])
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_items credits.batch_item[];
  v_item credits.batch_item;
  v_balances credits.balances[] := array[]::credits.balances[];
  v_balance credits.balances;
  v_before bigint;
  v_answers jsonb := jsonb '[]';
begin
  -- One lock order for all batches, whatever the order of their items.
  for v_item.credit_type in select distinct i.credit_type from unnest(p_items) i order by i.credit_type loop
    v_balance := credits.lock_balance(p_account_id, v_item.credit_type);
    if v_balance.account_id is null then
      perform credits.refuse_status(p_account_id, 'closed');
    end if;
    v_balances := v_balances || v_balance;
  end loop;
  if p_user_id <> p_account_id then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;
  v_items := credits.recognise_items(p_account_id, p_user_id, p_items);
  if v_balance.account_status <> 'active' and exists (
    select 1 from unnest(v_items) i where i.answer is null and i.first_nth = i.nth) then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;

  -- The first item that cannot be had after those before it denies all of them. Nothing has been written yet.
  select i.nth, c.before into v_item.nth, v_before
  from unnest(v_items) i
  join unnest(v_balances) b on b.credit_type = i.credit_type
  cross join lateral (
    select coalesce(sum(o.amount), 0)::bigint as before from unnest(v_items) o
    where o.credit_type = i.credit_type and o.nth < i.nth and o.answer is null and o.first_nth = o.nth) c
  where i.answer is null and i.first_nth = i.nth and credits.available(b) < c.before + i.amount
  order by i.nth limit 1;
  if found then
    return credits.refuse_batch(p_account_id, p_user_id, v_items[v_item.nth + 1], v_before, v_balances);
  end if;

  foreach v_balance in array v_balances loop
    v_answers := v_answers || credits.spend_items(p_account_id, p_user_id, v_balance, v_items);
  end loop;
  return credits.batch_answer(v_items, v_answers);
end
$$;
comment on function credits.consume_batch(uuid, uuid, credits.batch_item[]) is 'Spends all items or none. Types are locked in sorted order.';
revoke all on function credits.consume_batch(uuid, uuid, credits.batch_item[]) from public, anon, authenticated, service_role;

create function credits.recognise_items(p_account_id uuid, p_user_id uuid, p_items credits.batch_item[])
returns credits.batch_item[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_items credits.batch_item[] := p_items;
  v_item credits.batch_item;
  v_other credits.batch_item;
begin
  select array_agg(row(i.nth, i.credit_type, i.amount, i.description, i.idempotency_key, i.metadata, i.operation_id, i.first,
    null)::credits.batch_item order by i.nth) into v_items
  from (
    select o.*, case when o.idempotency_key is null then o.nth else min(o.nth) over (partition by o.idempotency_key) end as first
    from unnest(p_items) o) i;
  for v_item in
    select i.* from unnest(v_items) i
    where i.first_nth <> i.nth or exists (
      select 1 from credits.idempotency_keys k
      where k.account_id = p_account_id and k.idempotency_key = i.idempotency_key)
    order by i.nth
  loop
    v_items[v_item.nth + 1].answer := credits.replay(p_account_id, v_item.idempotency_key,
      credits.spend_request(p_user_id, v_item.credit_type, v_item.amount, v_item.description, v_item.metadata));
    v_other := v_items[v_item.first_nth + 1];
    if v_item.credit_type <> v_other.credit_type or v_item.amount <> v_other.amount
       or v_item.description is distinct from v_other.description or v_item.metadata <> v_other.metadata then
      perform credits.raise_error('idempotency_conflict', jsonb_build_object(
        'idempotency_key', v_item.idempotency_key, 'item', v_item.nth, 'differs_in', credits.differences(
          credits.spend_request(p_user_id, v_item.credit_type, v_item.amount, v_item.description, v_item.metadata),
          credits.spend_request(p_user_id, v_other.credit_type, v_other.amount, v_other.description, v_other.metadata))));
    end if;
  end loop;
  return v_items;
end
$$;
comment on function credits.recognise_items(uuid, uuid, credits.batch_item[]) is
  'Says of each item of a batch which one is the first with its key, and what the key has been answered already. Raises idempotency_conflict. Call it with the balances locked.';
revoke all on function credits.recognise_items(uuid, uuid, credits.batch_item[]) from public, anon, authenticated, service_role;

create function credits.spend_items(
  p_account_id uuid, p_user_id uuid, p_balance credits.balances, p_items credits.batch_item[])
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_total bigint;
  v_keys bigint;
  v_posted record;
begin
  select coalesce(sum(i.amount), 0), count(i.idempotency_key) into v_total, v_keys
  from unnest(p_items) i
  where i.credit_type = p_balance.credit_type and i.answer is null and i.first_nth = i.nth;
  if v_total = 0 then
    return '[]'::jsonb;
  end if;
  -- Items and grants are laid end to end on one line; where a stretch of an item lies on a grant, that grant pays for it.
  with fresh as (
    select i.nth, i.amount, i.description, i.idempotency_key, i.metadata, i.operation_id,
      sum(i.amount) over (order by i.nth) as until
    from unnest(p_items) i
    where i.credit_type = p_balance.credit_type and i.answer is null and i.first_nth = i.nth
  ), grants as (
    select g.id, g.free, sum(g.free) over (order by g.nth) as until
    from credits.spendable_grants(p_account_id, p_balance.credit_type, p_balance.settled_at) with ordinality g(id, free, nth)
    where p_balance.allowance is not null
    union all
    select null, v_total, v_total where p_balance.allowance is null
  ), slices as (
    select f.nth, f.description, f.metadata, f.operation_id, g.id as grant_id, f.until,
      (least(f.until, g.until) - greatest(f.until - f.amount, g.until - g.free))::bigint as take,
      least(f.until, g.until)::bigint as taken, row_number() over (order by f.nth, g.until) as row_nth
    from fresh f
    join grants g on g.until - g.free < f.until and f.until - f.amount < g.until
  ), spent as (
    update public.credit_grants g set remaining = g.remaining - s.take, spent = g.spent + s.take
    from (select x.grant_id, sum(x.take)::bigint as take from slices x group by x.grant_id) s
    where g.account_id = p_account_id and g.id = s.grant_id
  ), posted as (
    insert into public.credit_transactions (
      account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, description, metadata,
      created_at)
    select p_account_id, p_balance.credit_type, p_balance.version + s.row_nth, s.operation_id, s.grant_id, p_user_id,
      'consume', -s.take, case when s.grant_id is not null then p_balance.balance - s.taken end, s.description, s.metadata,
      p_balance.settled_at
    from slices s order by s.row_nth
  ), logged as (
    insert into public.usage (
      account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
    select p_account_id, p_user_id, p_balance.credit_type, f.amount, 'allowed', f.description, f.metadata, f.operation_id,
      p_balance.settled_at
    from fresh f order by f.nth
  ), kept as (
    insert into credits.idempotency_keys (
      account_id, idempotency_key, operation_id, remaining, allowance, used, reserved, period_end)
    select p_account_id, f.idempotency_key, f.operation_id, credits.available(p_balance) - f.until, p_balance.allowance,
      p_balance.used + f.until, nullif(p_balance.reserved + p_balance.reserved_unlimited, 0), p_balance.period_end
    from fresh f where f.idempotency_key is not null
    on conflict (account_id, idempotency_key) do nothing
    returning account_id
  )
  select (select count(*) from slices) as rows, (select sum(s.take) from slices s) as taken, (select count(*) from kept) as keys,
    (select jsonb_agg(jsonb_build_object('nth', f.nth, 'answer', credits.answer(p_balance, f.operation_id, f.amount)
        || jsonb_build_object('used', p_balance.used + f.until, 'remaining', credits.available(p_balance) - f.until))
      order by f.nth) from fresh f) as answers
    into v_posted;
  if v_posted.taken is distinct from v_total then
    perform credits.raise_disagreement(p_account_id, p_balance.credit_type,
      (v_total - coalesce(v_posted.taken, 0))::bigint);
  elsif v_posted.keys <> v_keys then
    perform credits.raise_error('idempotency_conflict');
  end if;
  update credits.balances b set
    version = p_balance.version + v_posted.rows, used = p_balance.used + v_total, settled_at = p_balance.settled_at,
    balance = p_balance.balance - case when p_balance.allowance is null then 0 else v_total end
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  perform credits.notice_levels(p_account_id, p_balance.credit_type);
  return v_posted.answers;
end
$$;
comment on function credits.spend_items(uuid, uuid, credits.balances, credits.batch_item[]) is
  'Spends the new items of one credit type from the grants in burn order, as a set: what as many single spends would leave behind. Answers each of them.';
revoke all on function credits.spend_items(uuid, uuid, credits.balances, credits.batch_item[])
  from public, anon, authenticated, service_role;

create function credits.refuse_batch(
  p_account_id uuid, p_user_id uuid, p_item credits.batch_item, p_before bigint, p_balances credits.balances[])
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_available bigint;
  v_denial jsonb;
begin
  select b.* into v_balance from unnest(p_balances) b where b.credit_type = p_item.credit_type;
  -- What the item saw, after the items before it.
  v_available := credits.available(v_balance) - p_before;
  perform credits.log_denial(p_account_id, v_balance, p_item.operation_id, p_item.amount, v_available, p_user_id,
    p_item.description, p_item.metadata);
  v_denial := credits.denial(p_account_id, v_balance, p_item.operation_id, p_item.amount);
  return jsonb_set(v_denial, '{details,available}', to_jsonb(v_available))
    || jsonb_build_object('item', p_item.nth, 'items', '[]'::jsonb);
end
$$;
comment on function credits.refuse_batch(uuid, uuid, credits.batch_item, bigint, credits.balances[]) is
  'Puts the denial of a batch on record, of its first item that cannot be had, and answers it.';
revoke all on function credits.refuse_batch(uuid, uuid, credits.batch_item, bigint, credits.balances[])
  from public, anon, authenticated, service_role;

create function credits.batch_answer(p_items credits.batch_item[], p_answers jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    with answers as (
      select i.nth, coalesce(i.answer, case when i.first_nth = i.nth then a.value -> 'answer'
        else a.value -> 'answer' || '{"replayed": true}' end) as answer
      from unnest(p_items) i
      left join jsonb_array_elements(p_answers) a on (a.value ->> 'nth')::integer = i.first_nth
    )
    select jsonb_build_object(
      'success', true, 'code', 'ok', 'operation_id', (
        select l.answer -> 'operation_id' from answers l order by l.nth desc limit 1),
      'credit_type', null, 'amount', (
        -- One spend under one key, however often it was sent.
        select sum(o.amount) from (
          select distinct n.answer ->> 'operation_id', (n.answer ->> 'amount')::bigint as amount from answers n) o),
      'remaining', null, 'limit', null, 'used', null, 'reserved', null, 'unlimited', null, 'period_end', null,
      'replayed', bool_and((x.answer ->> 'replayed')::boolean), 'items', jsonb_agg(x.answer order by x.nth))
    from answers x);
end
$$;
comment on function credits.batch_answer(credits.batch_item[], jsonb) is
  'The answer of a batch: an answer for each item, in their order, and the credits that they are together.';
revoke all on function credits.batch_answer(credits.batch_item[], jsonb) from public, anon, authenticated, service_role;

-- schemas/spending/refund_credits.sql

create function credits.refund(
  p_account_id uuid, p_user_id uuid, p_operation_id uuid, p_amount bigint, p_reason text, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_credit_type text;
  v_spent_at timestamptz;
  v_refundable bigint;
  v_refund_id uuid := gen_random_uuid();
  v_request jsonb := credits.refund_request(p_user_id, p_operation_id, p_amount, p_reason);
  v_amount bigint;
  v_expired bigint;
  v_returned record;
  v_priced credits.priced_operations;
  v_answer jsonb;
begin
  select o.* into v_priced from credits.priced_operations o
  where o.account_id = p_account_id and o.operation_id = p_operation_id;
  if found then
    return credits.refund_priced(p_account_id, p_user_id, v_priced, p_amount, p_reason,
      p_idempotency_key);
  end if;
  select t.credit_type, t.created_at into v_credit_type, v_spent_at
  from public.credit_transactions t
  where t.account_id = p_account_id and t.operation_id = p_operation_id and t.kind in ('consume', 'capture')
  limit 1;
  if not found then
    perform credits.raise_error('operation_not_found', jsonb_build_object('operation_id', p_operation_id),
      'This account has no such spend. Pass the operation_id that consume_credits or capture_credits answered.');
  end if;
  v_balance := credits.lock_balance(p_account_id, v_credit_type);
  -- A row of a metered table is given back by itself, also when its owner has left.
  if v_balance.account_status = 'closed' and p_user_id is not null then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;

  select -sum(t.amount) into v_refundable
  from public.credit_transactions t
  where t.account_id = p_account_id
    and (t.operation_id = p_operation_id and t.kind in ('consume', 'capture')
      or t.related_operation_id = p_operation_id and t.kind = 'refund');
  v_amount := coalesce(p_amount, v_refundable);
  if v_amount > v_refundable or v_amount = 0 then
    perform credits.raise_error('invalid_amount', jsonb_build_object('amount', p_amount, 'refundable', v_refundable),
      'More than an operation spent cannot be given back.');
  end if;

  v_returned := credits.return_spent(p_account_id, v_balance, p_user_id, p_operation_id, v_amount,
    v_refund_id, p_reason);
  v_balance := v_returned.p_balance;
  v_expired := v_returned.expired;
  if v_balance.kind = 'limit' or v_spent_at >= v_balance.used_since then
    v_balance.used := greatest(0, v_balance.used - v_amount);
  end if;
  v_balance := credits.align_allowance(p_account_id, v_balance, v_refund_id);
  v_balance := credits.save_balance(p_account_id, v_balance);

  v_answer := credits.answer(v_balance, v_refund_id, v_amount)
    || jsonb_build_object('refunds_operation_id', p_operation_id, 'returned', v_amount - v_expired, 'expired', v_expired);
  perform credits.remember(p_account_id, p_idempotency_key, v_refund_id, v_request, v_answer, v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.refund(uuid, uuid, uuid, bigint, text, text) is
  'Gives a spend back, once: its credits, or of a priced operation its cost.';
revoke all on function credits.refund(uuid, uuid, uuid, bigint, text, text) from public, anon, authenticated, service_role;

create function credits.return_spent(
  p_account_id uuid, inout p_balance credits.balances, p_user_id uuid, p_operation_id uuid,
  p_amount bigint, p_refund_id uuid, p_reason text, out expired bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_left bigint := p_amount;
  v_back bigint;
  v_late bigint := 0;
  v_row record;
begin
  expired := 0;
  for v_row in
    select t.grant_id, g.expires_at, g.voided_at, -t.amount - coalesce((
      select sum(f.amount) from public.credit_transactions f
      where f.account_id = p_account_id and f.related_operation_id = p_operation_id
        and f.kind = 'refund' and f.grant_id is not distinct from t.grant_id), 0) as refundable
    from public.credit_transactions t
    left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
    where t.account_id = p_account_id and t.operation_id = p_operation_id
      and t.kind in ('consume', 'capture')
    order by t.version desc
  loop
    v_back := least(v_left, v_row.refundable);
    continue when v_back = 0;
    p_balance := credits.return_entry(p_account_id, p_balance, v_row.grant_id,
      v_row.voided_at is not null, p_user_id, p_operation_id, v_back, p_refund_id, p_reason);
    if v_row.voided_at is not null
       or v_row.expires_at <= p_balance.settled_at - interval '24 hours' then
      expired := expired + v_back;
    elsif v_row.expires_at <= p_balance.settled_at then
      v_late := v_late + v_back;
    end if;
    v_left := v_left - v_back;
    exit when v_left = 0;
  end loop;
  p_balance := credits.expire_ended(p_account_id, p_balance, p_refund_id);

  -- Whoever was let down just before the renewal does not lose by it.
  if v_late > 0 then
    p_balance := (select i.p_balance from credits.issue(p_account_id, p_balance, null,
      gen_random_uuid(), 'compensation', v_late, p_balance.settled_at,
      p_balance.settled_at + interval '24 hours', p_refund_id,
      'refund of credits that have since expired', '{}') i);
  end if;
end
$$;
comment on function credits.return_spent(
  uuid, credits.balances, uuid, uuid, bigint, uuid, text) is
  'Gives credits of a spend back into the very grants they came from, the last one first. Into a '
  'grant that has expired within 24 hours they come back as a compensation grant; later they are '
  'booked as refund and expiry, net zero, and counted as expired.';
revoke all on function credits.return_spent(
  uuid, credits.balances, uuid, uuid, bigint, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.return_entry(
  p_account_id uuid, inout p_balance credits.balances, p_grant_id uuid, p_is_voided boolean,
  p_user_id uuid, p_operation_id uuid, p_amount bigint, p_refund_id uuid, p_reason text)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- A voided grant holds nothing but pinned credits, so what comes back to one leaves it in the
  -- same step.
  update public.credit_grants g set spent = g.spent - p_amount,
    remaining = g.remaining + case when p_is_voided then 0 else p_amount end,
    lapsed = g.lapsed + case when p_is_voided then p_amount else 0 end
  where g.account_id = p_account_id and g.id = p_grant_id;
  p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, p_user_id, p_refund_id,
    'refund', p_amount, p_operation_id, p_reason, '{}');
  if p_is_voided then
    p_balance := credits.post_entry(p_account_id, p_balance, p_grant_id, null, gen_random_uuid(),
      'void', -p_amount, p_refund_id, 'refunded into a voided grant', '{}');
  end if;
end
$$;
comment on function credits.return_entry(
  uuid, credits.balances, uuid, boolean, uuid, uuid, bigint, uuid, text) is
  'Gives credits back into one grant, or where it was voided through it.';
revoke all on function credits.return_entry(
  uuid, credits.balances, uuid, boolean, uuid, uuid, bigint, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.refund_request(
  p_user_id uuid, p_operation_id uuid, p_amount bigint, p_reason text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('function', 'refund_credits', 'user_id', p_user_id,
    'operation_id', p_operation_id, 'amount', p_amount, 'reason', p_reason);
end
$$;
comment on function credits.refund_request(uuid, uuid, bigint, text) is
  'What makes a refund the same refund under its key.';
revoke all on function credits.refund_request(uuid, uuid, bigint, text)
  from public, anon, authenticated, service_role;

-- edge: result=Refund callers=service_role keyed
--   Give back ``amount`` credits of a spend, None for what is left of it.
--
--   They return to the very grants they came from. Of a priced operation its ``cost`` comes back,
--   and ``amount`` is the whole credits among it. It is also how a limit gets back what was deleted.
--
--   Raises:
--       OperationNotFound: the account has no such spend.
--       InvalidAmount: more than is left to give back; ``details["refundable"]`` says how much.
--       IdempotencyConflict: the key belongs to another request.
create function public.refund_credits(
  p_user_id uuid, p_operation_id uuid, p_amount bigint default null, p_reason text default null,
  p_idempotency_key text default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(coalesce(p_amount, 1), p_reason, p_idempotency_key, null, 'p_reason');
  return credits.respond(credits.refund(credits.paying_account(p_user_id, p_workspace_id), p_user_id, p_operation_id,
    p_amount, p_reason, p_idempotency_key));
end
$$;
comment on function public.refund_credits(uuid, uuid, bigint, text, text, uuid) is
  'Gives back p_amount whole credits of a spend, null for what is left of it. All refunds of an '
  'operation together never exceed it. Answers how much came back (returned) and how much had '
  'expired meanwhile (expired): together they are amount. Of a priced operation its cost comes back '
  '(cost), and amount is the whole credits among it. Also how a limit gets back what was deleted.';
revoke all on function public.refund_credits(uuid, uuid, bigint, text, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.refund_credits(uuid, uuid, bigint, text, text, uuid) to service_role;

-- schemas/spending/requests.sql

-- What the edge functions share: who pays, is the request well formed, what does an answer look like.

create function credits.check_request(
  p_amount bigint, p_description text, p_idempotency_key text, p_metadata jsonb, p_text_argument text default 'p_description')
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Each expression that a call comes by costs it time, so one says that all is well, and the others what is not.
  if p_amount between 1 and 9007199254740992 and coalesce(length(p_description) <= 2000, true)
     and coalesce(length(p_idempotency_key) between 1 and 255, true) and coalesce(p_metadata = '{}', true) then
    return jsonb '{}';
  end if;
  if p_amount is null or p_amount < 1 or p_amount > 9007199254740992 then
    perform credits.raise_error('invalid_amount', jsonb_build_object('amount', p_amount));
  end if;
  if length(p_description) > 2000 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', p_text_argument), 'A text has at most 2000 characters.');
  end if;
  if length(p_idempotency_key) not between 1 and 255 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_idempotency_key"}', 'An idempotency key has 1 to 255 characters.');
  end if;
  if jsonb_typeof(p_metadata) <> 'object' then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata"}', 'Metadata is a JSON object.');
  end if;
  if octet_length(p_metadata::text) > 65536 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata"}', 'Metadata has at most 65536 bytes.');
  end if;
  return coalesce(p_metadata, '{}');
end
$$;
comment on function credits.check_request(bigint, text, text, jsonb, text) is
  'Raises invalid_amount or invalid_argument for what no operation accepts, and answers the metadata. Null is a missing description, key or metadata.';
revoke all on function credits.check_request(bigint, text, text, jsonb, text) from public, anon, authenticated, service_role;

create function credits.paying_account(p_user_id uuid, p_workspace_id uuid default null, p_credit_type text default null)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
  v_status text;
begin
  if p_user_id is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_user_id"}', 'Pass the id of the acting user.');
  end if;
  -- A member whose own account is gone is one no longer, whether or not the membership has been ended.
  if p_workspace_id is not null and (not exists (
      select 1 from public.credit_workspace_members m where m.account_id = p_workspace_id and m.user_id = p_user_id)
    or exists (
      select 1 from credits.accounts a where a.account_id = p_user_id and not credits.is_living(p_user_id))) then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id, 'workspace_id', p_workspace_id));
  end if;

  select b.account_status into v_status from credits.balances b
  where b.account_id = v_account_id and (p_credit_type is null or b.credit_type = p_credit_type)
  limit 1;
  if not found or v_status = 'closed' then
    -- The sign-up trigger may have failed, or the credit type is younger than the account: mend it now.
    if p_credit_type is not null and not exists (select from credits.credit_types t where t.id = p_credit_type) then
      perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type', p_credit_type,
        'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
    end if;
    if not credits.is_living(v_account_id) then
      perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id, 'workspace_id', p_workspace_id));
    end if;
    perform credits.open_account(v_account_id, case when p_workspace_id is null then 'person' else 'workspace' end);
    select a.status into v_status from credits.accounts a where a.account_id = v_account_id;
  end if;
  if v_status = 'closed' or not credits.is_living(v_account_id)
     or (p_workspace_id is null and exists (
       select from credits.accounts a where a.account_id = v_account_id and a.kind = 'workspace')) then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id, 'workspace_id', p_workspace_id));
  end if;
  return v_account_id;
end
$$;
comment on function credits.paying_account(uuid, uuid, text) is
  'The account that pays: the workspace when one is named and the user is its member, else the user. Opens an account that is missing. Raises account_not_found, unknown_credit_type, invalid_argument.';
revoke all on function credits.paying_account(uuid, uuid, text) from public, anon, authenticated, service_role;

create function credits.require_spender(p_account_id uuid, p_user_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_role text;
begin
  select m.role into v_role from public.credit_workspace_members m
  where m.account_id = p_account_id and m.user_id = p_user_id;
  if v_role is null then
    perform credits.raise_error('account_not_found', jsonb_build_object(
      'user_id', p_user_id, 'workspace_id', p_account_id));
  elsif v_role = 'viewer' then
    perform credits.raise_error('forbidden', '{"role": "viewer"}',
      'A viewer reads and spends nothing. Ask an owner or an admin of the workspace.');
  end if;
end
$$;
comment on function credits.require_spender(uuid, uuid) is
  'Raises account_not_found or forbidden for who may not spend from a workspace. Call it with the '
  'balance locked: a member who was removed meanwhile is one no longer.';
revoke all on function credits.require_spender(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.available(p_balance credits.balances)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case when p_balance.allowance is not null then p_balance.balance - p_balance.withheld - p_balance.reserved end;
end
$$;
comment on function credits.available(credits.balances) is
  'What a settled balance has to spend: what its grants hold, less what is withheld and what live holds have pinned. Null while it is unlimited. The fast roads compare the same in the statement that charges.';
revoke all on function credits.available(credits.balances) from public, anon, authenticated, service_role;

create function credits.answer(p_balance credits.balances, p_operation_id uuid, p_amount bigint)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', p_operation_id, 'credit_type', p_balance.credit_type,
    'amount', p_amount,
    'remaining', credits.available(p_balance),
    'limit', p_balance.allowance, 'used', p_balance.used,
    'reserved', p_balance.reserved + p_balance.reserved_unlimited,
    'unlimited', p_balance.allowance is null, 'period_end', p_balance.period_end, 'replayed', false);
end
$$;
comment on function credits.answer(credits.balances, uuid, bigint) is 'The answer of an operation that took effect.';
revoke all on function credits.answer(credits.balances, uuid, bigint) from public, anon, authenticated, service_role;

create function credits.refuse(
  p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_amount bigint, p_user_id uuid, p_description text,
  p_metadata jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.log_denial(p_account_id, p_balance, p_operation_id, p_amount, credits.available(p_balance), p_user_id,
    p_description, p_metadata);
  return credits.denial(p_account_id, p_balance, p_operation_id, p_amount);
end
$$;
comment on function credits.refuse(uuid, credits.balances, uuid, bigint, uuid, text, jsonb) is
  'Puts a denial on record in usage, and answers it.';
revoke all on function credits.refuse(uuid, credits.balances, uuid, bigint, uuid, text, jsonb) from public, anon, authenticated, service_role;

create function credits.log_denial(
  p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_required bigint, p_available bigint, p_user_id uuid,
  p_description text, p_metadata jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  -- Denials cost the caller nothing, so a row of them is small: what explains it, whatever came along.
  v_metadata jsonb := case when octet_length(p_metadata::text) <= 400 then p_metadata
    else jsonb_strip_nulls(jsonb_build_object('actor', left(p_metadata ->> 'actor', 40),
      'operator', left(p_metadata ->> 'operator', 40), 'is_shortened', true)) end;
begin
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
  values (
    p_account_id, p_user_id, p_balance.credit_type, 0, 'denied',
    case when octet_length(p_description) <= 240 then p_description else left(p_description, 59) || '…' end,
    v_metadata || jsonb_build_object('required', p_required, 'available', p_available), p_operation_id,
    p_balance.settled_at);
end
$$;
comment on function credits.log_denial(uuid, credits.balances, uuid, bigint, bigint, uuid, text, jsonb) is
  'Puts a denial on record in usage with what was asked and what there was, within 1 kB: long words are cut, large metadata is left out.';
revoke all on function credits.log_denial(uuid, credits.balances, uuid, bigint, bigint, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.denial(p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_amount bigint)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select credits.answer(p_balance, p_operation_id, p_amount) || jsonb_build_object(
    'success', false,
    'code', case p_balance.kind when 'limit' then 'limit_reached' else 'insufficient_credits' end,
    'details', jsonb_build_object(
      'operation_id', p_operation_id,
      'required', p_amount,
      'available', credits.available(p_balance),
      'resets_at', p_balance.period_end,
      'plan', (select t.plan_id from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at) t))
      || (select jsonb_build_object('free_credits', a.free_credits) from credits.accounts a
        where a.account_id = p_account_id and a.free_credits <> 'own'
        union all select '{}' limit 1)
      || (select case when d.open > 0 then jsonb_build_object('debt', d.open) else '{}' end
        from credits.debt_of(p_account_id, p_balance.credit_type) d(open)))
$$;
comment on function credits.denial(uuid, credits.balances, uuid, bigint) is
  'The answer of an operation that cannot be had: what it required, what there is, when it renews, on which plan.';
revoke all on function credits.denial(uuid, credits.balances, uuid, bigint) from public, anon, authenticated, service_role;

create function credits.explain_denial(p_answer jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select p_answer || jsonb_build_object(
    'message', case p_answer ->> 'code'
      when 'limit_reached' then format('The limit of the plan %s is reached: %s more %s wanted, %s left.',
        p_answer #>> '{details,plan}', p_answer #>> '{details,required}', p_answer ->> 'credit_type', p_answer #>> '{details,available}')
      else format('Not enough %s credits: %s required, %s available.',
        p_answer ->> 'credit_type', p_answer #>> '{details,required}', p_answer #>> '{details,available}') end,
    'hint', case
      when p_answer ->> 'code' = 'insufficient_credits' and p_answer #>> '{details,free_credits}' = 'anonymous'
      then format('Sign up to get free credits, or upgrade at %s.', s.upgrade_url)
      when p_answer ->> 'code' = 'insufficient_credits' and p_answer #>> '{details,free_credits}' = 'other_account'
      then format('Another account of yours has the free credits. Use that one, or upgrade at %s.', s.upgrade_url)
      when p_answer #>> '{details,resets_at}' is null
      then format('Upgrade at %s, or delete something that counts towards the limit.', s.upgrade_url)
      else format('Upgrade at %s, or wait until %s UTC, when the allowance renews.', s.upgrade_url,
        to_char((p_answer #>> '{details,resets_at}')::timestamptz at time zone 'UTC', 'YYYY-MM-DD HH24:MI')) end,
    'details', (p_answer -> 'details') || jsonb_build_object('upgrade_url', s.upgrade_url))
  from credits.settings s
$$;
comment on function credits.explain_denial(jsonb) is 'Adds to a denial what people need: a message, a hint, and where to upgrade.';
revoke all on function credits.explain_denial(jsonb) from public, anon, authenticated, service_role;

create function credits.deny(p_answer jsonb, p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_answer jsonb := credits.explain_denial(p_answer);
begin
  if p_strict then
    -- What is raised leaves no record, so there is no operation to ask about.
    perform credits.raise_error(v_answer ->> 'code', (v_answer -> 'details') - 'operation_id', v_answer ->> 'hint');
  end if;
  -- Through PostgREST this is a 402 whose transaction commits, so that the denial stays on record.
  perform set_config('response.status', '402', true);
  return v_answer;
end
$$;
comment on function credits.deny(jsonb, boolean) is
  'Answers a denial with HTTP status 402 and commits; in strict mode raises it instead, so that the caller''s own writes do not survive.';
revoke all on function credits.deny(jsonb, boolean) from public, anon, authenticated, service_role;

create function credits.respond(p_answer jsonb, p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_answer ->> 'code' <> 'ok' then
    return credits.deny(p_answer, p_strict);
  end if;
  -- A denial earlier in this transaction is not how this call ended. An empty status leaves PostgREST its own.
  if current_setting('response.status', true) = '402' then
    perform set_config('response.status', '', true);
  end if;
  return p_answer;
end
$$;
comment on function credits.respond(jsonb, boolean) is
  'How a public function answers: a denial with status 402, a success without the 402 of a denial before it. A host''s own status stays.';
revoke all on function credits.respond(jsonb, boolean) from public, anon, authenticated, service_role;

-- schemas/holds/credit_reservations.sql

create table public.credit_reservations (
  account_id uuid not null constraint credit_reservations_account_id_fkey references credits.accounts (account_id),
  id uuid not null default gen_random_uuid(),
  credit_type text not null,
  operation_id uuid not null,
  user_id uuid not null,
  status text not null default 'open',
  amount bigint not null,
  captured bigint not null default 0,
  released bigint not null default 0,
  extra bigint not null default 0,
  unlimited bigint not null default 0,
  unlimited_captured bigint not null default 0,
  shortfall bigint not null default 0,
  description text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  expires_at timestamptz not null,
  extended_at timestamptz,
  closed_at timestamptz,
  close_reason text,
  answer jsonb,
  constraint credit_reservations_pkey primary key (account_id, id),
  constraint credit_reservations_status_is_known check (status in ('open', 'captured', 'released', 'expired')),
  constraint credit_reservations_closed_has_a_time check ((status = 'open') = (closed_at is null)),
  constraint credit_reservations_amount_is_positive check (amount > 0),
  constraint credit_reservations_parts_are_not_negative check (least(captured, released, extra, unlimited, unlimited_captured, shortfall) >= 0),
  constraint credit_reservations_open_has_released_nothing check (status <> 'open' or released = 0),
  constraint credit_reservations_captured_is_of_what_was_held
    check (captured + released <= amount + extra and unlimited_captured <= least(unlimited, captured)),
  constraint credit_reservations_closed_has_captured_or_returned_all check (status = 'open' or captured + released = amount + extra),
  constraint credit_reservations_captured_has_captured_something check (status <> 'captured' or captured > 0),
  constraint credit_reservations_extended_while_it_lives check (extended_at between created_at and expires_at),
  constraint credit_reservations_expire_after_they_start check (expires_at > created_at)
) with (fillfactor = 80);
create index credit_reservations_open_idx on public.credit_reservations (account_id, credit_type, expires_at)
  where status = 'open';
comment on table public.credit_reservations is
  'Holds: credits set aside for work in progress. Open, then captured, released or expired, once. While it is open, parts of it may be captured; what is left goes back when it closes.';
comment on column public.credit_reservations.amount is 'Credits held.';
comment on column public.credit_reservations.captured is 'Credits charged so far; at most amount plus extra.';
comment on column public.credit_reservations.released is 'Held credits that went back to their grants.';
comment on column public.credit_reservations.extra is 'Credits captured above the hold, as far as they could be had.';
comment on column public.credit_reservations.unlimited is
  'The part of amount and extra that was set aside while the type was unlimited: of no grant.';
comment on column public.credit_reservations.unlimited_captured is 'The part of unlimited that was charged.';
comment on column public.credit_reservations.extended_at is 'When the hold was last extended.';
comment on column public.credit_reservations.shortfall is 'Credits asked for above the hold that could not be had.';
comment on column public.credit_reservations.expires_at is 'From this instant on the hold counts as released, booked or not.';
alter table public.credit_reservations enable row level security;
revoke all on table public.credit_reservations from public, anon, authenticated, service_role;
grant select on table public.credit_reservations to authenticated, service_role;
create policy "Users may read their holds and what they oversee"
  on public.credit_reservations for select to authenticated using (
    account_id = any (credits.readable_ids())
    and (user_id = account_id or user_id = credits.reader_id() or account_id = any (credits.overseen_ids())));

create table credits.reservation_slices (
  account_id uuid not null,
  reservation_id uuid not null,
  grant_id uuid not null,
  amount bigint not null,
  captured bigint not null default 0,
  constraint reservation_slices_pkey primary key (account_id, reservation_id, grant_id),
  constraint reservation_slices_captured_is_of_the_slice check (amount > 0 and captured between 0 and amount)
);
-- A foreign key costs each hold a look-up; verify_books says that every slice has its hold and its grant.
create index reservation_slices_grant_idx on credits.reservation_slices (account_id, grant_id);
comment on table credits.reservation_slices is 'Which credits of which grant a hold has pinned. Kept after the hold is closed.';
comment on column credits.reservation_slices.captured is 'What of it was charged; the rest is pinned while the hold is open.';
alter table credits.reservation_slices enable row level security;
revoke all on table credits.reservation_slices from public, anon, authenticated, service_role;

-- schemas/holds/capture_credits.sql

create function credits.lock_reservation(
  p_account_id uuid, p_reservation_id uuid, out p_balance credits.balances, out p_reservation public.credit_reservations)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_credit_type text;
begin
  select r.credit_type into v_credit_type from public.credit_reservations r
  where r.account_id = p_account_id and r.id = p_reservation_id;
  if not found then
    perform credits.raise_error('reservation_not_found', jsonb_build_object('reservation_id', p_reservation_id));
  end if;
  p_balance := credits.lock_balance(p_account_id, v_credit_type);
  if p_balance.account_status = 'closed' then
    perform credits.refuse_status(p_account_id, p_balance.account_status);
  end if;
  select * into p_reservation from public.credit_reservations r
  where r.account_id = p_account_id and r.id = p_reservation_id;
end
$$;
comment on function credits.lock_reservation(uuid, uuid) is
  'Locks the balance that a hold belongs to, then reads the hold: an expired one is closed by then. Raises reservation_not_found.';
revoke all on function credits.lock_reservation(uuid, uuid) from public, anon, authenticated, service_role;

create function credits.spend_slices(
  p_account_id uuid, inout p_balance credits.balances, p_hold public.credit_reservations, p_amount bigint, p_is_final boolean,
  p_user_id uuid, p_operation_id uuid, p_description text, p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_related_id uuid := nullif(p_hold.operation_id, p_operation_id);
  v_unlimited bigint := p_hold.unlimited - p_hold.unlimited_captured;
  v_left bigint := p_amount;
  v_take bigint;
  v_free bigint;
  v_slice record;
begin
  for v_slice in
    select s.grant_id, s.amount - s.captured as amount
    from credits.reservation_slices s
    join public.credit_grants g on g.account_id = s.account_id and g.id = s.grant_id
    where s.account_id = p_account_id and s.reservation_id = p_hold.id and s.amount > s.captured
    order by g.priority, g.expires_at, g.starts_at, g.id
  loop
    v_take := least(v_left, v_slice.amount);
    v_free := case when p_is_final then v_slice.amount else v_take end;
    continue when v_free = 0;
    update public.credit_grants g set held = g.held - v_free, remaining = g.remaining - v_take, spent = g.spent + v_take
    where g.account_id = p_account_id and g.id = v_slice.grant_id;
    p_balance.reserved := p_balance.reserved - v_free;
    if v_take > 0 then
      update credits.reservation_slices s set captured = s.captured + v_take
      where s.account_id = p_account_id and s.reservation_id = p_hold.id and s.grant_id = v_slice.grant_id;
      p_balance := credits.post_entry(p_account_id, p_balance, v_slice.grant_id, p_user_id, p_operation_id, 'capture',
        -v_take, v_related_id, p_description, p_metadata);
    end if;
    v_left := v_left - v_take;
  end loop;
  p_balance.reserved_unlimited := p_balance.reserved_unlimited
    - case when p_is_final then v_unlimited else least(v_left, v_unlimited) end;
  if v_left > 0 then
    p_balance := credits.post_entry(p_account_id, p_balance, null, p_user_id, p_operation_id, 'capture', -v_left,
      v_related_id, p_description, p_metadata);
  end if;
  p_balance.used := p_balance.used + p_amount;
end
$$;
comment on function credits.spend_slices(uuid, credits.balances, public.credit_reservations, bigint, boolean, uuid, uuid, text, jsonb) is
  'Spends p_amount from the pinned slices in burn order, one ledger row per grant, and what no slice has as unlimited. The last part gives the rest back.';
revoke all on function credits.spend_slices(uuid, credits.balances, public.credit_reservations, bigint, boolean, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.capture(
  p_account_id uuid, p_user_id uuid, p_reservation_id uuid, p_amount bigint, p_description text, p_metadata jsonb,
  p_is_final boolean, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_locked record;
  v_balance credits.balances;
  v_hold public.credit_reservations;
  v_request jsonb := credits.capture_request(p_user_id, p_reservation_id, p_amount, p_description, p_metadata, p_is_final);
  v_left bigint;
  v_wanted bigint;
  v_captured bigint;
  v_shortfall bigint;
  v_extra bigint := 0;
  v_unlimited bigint := 0;
  v_operation_id uuid := gen_random_uuid();
  v_metadata jsonb;
  v_answer jsonb;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_balance := v_locked.p_balance;
  v_hold := v_locked.p_reservation;
  v_answer := coalesce(credits.replay(p_account_id, p_idempotency_key, v_request),
    case when p_is_final then credits.replay_capture(v_hold, p_amount) end);
  if v_answer is not null then
    return v_answer;
  elsif v_hold.status <> 'open' then
    perform credits.raise_error('reservation_closed',
      jsonb_build_object('reservation_id', v_hold.id, 'status', v_hold.status, 'captured', v_hold.captured));
  elsif v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;

  v_left := v_hold.amount + v_hold.extra - v_hold.captured;
  v_wanted := coalesce(p_amount, v_left);
  if v_wanted = 0 and not p_is_final then
    perform credits.raise_error('invalid_amount', '{"amount": 0}', 'Nothing of this hold is left to capture.');
  end if;
  if v_wanted > v_left then
    v_extra := least(v_wanted - v_left, coalesce(credits.available(v_balance), v_wanted - v_left));
    v_unlimited := case when v_balance.allowance is null then v_extra else 0 end;
    if v_extra > v_unlimited then
      v_balance := credits.hold_slices(p_account_id, v_balance, v_hold.id, v_extra);
    end if;
  end if;
  v_captured := least(v_wanted, v_left + v_extra);
  v_shortfall := v_wanted - v_captured;
  v_metadata := v_hold.metadata || p_metadata
    || case when v_shortfall > 0 then jsonb_build_object('shortfall', v_shortfall) else '{}' end;
  -- A hold that is captured at once is one operation with its capture; each part is one of its own.
  if p_is_final and v_hold.captured = 0 then
    v_operation_id := v_hold.operation_id;
  end if;

  v_balance := credits.spend_slices(p_account_id, v_balance, v_hold, v_captured, p_is_final, p_user_id, v_operation_id,
    coalesce(p_description, v_hold.description), v_metadata);
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
  select p_account_id, p_user_id, v_hold.credit_type, v_captured, 'allowed', coalesce(p_description, v_hold.description),
    v_metadata, v_operation_id, v_balance.settled_at
  where v_captured > 0;
  v_balance := credits.expire_ended(p_account_id, v_balance, v_operation_id);
  v_balance := credits.align_allowance(p_account_id, v_balance, v_operation_id);
  v_balance := credits.save_balance(p_account_id, v_balance);
  perform credits.notice_levels(p_account_id, v_hold.credit_type);

  v_left := v_left + v_extra - v_captured;
  v_answer := credits.answer(v_balance, v_operation_id, v_captured) || jsonb_build_object(
    'reservation_id', v_hold.id, 'captured', v_captured, 'released', case when p_is_final then v_left else 0 end,
    'held', case when p_is_final then 0 else v_left end, 'shortfall', v_shortfall);
  update public.credit_reservations r set
    captured = r.captured + v_captured, extra = r.extra + v_extra, unlimited = r.unlimited + v_unlimited,
    unlimited_captured = v_hold.captured + v_captured - (
      select coalesce(sum(s.captured), 0) from credits.reservation_slices s
      where s.account_id = p_account_id and s.reservation_id = v_hold.id),
    shortfall = r.shortfall + v_shortfall,
    status = case when p_is_final then 'captured' else 'open' end,
    released = case when p_is_final then v_left else 0 end,
    closed_at = case when p_is_final then v_balance.settled_at end, answer = v_answer
  where r.account_id = p_account_id and r.id = v_hold.id;
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer, v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.capture(uuid, uuid, uuid, bigint, text, jsonb, boolean, text) is
  'Charges a hold, all at once or in parts: what is held from its slices, above it what is available. The last part gives the rest back to its grants.';
revoke all on function credits.capture(uuid, uuid, uuid, bigint, text, jsonb, boolean, text)
  from public, anon, authenticated, service_role;

create function credits.replay_capture(p_hold public.credit_reservations, p_amount bigint)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_captured bigint := (p_hold.answer ->> 'captured')::bigint;
  v_shortfall bigint := (p_hold.answer ->> 'shortfall')::bigint;
begin
  if p_hold.status = 'captured' and (p_amount = v_captured + v_shortfall
    or p_amount is null and p_hold.released + v_shortfall = 0 and v_captured <= p_hold.amount) then
    return p_hold.answer || '{"replayed": true}';
  end if;
  return null;
end
$$;
comment on function credits.replay_capture(public.credit_reservations, bigint) is
  'The answer to the last capture of a closed hold, when the same amount is captured again; else null.';
revoke all on function credits.replay_capture(public.credit_reservations, bigint)
  from public, anon, authenticated, service_role;

create function credits.capture_at_once(
  p_account_id uuid, p_user_id uuid, p_reservation_id uuid, p_amount bigint, p_description text, p_metadata jsonb,
  p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
  v_operation_id uuid;
  v_held bigint;
  v_captured bigint;
  v_version bigint;
  v_balance bigint;
  v_remaining bigint;
  v_allowance bigint;
  v_used bigint;
  v_reserved bigint;
  v_period_end timestamptz;
  v_at timestamptz;
  v_reaches_level boolean;
  v_answer jsonb;
begin
  update credits.balances b set
    version = b.version + 1, reserved = b.reserved - r.amount, balance = b.balance - coalesce(p_amount, r.amount),
    used = b.used + coalesce(p_amount, r.amount),
    settled_at = greatest(b.settled_at, least(coalesce(b.test_now, clock_timestamp()), b.due_at - interval '1 microsecond'))
  from public.credit_reservations r
  where b.account_id = p_account_id and r.account_id = p_account_id and r.id = p_reservation_id
    and b.credit_type = r.credit_type and b.account_status = 'active' and b.allowance is not null
    and (b.user_id is not null or p_user_id is distinct from p_account_id)
    and b.due_at > greatest(b.settled_at, coalesce(b.test_now, clock_timestamp()))
    and r.status = 'open' and r.captured = 0 and r.unlimited = 0 and b.reserved >= r.amount
    and (coalesce(p_amount, r.amount) = r.amount or p_amount < r.amount and b.kind = 'credit')
  returning b.credit_type, r.operation_id, r.amount, coalesce(p_amount, r.amount), b.version, b.balance,
      b.balance - b.withheld - b.reserved, b.allowance, b.used, b.reserved + b.reserved_unlimited, b.period_end, b.settled_at,
      -- As credits.reaches_level says.
      100::numeric * b.used >= b.alert_percent::numeric * (b.used + b.balance - b.withheld - b.reserved)
        or b.balance - b.withheld - b.reserved <= b.alert_amount
    into v_credit_type, v_operation_id, v_held, v_captured, v_version, v_balance, v_remaining, v_allowance, v_used,
      v_reserved, v_period_end, v_at, v_reaches_level;
  if not found then
    return null;
  end if;
  v_answer := jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', v_operation_id, 'credit_type', v_credit_type, 'amount', v_captured,
    'remaining', v_remaining, 'limit', v_allowance, 'used', v_used, 'reserved', v_reserved, 'unlimited', false,
    'period_end', v_period_end, 'replayed', false, 'reservation_id', p_reservation_id, 'captured', v_captured,
    'released', v_held - v_captured, 'held', 0, 'shortfall', 0);
  -- The hold was read before the lock, so it is asked again here: still open, with one slice, whose rest may go back.
  with spent as (
    update public.credit_grants g set
      held = g.held - v_held, remaining = g.remaining - v_captured, spent = g.spent + v_captured
    from credits.reservation_slices s, public.credit_reservations r
    where g.account_id = p_account_id and s.account_id = p_account_id and s.reservation_id = p_reservation_id
      and exists (select 1 from credits.living_accounts l where l.account_id = p_account_id)
      and g.id = s.grant_id and s.amount = v_held and s.captured = 0
      and r.account_id = p_account_id and r.id = p_reservation_id and r.status = 'open' and r.captured = 0
      and (v_captured = v_held or g.voided_at is null and g.frozen_at is null and (g.expires_at is null or g.expires_at > v_at))
      and (p_idempotency_key is null or not exists (
        select 1 from credits.idempotency_keys k
        where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key))
    returning g.id, coalesce(p_description, r.description) as description, r.metadata || p_metadata as metadata
  ), sliced as (
    update credits.reservation_slices s set captured = v_captured from spent
    where s.account_id = p_account_id and s.reservation_id = p_reservation_id and s.grant_id = spent.id
  ), closed as (
    update public.credit_reservations r set
      status = 'captured', captured = v_captured, released = v_held - v_captured, closed_at = v_at, answer = v_answer
    from spent where r.account_id = p_account_id and r.id = p_reservation_id
  ), posted as (
    insert into public.credit_transactions (
      account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, description, metadata,
      created_at)
    select p_account_id, v_credit_type, v_version, v_operation_id, s.id, p_user_id, 'capture', -v_captured, v_balance,
      s.description, s.metadata, v_at
    from spent s
  )
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
  select p_account_id, p_user_id, v_credit_type, v_captured, 'allowed', s.description, s.metadata, v_operation_id, v_at
  from spent s;
  if not found then
    -- Undone, and done with care.
    update credits.balances b set
      version = b.version - 1, reserved = b.reserved + v_held, balance = b.balance + v_captured, used = b.used - v_captured
    where b.account_id = p_account_id and b.credit_type = v_credit_type;
    return null;
  end if;
  if p_idempotency_key is not null then
    perform credits.remember(p_account_id, p_idempotency_key, v_operation_id,
      credits.capture_request(p_user_id, p_reservation_id, p_amount, p_description, p_metadata, true), v_answer, v_at);
  end if;
  if v_reaches_level then
    perform credits.notice_levels(p_account_id, v_credit_type);
  end if;
  return v_answer;
end
$$;
comment on function credits.capture_at_once(uuid, uuid, uuid, bigint, text, jsonb, text) is
  'The fast road of capture: all of a hold in one go, from its one slice. Null when that cannot be done at once; then nothing has changed.';
revoke all on function credits.capture_at_once(uuid, uuid, uuid, bigint, text, jsonb, text)
  from public, anon, authenticated, service_role;

create function credits.capture_request(
  p_user_id uuid, p_reservation_id uuid, p_amount bigint, p_description text, p_metadata jsonb, p_is_final boolean)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('function', 'capture_credits', 'user_id', p_user_id, 'reservation_id', p_reservation_id,
    'amount', p_amount, 'description', p_description, 'metadata', p_metadata, 'final', p_is_final);
end
$$;
comment on function credits.capture_request(uuid, uuid, bigint, text, jsonb, boolean) is
  'What makes a capture the same capture under its key.';
revoke all on function credits.capture_request(uuid, uuid, bigint, text, jsonb, boolean)
  from public, anon, authenticated, service_role;

-- edge: result=Capture callers=service_role keyed
--   Charge a hold: ``amount`` credits, None for all of it. The rest goes back.
--
--   Above the hold it takes what is available; the answer has the ``shortfall``. With ``final`` false
--   it is a part: it is charged at once, and what is ``held`` stays so until the last part, or until
--   the hold expires. A part is known again by its key alone; the last one also by its amount.
--
--   Raises:
--       ReservationNotFound, ReservationClosed: it had been released, or had expired, or captured otherwise.
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, InvalidAmount, InvalidArgument.
create function public.capture_credits(
  p_user_id uuid, p_reservation_id uuid, p_amount bigint default null, p_description text default null,
  p_metadata jsonb default '{}', p_workspace_id uuid default null, p_final boolean default true,
  p_idempotency_key text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_answer jsonb;
begin
  perform credits.check_request(coalesce(p_amount, 1), p_description, p_idempotency_key, p_metadata);
  if p_workspace_id is null and p_final then
    v_answer := credits.capture_at_once(p_user_id, p_user_id, p_reservation_id, p_amount, p_description,
      coalesce(p_metadata, '{}'), p_idempotency_key);
  end if;
  if v_answer is null then
    v_answer := credits.capture(credits.paying_account(p_user_id, p_workspace_id), p_user_id, p_reservation_id, p_amount,
      p_description, coalesce(p_metadata, '{}'), coalesce(p_final, true), p_idempotency_key);
  end if;
  return credits.respond(v_answer);
end
$$;
comment on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid, boolean, text) is
  'Charges a hold: p_amount whole credits, null for what is left of it. Above the hold it takes what is available and answers the shortfall. p_final false charges a part and keeps the rest held; a part is recognised as a repeat by its key alone. The same last capture again is replayed; anything else on a closed hold raises reservation_closed.';
revoke all on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid, boolean, text)
  from public, anon, authenticated, service_role;
grant execute on function public.capture_credits(uuid, uuid, bigint, text, jsonb, uuid, boolean, text) to service_role;

-- schemas/holds/extend_reservation.sql

-- edge: result=Reservation callers=service_role repeatable
--   Keep a hold open for ``ttl_seconds`` (1 second to 24 hours) from now; it never ends sooner than it would have.
--
--   Raises:
--       ReservationNotFound, ReservationClosed: it is open no longer.
--       AccountFrozen, InvalidArgument.
create function public.extend_reservation(
  p_user_id uuid, p_reservation_id uuid, p_ttl_seconds integer default 900, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_ttl(p_ttl_seconds);
  return credits.respond(credits.extend(credits.paying_account(p_user_id, p_workspace_id), p_reservation_id, p_ttl_seconds));
end
$$;
comment on function public.extend_reservation(uuid, uuid, integer, uuid) is
  'Keeps a hold that lives open for p_ttl_seconds from now, never shorter than it was. Answers expires_at. Raises reservation_closed when it is no longer open.';
revoke all on function public.extend_reservation(uuid, uuid, integer, uuid) from public, anon, authenticated, service_role;
grant execute on function public.extend_reservation(uuid, uuid, integer, uuid) to service_role;

create function credits.extend(p_account_id uuid, p_reservation_id uuid, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_locked record;
  v_balance credits.balances;
  v_hold public.credit_reservations;
  v_expires_at timestamptz;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_balance := v_locked.p_balance;
  v_hold := v_locked.p_reservation;
  if v_hold.status <> 'open' then
    perform credits.raise_error('reservation_closed',
      jsonb_build_object('reservation_id', v_hold.id, 'status', v_hold.status, 'captured', v_hold.captured));
  elsif v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_expires_at := greatest(v_hold.expires_at, v_balance.settled_at + make_interval(secs => p_ttl_seconds));
  if v_expires_at > v_hold.expires_at then
    update public.credit_reservations r set expires_at = v_expires_at, extended_at = v_balance.settled_at
    where r.account_id = p_account_id and r.id = p_reservation_id;
    v_balance := credits.save_balance(p_account_id, v_balance);
  end if;
  return credits.answer(v_balance, v_hold.operation_id, v_hold.amount + v_hold.extra - v_hold.captured)
    || jsonb_build_object('reservation_id', v_hold.id, 'expires_at', v_expires_at);
end
$$;
comment on function credits.extend(uuid, uuid, integer) is
  'Moves the end of an open hold to p_ttl_seconds from now, if that is later. What it has pinned is read by its end, so nothing else changes.';
revoke all on function credits.extend(uuid, uuid, integer) from public, anon, authenticated, service_role;

create function credits.check_ttl(p_ttl_seconds integer)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_ttl_seconds is null or p_ttl_seconds not between 1 and 86400 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_ttl_seconds', 'value', p_ttl_seconds),
      'A hold lives for 1 to 86400 seconds.');
  end if;
end
$$;
comment on function credits.check_ttl(integer) is 'Raises invalid_argument for what is no time for a hold to live.';
revoke all on function credits.check_ttl(integer) from public, anon, authenticated, service_role;

-- schemas/holds/release_credits.sql

create function credits.release(p_account_id uuid, p_reservation_id uuid, p_reason text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_locked record;
  v_balance credits.balances;
  v_hold public.credit_reservations;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_balance := v_locked.p_balance;
  v_hold := v_locked.p_reservation;
  if v_hold.status <> 'open' then
    perform credits.raise_error('reservation_closed',
      jsonb_build_object('reservation_id', v_hold.id, 'status', v_hold.status, 'captured', v_hold.captured));
  end if;
  v_balance := credits.close_hold(p_account_id, v_balance, v_hold, p_reason);
  return credits.answer(v_balance, v_hold.operation_id, v_hold.amount + v_hold.extra - v_hold.captured)
    || jsonb_build_object('reservation_id', v_hold.id, 'released', v_hold.amount + v_hold.extra - v_hold.captured);
end
$$;
comment on function credits.release(uuid, uuid, text) is 'Gives a hold back to its grants, once. What returns to an expired grant expires at once.';
revoke all on function credits.release(uuid, uuid, text) from public, anon, authenticated, service_role;

create function credits.close_hold(
  p_account_id uuid, inout p_balance credits.balances, p_hold public.credit_reservations, p_reason text)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  p_balance := credits.release_slices(p_account_id, p_balance, p_hold.id);
  update public.credit_reservations r set
    status = 'released', released = r.amount + r.extra - r.captured, closed_at = p_balance.settled_at, close_reason = p_reason
  where r.account_id = p_account_id and r.id = p_hold.id;
  p_balance := credits.expire_ended(p_account_id, p_balance, p_hold.operation_id);
  p_balance := credits.align_allowance(p_account_id, p_balance, p_hold.operation_id);
  p_balance := credits.save_balance(p_account_id, p_balance);
end
$$;
comment on function credits.close_hold(uuid, credits.balances, public.credit_reservations, text) is
  'Releases an open hold on the locked balance, and writes it back.';
revoke all on function credits.close_hold(uuid, credits.balances, public.credit_reservations, text)
  from public, anon, authenticated, service_role;

-- edge: result=Release callers=service_role repeatable
--   Give a hold back without charging anything.
--
--   Raises:
--       ReservationNotFound: the account has no such hold.
--       ReservationClosed: it is no longer open. When the first answer got lost on the way, this is
--           the second:
--           ``details["status"]`` is then ``released``.
create function public.release_credits(
  p_user_id uuid, p_reservation_id uuid, p_reason text default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(1, p_reason, null, null, 'p_reason');
  return credits.respond(credits.release(credits.paying_account(p_user_id, p_workspace_id), p_reservation_id, p_reason));
end
$$;
comment on function public.release_credits(uuid, uuid, text, uuid) is
  'Gives a hold back without charging anything. Raises reservation_closed when it is no longer open.';
revoke all on function public.release_credits(uuid, uuid, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.release_credits(uuid, uuid, text, uuid) to service_role;

-- schemas/holds/reserve_credits.sql

create function credits.hold_slices(p_account_id uuid, inout p_balance credits.balances, p_reservation_id uuid, p_amount bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_amount;
  v_take bigint;
  v_grant record;
begin
  for v_grant in
    select s.id, s.free from credits.spendable_grants(p_account_id, p_balance.credit_type, p_balance.settled_at) s
  loop
    v_take := least(v_left, v_grant.free);
    update public.credit_grants g set held = g.held + v_take where g.account_id = p_account_id and g.id = v_grant.id;
    insert into credits.reservation_slices as s (account_id, reservation_id, grant_id, amount)
    values (p_account_id, p_reservation_id, v_grant.id, v_take)
    on conflict (account_id, reservation_id, grant_id) do update set amount = s.amount + excluded.amount;
    v_left := v_left - v_take;
    exit when v_left = 0;
  end loop;
  if v_left > 0 then
    perform credits.raise_disagreement(p_account_id, p_balance.credit_type, v_left);
  end if;
  p_balance.reserved := p_balance.reserved + p_amount;
end
$$;
comment on function credits.hold_slices(uuid, credits.balances, uuid, bigint) is
  'Pins slices of the grants in burn order for a hold. The caller has made sure that there is enough.';
revoke all on function credits.hold_slices(uuid, credits.balances, uuid, bigint) from public, anon, authenticated, service_role;

create function credits.reserve(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_idempotency_key text,
  p_metadata jsonb, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_operation_id uuid := gen_random_uuid();
  v_reservation_id uuid := gen_random_uuid();
  v_expires_at timestamptz;
  v_request jsonb;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_credit_type);
  if p_user_id <> p_account_id then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;
  v_request := credits.hold_request(p_user_id, p_credit_type, p_amount, p_description, p_metadata, p_ttl_seconds);
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  if v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;

  if credits.available(v_balance) < p_amount then
    return credits.refuse(p_account_id, v_balance, v_operation_id, p_amount, p_user_id, p_description, p_metadata);
  end if;

  v_expires_at := v_balance.settled_at + make_interval(secs => p_ttl_seconds);
  insert into public.credit_reservations (
    account_id, id, credit_type, operation_id, user_id, amount, unlimited, description, metadata, created_at, expires_at)
  values (
    p_account_id, v_reservation_id, p_credit_type, v_operation_id, p_user_id, p_amount,
    case when v_balance.allowance is null then p_amount else 0 end, p_description, p_metadata, v_balance.settled_at, v_expires_at);
  if v_balance.allowance is null then
    v_balance.reserved_unlimited := v_balance.reserved_unlimited + p_amount;
  else
    v_balance := credits.hold_slices(p_account_id, v_balance, v_reservation_id, p_amount);
  end if;
  update credits.balances b set
    version = v_balance.version, balance = v_balance.balance, reserved = v_balance.reserved,
    reserved_unlimited = v_balance.reserved_unlimited,
    due_at = least(b.due_at, v_expires_at), settled_at = v_balance.settled_at
  where b.account_id = p_account_id and b.credit_type = p_credit_type;

  v_answer := credits.answer(v_balance, v_operation_id, p_amount)
    || jsonb_build_object('reservation_id', v_reservation_id, 'expires_at', v_expires_at);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer, v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.reserve(uuid, uuid, text, bigint, text, text, jsonb, integer) is
  'Locks the balance, compares, then pins slices of grants: all of the amount or nothing.';
revoke all on function credits.reserve(uuid, uuid, text, bigint, text, text, jsonb, integer)
  from public, anon, authenticated, service_role;

create function credits.reserve_at_once(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_idempotency_key text,
  p_metadata jsonb, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid;
  v_reservation_id uuid;
  v_remaining bigint;
  v_allowance bigint;
  v_used bigint;
  v_reserved bigint;
  v_period_end timestamptz;
  v_at timestamptz;
  v_expires_at timestamptz;
  v_answer jsonb;
begin
  update credits.balances b set
    reserved = b.reserved + p_amount,
    settled_at = greatest(b.settled_at, least(coalesce(b.test_now, clock_timestamp()), b.due_at - interval '1 microsecond')),
    due_at = least(b.due_at, greatest(b.settled_at, least(coalesce(b.test_now, clock_timestamp()),
      b.due_at - interval '1 microsecond')) + make_interval(secs => p_ttl_seconds))
  where b.account_id = p_account_id and b.credit_type = p_credit_type and b.account_status = 'active'
    and (b.user_id is not null or p_user_id is distinct from p_account_id)
    and b.due_at > greatest(b.settled_at, coalesce(b.test_now, clock_timestamp()))
    and b.allowance is not null and b.balance - b.withheld - b.reserved >= p_amount
  returning gen_random_uuid(), gen_random_uuid(), b.balance - b.withheld - b.reserved, b.allowance, b.used,
      b.reserved + b.reserved_unlimited, b.period_end, b.settled_at, b.settled_at + make_interval(secs => p_ttl_seconds)
    into v_operation_id, v_reservation_id, v_remaining, v_allowance, v_used, v_reserved, v_period_end, v_at, v_expires_at;
  if not found then
    return null;
  end if;
  with held as (
    update public.credit_grants g set held = g.held + p_amount
    where g.account_id = p_account_id and g.remaining - g.held >= p_amount
      and exists (select 1 from credits.living_accounts l where l.account_id = p_account_id) and g.id = (
      select f.id from public.credit_grants f
      where f.account_id = p_account_id and f.credit_type = p_credit_type and f.is_open and f.remaining > f.held
        and f.starts_at <= v_at and (f.expires_at is null or f.expires_at > v_at) and f.frozen_at is null
      order by f.priority, f.expires_at, f.starts_at, f.id
      limit 1)
      and (p_idempotency_key is null or not exists (
        select 1 from credits.idempotency_keys k
        where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key))
    returning g.id
  ), made as (
    insert into public.credit_reservations (
      account_id, id, credit_type, operation_id, user_id, amount, description, metadata, created_at, expires_at)
    select p_account_id, v_reservation_id, p_credit_type, v_operation_id, p_user_id, p_amount, p_description, p_metadata, v_at,
      v_expires_at
    from held h
  )
  insert into credits.reservation_slices (account_id, reservation_id, grant_id, amount)
  select p_account_id, v_reservation_id, h.id, p_amount from held h;
  if not found then
    -- Undone, and done with care.
    update credits.balances b set reserved = b.reserved - p_amount
    where b.account_id = p_account_id and b.credit_type = p_credit_type;
    return null;
  end if;
  v_answer := jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', v_operation_id, 'credit_type', p_credit_type, 'amount', p_amount,
    'remaining', v_remaining, 'limit', v_allowance, 'used', v_used, 'reserved', v_reserved, 'unlimited', false,
    'period_end', v_period_end, 'replayed', false, 'reservation_id', v_reservation_id, 'expires_at', v_expires_at);
  if p_idempotency_key is not null then
    perform credits.remember(p_account_id, p_idempotency_key, v_operation_id,
      credits.hold_request(p_user_id, p_credit_type, p_amount, p_description, p_metadata, p_ttl_seconds), v_answer, v_at);
  end if;
  return v_answer;
end
$$;
comment on function credits.reserve_at_once(uuid, uuid, text, bigint, text, text, jsonb, integer) is
  'The fast road of reserve, as that of consume: pins one slice of the first grant in burn order. Null when that cannot be done at once; then nothing has changed.';
revoke all on function credits.reserve_at_once(uuid, uuid, text, bigint, text, text, jsonb, integer)
  from public, anon, authenticated, service_role;

create function credits.hold_request(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_metadata jsonb, p_ttl_seconds integer)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('function', 'reserve_credits', 'user_id', p_user_id, 'credit_type', p_credit_type,
    'amount', p_amount, 'description', p_description, 'metadata', p_metadata, 'ttl_seconds', p_ttl_seconds);
end
$$;
comment on function credits.hold_request(uuid, text, bigint, text, jsonb, integer) is 'What makes a hold the same hold under its key.';
revoke all on function credits.hold_request(uuid, text, bigint, text, jsonb, integer)
  from public, anon, authenticated, service_role;

-- edge: result=Reservation callers=service_role keyed denies
--   Hold ``amount`` credits for 1 to 86400 seconds, all or nothing.
--
--   Capture it, release it, or let it expire: then it cost nothing. :meth:`reserve` does this for a
--   block.
--
--   Raises:
--       InsufficientCredits: there is not enough (also LimitReached, MemberCapReached).
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, AccountNotFound, UnknownCreditType, InvalidAmount, InvalidArgument.
create function public.reserve_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint default 1, p_description text default null,
  p_idempotency_key text default null, p_metadata jsonb default '{}', p_ttl_seconds integer default 900,
  p_workspace_id uuid default null, p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_answer jsonb;
begin
  perform credits.check_request(p_amount, p_description, p_idempotency_key, p_metadata);
  perform credits.check_ttl(p_ttl_seconds);
  if p_workspace_id is null then
    v_answer := credits.reserve_at_once(p_user_id, p_user_id, p_credit_type, p_amount, p_description, p_idempotency_key,
      coalesce(p_metadata, '{}'), p_ttl_seconds);
  end if;
  if v_answer is null then
    v_answer := credits.reserve(credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, '')), p_user_id,
      p_credit_type, p_amount, p_description, p_idempotency_key, coalesce(p_metadata, '{}'), p_ttl_seconds);
  end if;
  return credits.respond(v_answer, p_strict);
end
$$;
comment on function public.reserve_credits(uuid, text, bigint, text, text, jsonb, integer, uuid, boolean) is
  'Holds p_amount whole credits for p_ttl_seconds (1 second to 24 hours), all or nothing. Answers reservation_id and expires_at. Capture it, release it, or let it expire: then it cost nothing.';
revoke all on function public.reserve_credits(uuid, text, bigint, text, text, jsonb, integer, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.reserve_credits(uuid, text, bigint, text, text, jsonb, integer, uuid, boolean) to service_role;

-- schemas/prices/price_books.sql

-- What an operation costs is a row with a date. A price book says in which credits its prices are;
-- a price says what one unit of a dimension of an operation costs, in billionths of a credit, from
-- an instant on. Prices are added, never changed: a hold is charged by the prices that its book had
-- when it was made.

create table public.credit_price_books (
  id text not null constraint credit_price_books_pkey primary key,
  name text not null,
  credit_type text not null
    constraint credit_price_books_credit_type_fkey references credits.credit_types (id),
  currency text not null default 'usd',
  nano_per_unit_of_currency numeric,
  version bigint not null default 0,
  constraint credit_price_books_id_is_a_slug check (id ~ '^[a-z][a-z0-9_-]{0,62}$'),
  constraint credit_price_books_currency_is_a_code check (currency ~ '^[a-z]{3}$'),
  constraint credit_price_books_credits_have_a_worth check (nano_per_unit_of_currency > 0)
);
comment on table public.credit_price_books is
  'Price books: in which credits the prices of credit_prices are.';
comment on column public.credit_price_books.nano_per_unit_of_currency is
  'Billionths of a credit that one unit of the currency is worth, for prices that follow a '
  'provider''s cost; null where none does.';
comment on column public.credit_price_books.version is
  'The version of the book''s last price; each price that is set makes the next one.';
alter table public.credit_price_books enable row level security;
revoke all on table public.credit_price_books from public, anon, authenticated, service_role;
grant select on table public.credit_price_books to anon, authenticated, service_role;
create policy "Everybody may read the price books" on public.credit_price_books
  for select to anon, authenticated using (true);

insert into public.credit_price_books (id, name, credit_type) values
  ('default', 'Prices', 'integration');

create function credits.find_price_book(p_book text, p_argument text default 'p_book')
returns public.credit_price_books
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_book public.credit_price_books;
begin
  select b.* into v_book from public.credit_price_books b where b.id = coalesce(p_book, 'default');
  if not found then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', p_argument,
      'value', p_book,
      'known', (select jsonb_agg(b.id order by b.id) from public.credit_price_books b)),
      'There is no such price book.');
  end if;
  return v_book;
end
$$;
comment on function credits.find_price_book(text, text) is
  'The price book with this id, null for the default one. Raises invalid_argument.';
revoke all on function credits.find_price_book(text, text)
  from public, anon, authenticated, service_role;

-- schemas/prices/credit_prices.sql

create table credits.prices (
  book text not null
    constraint prices_book_fkey references public.credit_price_books (id),
  operation text not null,
  dimension text not null,
  version bigint not null,
  nano_per_unit numeric,
  per bigint not null default 1,
  minimum_nano bigint,
  maximum_nano bigint,
  steps jsonb,
  steps_by text[],
  valid_from timestamptz not null,
  source text,
  created_at timestamptz not null default clock_timestamp(),
  constraint prices_pkey primary key (book, operation, dimension, version),
  constraint prices_operation_is_a_name_or_a_pattern
    check (length(operation) between 1 and 200 and operation !~ '\*.|[[:cntrl:]]'),
  constraint prices_dimension_is_a_slug check (dimension ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint prices_are_not_negative
    check (nano_per_unit >= 0 and nano_per_unit < 1e24 and scale(nano_per_unit) <= 30),
  constraint prices_are_per_something check (per > 0),
  constraint prices_minimum_is_below_the_maximum
    check (least(minimum_nano, maximum_nano) >= 0 and minimum_nano <= maximum_nano),
  constraint prices_steps_are_measured_by_something check ((steps is null) = (steps_by is null)),
  constraint prices_start_at_an_instant check (isfinite(valid_from))
);
create index prices_book_idx on credits.prices (book, operation, dimension, valid_from, version);
comment on table credits.prices is
  'Every price that was ever set, and every end of one. Rows are added, never changed: what a hold '
  'costs is read with the rows that were there when it was made. Read public.credit_prices.';
comment on column credits.prices.operation is
  'An operation, or the beginning of its name and a star.';
comment on column credits.prices.version is 'The version of the book that this row made.';
comment on column credits.prices.nano_per_unit is
  'Billionths of a credit for `per` units; null ends the price.';
comment on column credits.prices.steps is
  'Other prices for all units, by how much there is of what steps_by names: '
  '[{"above": 200000, "nano_per_unit": 2500000}].';
comment on column credits.prices.steps_by is
  'The dimensions whose quantities, added up, choose the step.';
comment on column credits.prices.minimum_nano is 'What the dimension costs at least, when named.';
comment on column credits.prices.maximum_nano is 'What the dimension costs at most.';
alter table credits.prices enable row level security;
revoke all on table credits.prices from public, anon, authenticated, service_role;
grant select on table credits.prices to anon, authenticated, service_role;
create policy "Everybody may read the prices" on credits.prices
  for select to anon, authenticated using (true);

create function credits.refuse_price_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'credit_prices',
    'attempted', lower(tg_op)), 'A price is never changed. Set the one that follows it.');
  return null;
end
$$;
comment on function credits.refuse_price_change() is
  'Stops UPDATE, DELETE and TRUNCATE of prices: what was charged by them has to stay explained.';
revoke all on function credits.refuse_price_change() from public, anon, authenticated, service_role;
create trigger prices_are_append_only before update or delete on credits.prices
  for each row execute function credits.refuse_price_change();
create trigger prices_are_never_truncated before truncate on credits.prices
  for each statement execute function credits.refuse_price_change();

create view public.credit_prices
with (security_invoker = true)
as
select p.book, p.operation, p.dimension, p.nano_per_unit, p.per, p.minimum_nano, p.maximum_nano,
  p.steps, p.steps_by, p.valid_from, p.valid_to, p.version, p.source
from (
  select f.*, lead(f.valid_from) over (
    partition by f.book, f.operation, f.dimension order by f.valid_from, f.version) as valid_to
  from credits.prices f) p
where p.nano_per_unit is not null and p.valid_to is distinct from p.valid_from;
comment on view public.credit_prices is
  'What operations cost, by dimension: from valid_from on, up to valid_to where another price '
  'follows or the price ends. Of several that fit an operation the most specific one counts.';
revoke all on table public.credit_prices from public, anon, authenticated, service_role;
grant select on table public.credit_prices to anon, authenticated, service_role;

-- schemas/prices/provider_costs.sql

-- What operations cost the seller. No API role reads any of it: not what a provider charges, not
-- the markup on it.

create table credits.exchange_rates (
  asset text not null,
  per_unit numeric not null,
  currency text not null,
  valid_from timestamptz not null,
  source text,
  created_at timestamptz not null default clock_timestamp(),
  constraint exchange_rates_pkey primary key (asset, currency, valid_from, created_at),
  constraint exchange_rates_asset_is_a_slug check (asset ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint exchange_rates_are_positive check (per_unit > 0 and per_unit < 1e30),
  constraint exchange_rates_start_at_an_instant check (isfinite(valid_from))
);
comment on table credits.exchange_rates is
  'What one unit of an asset was worth in a currency, from an instant on. Rows are added, never '
  'changed.';
alter table credits.exchange_rates enable row level security;
revoke all on table credits.exchange_rates from public, anon, authenticated, service_role;

create table credits.provider_prices (
  book text not null,
  operation text not null,
  dimension text not null,
  version bigint not null,
  asset text not null,
  cost_per_unit numeric not null,
  per bigint not null,
  markup numeric,
  steps jsonb,
  constraint provider_prices_pkey primary key (book, operation, dimension, version),
  constraint provider_prices_price_fkey foreign key (book, operation, dimension, version)
    references credits.prices (book, operation, dimension, version),
  constraint provider_prices_are_not_negative check (cost_per_unit >= 0 and per > 0),
  constraint provider_prices_markup_is_a_factor check (markup > 0)
);
comment on table credits.provider_prices is
  'What the provider charges for what a price is for, and how the price was made of it.';
comment on column credits.provider_prices.asset is
  'What the provider is paid in: a currency, or something with an exchange rate.';
comment on column credits.provider_prices.markup is
  'The price is the cost times this; null where the price was set by itself.';
alter table credits.provider_prices enable row level security;
revoke all on table credits.provider_prices from public, anon, authenticated, service_role;

create table credits.operation_costs (
  account_id uuid not null,
  operation_id uuid not null,
  currency text not null,
  provider_nano numeric not null,
  is_complete boolean not null,
  created_at timestamptz not null,
  constraint operation_costs_pkey primary key (account_id, operation_id)
);
create index operation_costs_created_at_idx on credits.operation_costs (account_id, created_at);
comment on table credits.operation_costs is
  'What the provider charged for a priced operation, in billionths of a unit of the currency.';
comment on column credits.operation_costs.is_complete is
  'Whether the cost of every dimension is known.';
alter table credits.operation_costs enable row level security;
revoke all on table credits.operation_costs from public, anon, authenticated, service_role;

create function credits.rate_at(p_asset text, p_currency text, p_at timestamptz)
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_asset = p_currency then
    return 1;
  end if;
  return (
    select r.per_unit from credits.exchange_rates r
    where r.asset = p_asset and r.currency = p_currency and r.valid_from <= p_at
    order by r.valid_from desc, r.created_at desc limit 1);
end
$$;
comment on function credits.rate_at(text, text, timestamptz) is
  'What one unit of an asset was worth in a currency; null where no rate is known.';
revoke all on function credits.rate_at(text, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.provider_nano(
  p_book public.credit_price_books, p_lines jsonb, p_at timestamptz, out nano numeric,
  out is_complete boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select coalesce(sum(l.quantity * 1000000000
      * credits.stepped(c.cost_per_unit, c.steps, l.measure) * r.rate / c.per), 0),
    count(*) = count(r.rate)
    into nano, is_complete
  from jsonb_to_recordset(p_lines) l (pattern text, dimension text, version bigint,
    quantity numeric, measure numeric)
  left join credits.provider_prices c on c.book = p_book.id and c.operation = l.pattern
    and c.dimension = l.dimension and c.version = l.version
  left join lateral credits.rate_at(c.asset, p_book.currency, p_at) r(rate) on true;
end
$$;
comment on function credits.provider_nano(public.credit_price_books, jsonb, timestamptz) is
  'What the provider charges for the lines of a priced operation, in billionths of the book''s '
  'currency, and whether the cost of all of them is known.';
revoke all on function credits.provider_nano(public.credit_price_books, jsonb, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.follow_cost(
  p_book public.credit_price_books, p_price credits.prices, p_cost credits.provider_prices)
returns credits.prices
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_price credits.prices := p_price;
  v_rate numeric := credits.rate_at(p_cost.asset, p_book.currency,
    coalesce(p_price.valid_from, clock_timestamp()));
  v_factor numeric := v_rate * p_cost.markup * p_book.nano_per_unit_of_currency;
begin
  if v_rate is null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_asset',
      'value', p_cost.asset, 'currency', p_book.currency, 'at', p_price.valid_from),
      'There is no exchange rate for it. Set one with set_exchange_rate.');
  elsif v_factor is null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_book',
      'value', p_book.id), 'The book does not say how many credits one unit of its currency is '
      'worth. Say so with set_price_book.');
  end if;
  v_price.nano_per_unit := trim_scale(round(p_cost.cost_per_unit * v_factor, 30));
  v_price.per := p_cost.per;
  v_price.steps := (
    select jsonb_agg(jsonb_build_object('above', s.value -> 'above', 'nano_per_unit',
      trim_scale(round((s.value ->> 'cost_per_unit')::numeric * v_factor, 30))) order by s.nth)
    from jsonb_array_elements(p_cost.steps) with ordinality s(value, nth));
  return v_price;
end
$$;
comment on function credits.follow_cost(
  public.credit_price_books, credits.prices, credits.provider_prices) is
  'The price that a provider''s cost makes: cost × exchange rate × markup × worth of a credit.';
revoke all on function credits.follow_cost(
  public.credit_price_books, credits.prices, credits.provider_prices)
  from public, anon, authenticated, service_role;

-- schemas/prices/priced_operations.sql

-- The ledger has whole credits only. What is paid of a credit and not used is the prepaid remainder
-- of the balance, in billionths, from 0 to less than 1. A priced spend takes as many whole credits
-- as the remainder lacks, and leaves the rest there: nothing is rounded per call, and no call is
-- paid for later.

create table credits.priced_operations (
  account_id uuid not null
    constraint priced_operations_account_id_fkey references credits.accounts (account_id),
  operation_id uuid not null,
  credit_type text not null,
  user_id uuid,
  book text not null,
  operation text not null,
  quantities jsonb not null,
  lines jsonb not null,
  price_version bigint not null,
  cost_nano bigint not null,
  unpaid_nano bigint not null default 0,
  whole bigint not null,
  returned bigint not null default 0,
  prepaid_before bigint not null,
  prepaid_after bigint not null,
  reservation_id uuid,
  created_at timestamptz not null,
  constraint priced_operations_pkey primary key (account_id, operation_id),
  constraint priced_operations_costs_are_not_negative
    check (least(cost_nano, unpaid_nano, whole, returned, prepaid_before, prepaid_after) >= 0),
  constraint priced_operations_return_what_was_taken check (returned <= whole),
  constraint priced_operations_are_paid_from_the_remainder_and_the_ledger
    check (prepaid_before + whole * 1000000000::numeric - cost_nano = prepaid_after)
);
create index priced_operations_returnable_idx
  on credits.priced_operations (account_id, credit_type, created_at) where returned < whole;
comment on table credits.priced_operations is
  'What each priced operation used and what it cost. Read it with explain_operation.';
comment on column credits.priced_operations.lines is
  'The receipt: quantity, price and cost of each dimension.';
comment on column credits.priced_operations.cost_nano is
  'What was charged, in billionths of a credit.';
comment on column credits.priced_operations.unpaid_nano is
  'What a capture could not charge, since neither the hold nor the balance had it.';
comment on column credits.priced_operations.whole is 'Credits taken from the ledger.';
comment on column credits.priced_operations.returned is
  'How many of them refunds have given back: those of this operation, and others'' whose parts '
  'added up to a credit.';
alter table credits.priced_operations enable row level security;
revoke all on table credits.priced_operations from public, anon, authenticated, service_role;

create table credits.priced_holds (
  account_id uuid not null,
  reservation_id uuid not null,
  book text not null,
  operation text not null,
  quantities jsonb not null,
  cost_nano bigint not null,
  priced_at timestamptz not null,
  book_version bigint not null,
  constraint priced_holds_pkey primary key (account_id, reservation_id),
  constraint priced_holds_reservation_fkey foreign key (account_id, reservation_id)
    references public.credit_reservations (account_id, id)
);
comment on table credits.priced_holds is
  'For which operation a hold was made, and by which prices it is captured: those that the book '
  'had then.';
comment on column credits.priced_holds.cost_nano is 'The cost of the quantities, the maximum.';
alter table credits.priced_holds enable row level security;
revoke all on table credits.priced_holds from public, anon, authenticated, service_role;

create table credits.priced_refunds (
  account_id uuid not null,
  refund_id uuid not null,
  operation_id uuid not null,
  credit_type text not null,
  user_id uuid,
  cost_nano bigint not null,
  whole bigint not null,
  prepaid_before bigint not null,
  prepaid_after bigint not null,
  created_at timestamptz not null,
  constraint priced_refunds_pkey primary key (account_id, refund_id),
  constraint priced_refunds_operation_fkey foreign key (account_id, operation_id)
    references credits.priced_operations (account_id, operation_id),
  constraint priced_refunds_give_something_back check (cost_nano > 0 and whole >= 0),
  constraint priced_refunds_go_into_the_remainder_and_the_ledger
    check (prepaid_before + cost_nano - whole * 1000000000::numeric = prepaid_after)
);
create index priced_refunds_operation_idx
  on credits.priced_refunds (account_id, operation_id);
comment on table credits.priced_refunds is
  'What was given back of the cost of priced operations. Whole credits of it went into the ledger.';
alter table credits.priced_refunds enable row level security;
revoke all on table credits.priced_refunds from public, anon, authenticated, service_role;

create function credits.price_words(
  p_operation text, p_quantities jsonb, p_price jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('operation', p_operation, 'quantities', p_quantities,
    'cost_nano', p_price -> 'cost_nano', 'price_version', p_price -> 'price_version');
end
$$;
comment on function credits.price_words(text, jsonb, jsonb) is
  'What usage and ledger keep of a priced operation, among its metadata.';
revoke all on function credits.price_words(text, jsonb, jsonb)
  from public, anon, authenticated, service_role;

create function credits.post_priced(
  p_account_id uuid, p_balance credits.balances, p_user_id uuid, p_operation_id uuid,
  p_book public.credit_price_books, p_operation text, p_quantities jsonb, p_price jsonb,
  p_whole bigint, p_reservation_id uuid, p_priced_at timestamptz)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_cost numeric := (p_price ->> 'cost_nano')::numeric;
  v_paid bigint := least(v_cost, p_balance.prepaid_nano + p_whole * 1000000000::numeric);
  v_after bigint := p_balance.prepaid_nano + p_whole * 1000000000::numeric - v_paid;
begin
  update credits.balances b set prepaid_nano = v_after,
    settled_at = greatest(b.settled_at, p_balance.settled_at)
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  insert into credits.priced_operations (account_id, operation_id, credit_type, user_id, book,
    operation, quantities, lines, price_version, cost_nano, unpaid_nano, whole, prepaid_before,
    prepaid_after, reservation_id, created_at)
  values (p_account_id, p_operation_id, p_balance.credit_type, p_user_id, p_book.id, p_operation,
    p_quantities, p_price -> 'lines', (p_price ->> 'price_version')::bigint, v_paid,
    v_cost - v_paid, p_whole, p_balance.prepaid_nano, v_after, p_reservation_id,
    p_balance.settled_at);
  insert into credits.operation_costs (account_id, operation_id, currency, provider_nano,
    is_complete, created_at)
  select p_account_id, p_operation_id, p_book.currency, c.nano, c.is_complete, p_balance.settled_at
  from credits.provider_nano(p_book, p_price -> 'lines', p_priced_at) c;
  return jsonb_build_object('cost', credits.credits_text(v_paid),
      'price_version', p_price -> 'price_version')
    || case when v_cost > v_paid
      then jsonb_build_object('unpaid', credits.credits_text(v_cost - v_paid)) else '{}' end;
end
$$;
comment on function credits.post_priced(uuid, credits.balances, uuid, uuid,
  public.credit_price_books, text, jsonb, jsonb, bigint, uuid, timestamptz) is
  'Keeps a priced operation and what it leaves of the remainder of the locked balance, after '
  'p_whole credits were taken. What it adds to the answer.';
revoke all on function credits.post_priced(uuid, credits.balances, uuid, uuid,
  public.credit_price_books, text, jsonb, jsonb, bigint, uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.log_free_use(
  p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_user_id uuid,
  p_description text, p_metadata jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into public.usage (account_id, user_id, credit_type, credits_used, status, description,
    metadata, operation_id, created_at)
  values (p_account_id, p_user_id, p_balance.credit_type, 0, 'allowed', p_description, p_metadata,
    p_operation_id, p_balance.settled_at);
end
$$;
comment on function credits.log_free_use(uuid, credits.balances, uuid, uuid, text, jsonb) is
  'Puts a priced operation on record in usage that the remainder has paid for.';
revoke all on function credits.log_free_use(uuid, credits.balances, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

-- schemas/prices/capture_operation.sql

-- edge: result=PricedCapture callers=service_role keyed reads=quantities:quantities
--   Charge a hold of :meth:`reserve_operation` with what was used, by the prices of the hold.
--
--   ``quantities`` None is the maximum. Above the hold it takes what is available; the answer has
--   the ``shortfall``, and what stays ``unpaid``. With ``final`` false it is a part.
--
--   Raises:
--       ReservationNotFound, ReservationClosed: it is over, or was captured otherwise.
--       InvalidArgument: a quantity without a price, or a hold of :meth:`reserve_credits`.
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen.
create function public.capture_operation(
  p_user_id uuid, p_reservation_id uuid, p_quantities jsonb default null,
  p_description text default null, p_metadata jsonb default '{}', p_workspace_id uuid default null,
  p_final boolean default true, p_idempotency_key text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_metadata jsonb := credits.check_request(1, p_description, p_idempotency_key, p_metadata);
  v_quantities jsonb;
begin
  if p_quantities is not null then
    v_quantities := credits.read_quantities(p_quantities);
  end if;
  return credits.respond(credits.capture_priced(
    credits.paying_account(p_user_id, p_workspace_id), p_user_id, p_reservation_id, v_quantities,
    p_description, v_metadata, coalesce(p_final, true), p_idempotency_key));
end
$$;
comment on function public.capture_operation(
  uuid, uuid, jsonb, text, jsonb, uuid, boolean, text) is
  'Charges a hold of reserve_operation with the cost of what was used (null for the maximum), by '
  'the prices that there were when it was made. Answers like capture_credits, with cost, '
  'price_version, and unpaid where hold and balance did not suffice.';
revoke all on function public.capture_operation(uuid, uuid, jsonb, text, jsonb, uuid, boolean, text)
  from public, anon, authenticated, service_role;
grant execute on function public.capture_operation(
  uuid, uuid, jsonb, text, jsonb, uuid, boolean, text) to service_role;

create function credits.capture_priced(
  p_account_id uuid, p_user_id uuid, p_reservation_id uuid, p_quantities jsonb,
  p_description text, p_metadata jsonb, p_is_final boolean, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('function', 'capture_operation', 'user_id', p_user_id,
    'reservation_id', p_reservation_id, 'quantities', p_quantities, 'description', p_description,
    'metadata', p_metadata, 'final', p_is_final);
  v_locked record;
  v_hold credits.priced_holds;
  v_quantities jsonb;
  v_price jsonb;
  v_answer jsonb;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_hold := credits.find_priced_hold(p_account_id, p_reservation_id);
  v_quantities := coalesce(p_quantities, v_hold.quantities);
  v_answer := coalesce(credits.replay(p_account_id, p_idempotency_key, v_request),
    case when p_is_final then
      credits.replay_priced_capture(p_account_id, v_locked.p_reservation, v_quantities) end);
  if v_answer is not null then
    return v_answer;
  elsif (v_locked.p_reservation).status <> 'open' then
    perform credits.raise_error('reservation_closed', jsonb_build_object('reservation_id',
      p_reservation_id, 'status', (v_locked.p_reservation).status,
      'captured', (v_locked.p_reservation).captured));
  elsif (v_locked.p_balance).account_status <> 'active' then
    perform credits.refuse_status(p_account_id, (v_locked.p_balance).account_status);
  end if;
  v_price := credits.price_operation(v_hold.book, v_hold.operation, v_quantities, v_hold.priced_at,
    v_hold.book_version);
  v_answer := credits.take_priced(p_account_id, p_user_id, v_locked.p_balance,
    v_locked.p_reservation, credits.whole_credits((v_price ->> 'cost_nano')::numeric
      - (v_locked.p_balance).prepaid_nano), p_description,
    p_metadata || credits.price_words(v_hold.operation, v_quantities, v_price), p_is_final);
  v_answer := v_answer || credits.post_priced(p_account_id, v_locked.p_balance, p_user_id,
    (v_answer ->> 'operation_id')::uuid, credits.find_price_book(v_hold.book), v_hold.operation,
    v_quantities, v_price, (v_answer ->> 'captured')::bigint, p_reservation_id, v_hold.priced_at);
  update public.credit_reservations r set answer = v_answer
  where r.account_id = p_account_id and r.id = p_reservation_id;
  perform credits.remember(p_account_id, p_idempotency_key, (v_answer ->> 'operation_id')::uuid,
    v_request, v_answer, (v_locked.p_balance).settled_at);
  return v_answer;
end
$$;
comment on function credits.capture_priced(uuid, uuid, uuid, jsonb, text, jsonb, boolean, text) is
  'Charges a priced hold: the remainder pays first, the hold what that lacks, the balance what '
  'that lacks. The rest of the hold goes back with the last part.';
revoke all on function credits.capture_priced(uuid, uuid, uuid, jsonb, text, jsonb, boolean, text)
  from public, anon, authenticated, service_role;

create function credits.find_priced_hold(p_account_id uuid, p_reservation_id uuid)
returns credits.priced_holds
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_hold credits.priced_holds;
begin
  select h.* into v_hold from credits.priced_holds h
  where h.account_id = p_account_id and h.reservation_id = p_reservation_id;
  if not found then
    perform credits.raise_error('invalid_argument', jsonb_build_object(
      'argument', 'p_reservation_id', 'value', p_reservation_id),
      'This hold was made without an operation. Capture it with capture_credits.');
  end if;
  return v_hold;
end
$$;
comment on function credits.find_priced_hold(uuid, uuid) is
  'For which operation a hold was made. Raises invalid_argument where for none.';
revoke all on function credits.find_priced_hold(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.replay_priced_capture(
  p_account_id uuid, p_hold public.credit_reservations, p_quantities jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A hold that the remainder has paid for is released, with an answer all the same.
  return (
    select p_hold.answer || '{"replayed": true}'
    from credits.priced_operations o
    where p_hold.status in ('captured', 'released') and o.account_id = p_account_id
      and o.operation_id = (p_hold.answer ->> 'operation_id')::uuid
      and o.reservation_id = p_hold.id and o.quantities = p_quantities
      and p_hold.answer ->> 'held' = '0' and p_hold.answer ? 'cost');
end
$$;
comment on function credits.replay_priced_capture(uuid, public.credit_reservations, jsonb) is
  'The answer to the last capture of a closed priced hold, when the same quantities are captured '
  'again; else null.';
revoke all on function credits.replay_priced_capture(uuid, public.credit_reservations, jsonb)
  from public, anon, authenticated, service_role;

create function credits.take_priced(
  p_account_id uuid, p_user_id uuid, p_balance credits.balances,
  p_hold public.credit_reservations, p_whole bigint, p_description text, p_metadata jsonb,
  p_is_final boolean)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := p_balance;
  v_operation_id uuid := gen_random_uuid();
  v_left bigint := p_hold.amount + p_hold.extra - p_hold.captured;
begin
  if p_whole > 0 then
    return credits.capture(p_account_id, p_user_id, p_hold.id, p_whole, p_description, p_metadata,
      p_is_final, null);
  end if;
  -- As with any hold: what is captured at once is one operation with it.
  if p_is_final and not exists (select 1 from credits.priced_operations o
      where o.account_id = p_account_id and o.reservation_id = p_hold.id) then
    v_operation_id := p_hold.operation_id;
  end if;
  if p_is_final then
    v_balance := credits.close_hold(p_account_id, v_balance, p_hold, 'the remainder paid for it');
  end if;
  perform credits.log_free_use(p_account_id, v_balance, v_operation_id, p_user_id,
    coalesce(p_description, p_hold.description), p_hold.metadata || p_metadata);
  return credits.answer(v_balance, v_operation_id, 0) || jsonb_build_object(
    'reservation_id', p_hold.id, 'captured', 0,
    'released', case when p_is_final then v_left else 0 end,
    'held', case when p_is_final then 0 else v_left end, 'shortfall', 0);
end
$$;
comment on function credits.take_priced(uuid, uuid, credits.balances, public.credit_reservations,
  bigint, text, jsonb, boolean) is
  'Captures the whole credits that a priced operation takes of its hold, or none, where the '
  'remainder pays for it.';
revoke all on function credits.take_priced(uuid, uuid, credits.balances, public.credit_reservations,
  bigint, text, jsonb, boolean) from public, anon, authenticated, service_role;

-- schemas/prices/consume_operation.sql

-- edge: result=PricedAnswer callers=service_role keyed denies reads=quantities:quantities
--   Spend what an operation costs by the price book, all or nothing.
--
--   ``cost`` is exact, in credits; ``amount`` is how many whole credits that took: the parts of a
--   credit that were paid for before are used first.
--
--   Raises:
--       UnknownOperation: it has no price.
--       InsufficientCredits: there is not enough (also MemberCapReached).
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, AccountNotFound, InvalidArgument.
create function public.consume_operation(
  p_user_id uuid, p_operation text, p_quantities jsonb default null,
  p_description text default null, p_idempotency_key text default null,
  p_metadata jsonb default '{}', p_book text default null, p_workspace_id uuid default null,
  p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_metadata jsonb := credits.check_request(1, p_description, p_idempotency_key, p_metadata);
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_quantities jsonb := credits.read_quantities(coalesce(p_quantities, jsonb '{"call": 1}'));
begin
  return credits.respond(credits.consume_priced(
    credits.paying_account(p_user_id, p_workspace_id, v_book.credit_type), p_user_id, v_book,
    p_operation, v_quantities, p_description, p_idempotency_key, v_metadata), p_strict);
end
$$;
comment on function public.consume_operation(
  uuid, text, jsonb, text, text, jsonb, text, uuid, boolean) is
  'Spends what an operation with these quantities (null for one call) costs by the price book. '
  'Answers like consume_credits, with cost in credits, exactly, and price_version. Whole credits '
  'are taken only for what the prepaid remainder lacks. Raises unknown_operation.';
revoke all on function public.consume_operation(
  uuid, text, jsonb, text, text, jsonb, text, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.consume_operation(
  uuid, text, jsonb, text, text, jsonb, text, uuid, boolean) to service_role;

create function credits.consume_priced(
  p_account_id uuid, p_user_id uuid, p_book public.credit_price_books, p_operation text,
  p_quantities jsonb, p_description text, p_idempotency_key text, p_metadata jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('function', 'consume_operation', 'user_id', p_user_id,
    'book', p_book.id, 'operation', p_operation, 'quantities', p_quantities,
    'description', p_description, 'metadata', p_metadata);
  v_operation_id uuid := gen_random_uuid();
  v_balance credits.balances;
  v_price jsonb;
  v_whole bigint;
  v_metadata jsonb;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_book.credit_type);
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  elsif v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_price := credits.price_operation(p_book.id, p_operation, p_quantities, v_balance.settled_at);
  v_whole := credits.whole_credits((v_price ->> 'cost_nano')::numeric - v_balance.prepaid_nano);
  v_metadata := p_metadata || credits.price_words(p_operation, p_quantities, v_price);
  if v_whole > 0 then
    v_answer := credits.consume(p_account_id, p_user_id, p_book.credit_type, v_whole, p_description,
      null, v_metadata);
    if v_answer ->> 'code' <> 'ok' then
      return v_answer || jsonb_build_object('price_version', v_price -> 'price_version',
        'cost', credits.credits_text((v_price ->> 'cost_nano')::numeric));
    end if;
    v_operation_id := (v_answer ->> 'operation_id')::uuid;
  else
    perform credits.log_free_use(p_account_id, v_balance, v_operation_id, p_user_id, p_description,
      v_metadata);
    v_answer := credits.answer(v_balance, v_operation_id, 0);
  end if;
  v_answer := v_answer || credits.post_priced(p_account_id, v_balance, p_user_id, v_operation_id,
    p_book, p_operation, p_quantities, v_price, v_whole, null, v_balance.settled_at);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.consume_priced(
  uuid, uuid, public.credit_price_books, text, jsonb, text, text, jsonb) is
  'Spends the cost of an operation: from the remainder first, then as many whole credits as it '
  'lacks, by the ordinary spend.';
revoke all on function credits.consume_priced(
  uuid, uuid, public.credit_price_books, text, jsonb, text, text, jsonb)
  from public, anon, authenticated, service_role;

-- schemas/prices/end_price.sql

-- edge: result=Price callers=service_role repeatable
--   End a price: from then on the next less specific one counts, or the operation is unknown.
--
--   Raises:
--       InvalidArgument: no such book or price.
create function public.end_price(
  p_operation text, p_dimension text, p_book text default 'default',
  p_valid_to timestamptz default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_book text := (credits.find_price_book(p_book)).id;
  v_price credits.prices;
begin
  if not exists (select 1 from credits.prices p
    where p.book = v_book and p.operation = p_operation and p.dimension = p_dimension) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_operation',
      'value', p_operation, 'dimension', p_dimension), 'The book has no such price.');
  end if;
  v_price.operation := p_operation;
  v_price.dimension := p_dimension;
  v_price.per := 1;
  v_price.valid_from := coalesce(p_valid_to, clock_timestamp());
  v_price := credits.follow_price(v_book, v_price);
  return credits.price_answer(v_price);
end
$$;
comment on function public.end_price(text, text, text, timestamptz) is
  'Ends a price at p_valid_to, without another that follows it. What was charged by it stays '
  'explained, and open holds are still charged by it.';
revoke all on function public.end_price(text, text, text, timestamptz)
  from public, anon, authenticated, service_role;
grant execute on function public.end_price(text, text, text, timestamptz) to service_role;

-- schemas/prices/price_operation.sql

create function credits.read_quantities(p_quantities jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_quantity record;
  v_wrong text;
begin
  if jsonb_typeof(p_quantities) is distinct from 'object' or p_quantities = '{}'
     or octet_length(p_quantities::text) > 4000 then
    v_wrong := '';
  else
    -- A quantity may be a text, since not every language reads large numbers exactly.
    for v_quantity in select q.key, q.value from jsonb_each(p_quantities) q loop
      if jsonb_typeof(v_quantity.value) not in ('number', 'string')
         or v_quantity.value #>> '{}' !~ '^[0-9]{1,30}(\.[0-9]{1,18})?$' then
        v_wrong := v_quantity.key;
      end if;
    end loop;
  end if;
  if v_wrong is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_quantities',
      'dimension', nullif(v_wrong, '')), 'Quantities are a JSON object: for each dimension how '
      'much of it was used, a number that is 0 or more.');
  end if;
  return (select jsonb_object_agg(q.key, trim_scale(q.value::numeric))
    from jsonb_each_text(p_quantities) q);
end
$$;
comment on function credits.read_quantities(jsonb) is
  'Quantities as numbers, the same however they were written. Raises invalid_argument for what are '
  'none.';
revoke all on function credits.read_quantities(jsonb)
  from public, anon, authenticated, service_role;

create function credits.prices_at(
  p_book text, p_operation text, p_at timestamptz, p_known_version bigint)
returns setof credits.prices
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with current as (
    select distinct on (p.operation, p.dimension) p.*
    from credits.prices p
    where p.book = p_book and p.valid_from <= p_at
      and p.version <= coalesce(p_known_version, p.version)
      and position('*' in p_operation) = 0
      -- The operation itself, and every beginning of it that could be a pattern.
      and p.operation = any (p_operation || array(
        select left(p_operation, n) || '*' from generate_series(0, length(p_operation)) n))
    order by p.operation, p.dimension, p.valid_from desc, p.version desc
  )
  select distinct on (c.dimension) c.*
  from current c
  where c.nano_per_unit is not null
  order by c.dimension, c.operation = p_operation desc, length(c.operation) desc;
end
$$;
comment on function credits.prices_at(text, text, timestamptz, bigint) is
  'The prices of an operation at an instant, the most specific one for each dimension, as the book '
  'was in p_known_version (null for now).';
revoke all on function credits.prices_at(text, text, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.stepped(p_price numeric, p_steps jsonb, p_measure numeric)
returns numeric
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_steps is null then
    return p_price;
  end if;
  return coalesce((
    select coalesce(s.value ->> 'nano_per_unit', s.value ->> 'cost_per_unit')::numeric
    from jsonb_array_elements(p_steps) s
    where (s.value ->> 'above')::numeric < p_measure
    order by (s.value ->> 'above')::numeric desc limit 1), p_price);
end
$$;
comment on function credits.stepped(numeric, jsonb, numeric) is
  'The price of the step that p_measure has reached, for all units; the first price below them.';
revoke all on function credits.stepped(numeric, jsonb, numeric)
  from public, anon, authenticated, service_role;

create function credits.price_lines(
  p_book text, p_operation text, p_quantities jsonb, p_at timestamptz, p_known_version bigint)
returns table (
  dimension text, quantity numeric, price credits.prices, unit_nano numeric, measure numeric)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_unpriced text[];
begin
  -- Each price is looked for where the quantities are, so a quantity without one is seen here.
  select array_agg(q.key order by q.key) filter (where p.book is null) into v_unpriced
  from jsonb_each(p_quantities) q
  left join credits.prices_at(p_book, p_operation, p_at, p_known_version) p on p.dimension = q.key;
  if v_unpriced is not null then
    perform credits.refuse_unpriced(p_book, p_operation, v_unpriced, p_at, p_known_version);
  end if;
  return query
  select q.key, q.value::numeric, p,
    trim_scale(credits.stepped(p.nano_per_unit, p.steps, m.measure)), m.measure
  from jsonb_each_text(p_quantities) q
  join credits.prices_at(p_book, p_operation, p_at, p_known_version) p on p.dimension = q.key
  cross join lateral (
    select sum((p_quantities ->> b.name)::numeric) as measure from unnest(p.steps_by) b(name)) m
  order by q.key;
end
$$;
comment on function credits.price_lines(text, text, jsonb, timestamptz, bigint) is
  'For each quantity its price and what a unit costs by the step that is reached. Raises '
  'unknown_operation, or invalid_argument for a quantity without a price.';
revoke all on function credits.price_lines(text, text, jsonb, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.refuse_unpriced(
  p_book text, p_operation text, p_unpriced text[], p_at timestamptz, p_known_version bigint)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_priced jsonb := (select jsonb_agg(p.dimension order by p.dimension)
    from credits.prices_at(p_book, p_operation, p_at, p_known_version) p);
begin
  if v_priced is null then
    perform credits.raise_error('unknown_operation', jsonb_build_object(
      'operation', p_operation, 'book', p_book));
  end if;
  perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_quantities',
    'operation', p_operation, 'dimensions', p_unpriced, 'priced', v_priced),
    'The operation has no price for ' || array_to_string(p_unpriced, ', ') || '.');
end
$$;
comment on function credits.refuse_unpriced(text, text, text[], timestamptz, bigint) is
  'Raises unknown_operation where an operation has no price at all, else invalid_argument.';
revoke all on function credits.refuse_unpriced(text, text, text[], timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.price_operation(
  p_book text, p_operation text, p_quantities jsonb, p_at timestamptz,
  p_known_version bigint default null)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_line record;
  v_lines jsonb := jsonb '[]';
  v_version bigint := 0;
  v_cost numeric;
begin
  for v_line in
    select l.price, l.quantity, l.unit_nano, l.measure
    from credits.price_lines(p_book, p_operation, p_quantities, p_at, p_known_version) l
  loop
    v_version := greatest(v_version, (v_line.price).version);
    v_lines := v_lines || credits.price_line(v_line.price, v_line.quantity, v_line.unit_nano,
      v_line.measure);
  end loop;
  v_cost := credits.cost_of_lines(v_lines);
  if v_cost > 9223372036854775807 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_quantities',
      'cost', credits.credits_text(v_cost)), 'One operation costs at most 9223372036 credits.');
  end if;
  return jsonb_build_object('cost_nano', v_cost, 'price_version', v_version, 'lines', v_lines);
end
$$;
comment on function credits.price_operation(text, text, jsonb, timestamptz, bigint) is
  'What an operation costs, in billionths of a credit, with the lines of its receipt. Raises '
  'unknown_operation, invalid_argument.';
revoke all on function credits.price_operation(text, text, jsonb, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.price_line(
  p_price credits.prices, p_quantity numeric, p_unit_nano numeric, p_measure numeric)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_strip_nulls(jsonb_build_object('dimension', p_price.dimension,
    'quantity', p_quantity, 'nano_per_unit', p_unit_nano, 'per', p_price.per,
    'pattern', p_price.operation, 'version', p_price.version, 'measure', p_measure,
    'minimum_nano', p_price.minimum_nano, 'maximum_nano', p_price.maximum_nano,
    'cost', credits.credits_text(round(credits.bounded(p_quantity * p_unit_nano, p_price.per,
      p_price.minimum_nano, p_price.maximum_nano) / p_price.per, 6))));
end
$$;
comment on function credits.price_line(credits.prices, numeric, numeric, numeric) is
  'A line of a receipt: a dimension, how much of it, by which price, and what it costs (to the '
  'millionth of a billionth).';
revoke all on function credits.price_line(credits.prices, numeric, numeric, numeric)
  from public, anon, authenticated, service_role;

create function credits.bounded(
  p_nano numeric, p_per numeric, p_minimum_nano numeric, p_maximum_nano numeric)
returns numeric
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return least(greatest(p_nano, p_minimum_nano * p_per), p_maximum_nano * p_per);
end
$$;
comment on function credits.bounded(numeric, numeric, numeric, numeric) is
  'The cost of a dimension, times per, between its minimum and its maximum where it has them.';
revoke all on function credits.bounded(numeric, numeric, numeric, numeric)
  from public, anon, authenticated, service_role;

create function credits.cost_of_lines(p_lines jsonb)
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- A sum of fractions, exact until the one rounding at its end.
  v_sum numeric := 0;
  v_below numeric := 1;
  v_common numeric;
  v_line record;
begin
  for v_line in
    select l.per, credits.bounded(l.quantity * l.nano_per_unit, l.per, l.minimum_nano,
      l.maximum_nano) as above
    from jsonb_to_recordset(p_lines) l (quantity numeric, nano_per_unit numeric, per numeric,
      minimum_nano numeric, maximum_nano numeric)
  loop
    v_common := lcm(v_below, v_line.per);
    v_sum := v_sum * div(v_common, v_below) + v_line.above * div(v_common, v_line.per);
    v_below := v_common;
  end loop;
  return div(v_sum, v_below) + case when mod(v_sum, v_below) > 0 then 1 else 0 end;
end
$$;
comment on function credits.cost_of_lines(jsonb) is
  'What the lines of a receipt add up to: exactly, then rounded up to a billionth of a credit.';
revoke all on function credits.cost_of_lines(jsonb) from public, anon, authenticated, service_role;

create function credits.credits_text(p_nano numeric)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return trim_scale(p_nano * 0.000000001)::text;
end
$$;
comment on function credits.credits_text(numeric) is
  'Billionths of a credit as a decimal number of credits, exactly.';
revoke all on function credits.credits_text(numeric) from public, anon, authenticated, service_role;

create function credits.whole_credits(p_nano numeric)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return greatest(0, ceil(p_nano * 0.000000001))::bigint;
end
$$;
comment on function credits.whole_credits(numeric) is
  'How many whole credits it takes to pay for this many billionths; 0 for none and less.';
revoke all on function credits.whole_credits(numeric)
  from public, anon, authenticated, service_role;

-- schemas/prices/quote_operation.sql

-- edge: result=Quote callers=service_role repeatable reads=quantities:quantities
--   What an operation would cost now, by the price book. It books nothing.
--
--   ``estimate`` is exact; ``maximum`` is how many whole credits it takes at most, which is what a
--   hold sets aside (at least one).
--
--   Raises:
--       UnknownOperation: it has no price.
--       InvalidArgument: no such book, or a quantity without a price.
create function public.quote_operation(
  p_operation text, p_quantities jsonb default null, p_book text default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_quantities jsonb := credits.read_quantities(coalesce(p_quantities, jsonb '{"call": 1}'));
  v_price jsonb;
  v_cost numeric;
begin
  v_price := credits.price_operation(v_book.id, p_operation, v_quantities, statement_timestamp());
  v_cost := (v_price ->> 'cost_nano')::numeric;
  return jsonb_build_object('success', true, 'code', 'ok', 'operation', p_operation,
    'book', v_book.id, 'credit_type', v_book.credit_type, 'quantities', v_quantities,
    'cost', credits.credits_text(v_cost), 'estimate', credits.credits_text(v_cost),
    'maximum', credits.whole_credits(v_cost),
    'price_version', v_price -> 'price_version', 'lines', v_price -> 'lines');
end
$$;
comment on function public.quote_operation(text, jsonb, text) is
  'What an operation with these quantities (null for one call) would cost now: cost and estimate '
  'in credits, exactly, and maximum, the whole credits that it takes at most. Books nothing. '
  'Raises unknown_operation, invalid_argument.';
revoke all on function public.quote_operation(text, jsonb, text)
  from public, anon, authenticated, service_role;
grant execute on function public.quote_operation(text, jsonb, text) to service_role;

-- schemas/prices/refund_priced.sql

create function credits.refund_priced(
  p_account_id uuid, p_user_id uuid, p_operation credits.priced_operations, p_amount bigint,
  p_reason text, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_request jsonb := credits.refund_request(p_user_id, p_operation.operation_id, p_amount,
    p_reason);
  v_refund_id uuid := gen_random_uuid();
  v_balance credits.balances;
  v_left bigint;
  v_cost bigint;
  v_whole bigint;
  v_returned record;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_operation.credit_type);
  if v_balance.account_status = 'closed' and p_user_id is not null then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  v_left := p_operation.cost_nano - (
    select coalesce(sum(f.cost_nano), 0) from credits.priced_refunds f
    where f.account_id = p_account_id and f.operation_id = p_operation.operation_id);
  if v_left = 0 or p_amount > credits.whole_credits(v_left) then
    perform credits.raise_error('invalid_amount', jsonb_build_object('amount', p_amount,
      'refundable', credits.whole_credits(v_left), 'refundable_cost', credits.credits_text(v_left)),
      'More than an operation cost cannot be given back.');
  end if;
  v_cost := least(v_left, coalesce(p_amount * 1000000000::numeric, v_left));
  v_whole := div(v_balance.prepaid_nano::numeric + v_cost, 1000000000);
  insert into credits.priced_refunds (account_id, refund_id, operation_id, credit_type, user_id,
    cost_nano, whole, prepaid_before, prepaid_after, created_at)
  values (p_account_id, v_refund_id, p_operation.operation_id, p_operation.credit_type, p_user_id,
    v_cost, v_whole, v_balance.prepaid_nano,
    v_balance.prepaid_nano::numeric + v_cost - v_whole * 1000000000::numeric, v_balance.settled_at);
  update credits.balances b
  set prepaid_nano = v_balance.prepaid_nano::numeric + v_cost - v_whole * 1000000000::numeric
  where b.account_id = p_account_id and b.credit_type = p_operation.credit_type;
  v_returned := credits.return_whole(p_account_id, v_balance, p_user_id, p_operation, v_whole,
    v_refund_id, p_reason);
  v_balance := credits.save_balance(p_account_id, v_returned.p_balance);
  v_answer := credits.answer(v_balance, v_refund_id, v_whole) || jsonb_build_object(
    'refunds_operation_id', p_operation.operation_id, 'returned', v_whole - v_returned.expired,
    'expired', v_returned.expired, 'cost', credits.credits_text(v_cost),
    'price_version', p_operation.price_version);
  perform credits.remember(p_account_id, p_idempotency_key, v_refund_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.refund_priced(
  uuid, uuid, credits.priced_operations, bigint, text, text) is
  'Gives the cost of a priced operation back, all that is left of it or p_amount credits of it: '
  'into the remainder, and what lifts that to a credit or more as whole credits.';
revoke all on function credits.refund_priced(
  uuid, uuid, credits.priced_operations, bigint, text, text)
  from public, anon, authenticated, service_role;

create function credits.return_whole(
  p_account_id uuid, inout p_balance credits.balances, p_user_id uuid,
  p_operation credits.priced_operations, p_amount bigint, p_refund_id uuid, p_reason text,
  out expired bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_source record;
  v_back bigint;
  v_left bigint := p_amount;
  v_returned record;
begin
  expired := 0;
  -- Parts of several operations may add up to a credit that an earlier one took: the latest comes
  -- first.
  for v_source in
    select o.operation_id, o.whole - o.returned as refundable, o.created_at
    from credits.priced_operations o
    where o.account_id = p_account_id and o.credit_type = p_operation.credit_type
      and o.returned < o.whole and p_amount > 0
    order by o.operation_id = p_operation.operation_id desc, o.created_at desc, o.operation_id
  loop
    exit when v_left = 0;
    v_back := least(v_left, v_source.refundable);
    v_returned := credits.return_spent(p_account_id, p_balance, p_user_id, v_source.operation_id,
      v_back, p_refund_id, p_reason);
    p_balance := v_returned.p_balance;
    expired := expired + v_returned.expired;
    update credits.priced_operations o set returned = o.returned + v_back
    where o.account_id = p_account_id and o.operation_id = v_source.operation_id;
    if v_source.created_at >= p_balance.used_since then
      p_balance.used := greatest(0, p_balance.used - v_back);
    end if;
    v_left := v_left - v_back;
  end loop;
  if v_left > 0 then
    perform credits.raise_disagreement(p_account_id, p_operation.credit_type, v_left);
  end if;
end
$$;
comment on function credits.return_whole(
  uuid, credits.balances, uuid, credits.priced_operations, bigint, uuid, text) is
  'Gives whole credits back into the grants of a priced operation, then into those of the '
  'operations before it: together they have taken every credit that the remainder is of.';
revoke all on function credits.return_whole(
  uuid, credits.balances, uuid, credits.priced_operations, bigint, uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/prices/reserve_operation.sql

-- edge: result=PricedReservation callers=service_role keyed denies reads=quantities:quantities
--   Hold what an operation costs at most, with the prices of this moment.
--
--   ``quantities`` are the maximum. Capture it with :meth:`capture_operation` and what was really
--   used; a price that changes meanwhile does not change what it costs.
--
--   Raises:
--       UnknownOperation: it has no price.
--       InsufficientCredits: there is not enough (also MemberCapReached).
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, AccountNotFound, InvalidArgument.
create function public.reserve_operation(
  p_user_id uuid, p_operation text, p_quantities jsonb default null,
  p_description text default null, p_idempotency_key text default null,
  p_metadata jsonb default '{}', p_ttl_seconds integer default 900, p_book text default null,
  p_workspace_id uuid default null, p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_metadata jsonb := credits.check_request(1, p_description, p_idempotency_key, p_metadata);
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_quantities jsonb := credits.read_quantities(coalesce(p_quantities, jsonb '{"call": 1}'));
begin
  perform credits.check_ttl(p_ttl_seconds);
  return credits.respond(credits.reserve_priced(
    credits.paying_account(p_user_id, p_workspace_id, v_book.credit_type), p_user_id, v_book,
    p_operation, v_quantities, p_description, p_idempotency_key, v_metadata, p_ttl_seconds),
    p_strict);
end
$$;
comment on function public.reserve_operation(
  uuid, text, jsonb, text, text, jsonb, integer, text, uuid, boolean) is
  'Holds the whole credits that an operation with these quantities, the maximum, costs, at least '
  'one. Answers like reserve_credits, with cost and price_version. It is captured by the prices of '
  'this moment. Raises unknown_operation.';
revoke all on function public.reserve_operation(
  uuid, text, jsonb, text, text, jsonb, integer, text, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.reserve_operation(
  uuid, text, jsonb, text, text, jsonb, integer, text, uuid, boolean) to service_role;

create function credits.reserve_priced(
  p_account_id uuid, p_user_id uuid, p_book public.credit_price_books, p_operation text,
  p_quantities jsonb, p_description text, p_idempotency_key text, p_metadata jsonb,
  p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('function', 'reserve_operation', 'user_id', p_user_id,
    'book', p_book.id, 'operation', p_operation, 'quantities', p_quantities,
    'description', p_description, 'metadata', p_metadata, 'ttl_seconds', p_ttl_seconds);
  v_known bigint;
  v_balance credits.balances;
  v_price jsonb;
  v_cost numeric;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_book.credit_type);
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  elsif v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  select b.version into v_known from public.credit_price_books b where b.id = p_book.id;
  v_price := credits.price_operation(p_book.id, p_operation, p_quantities, v_balance.settled_at,
    v_known);
  v_cost := (v_price ->> 'cost_nano')::numeric;
  v_answer := credits.reserve(p_account_id, p_user_id, p_book.credit_type,
    greatest(1, credits.whole_credits(v_cost)), p_description, null,
    p_metadata || credits.price_words(p_operation, p_quantities, v_price), p_ttl_seconds)
    || jsonb_build_object('cost', credits.credits_text(v_cost),
      'price_version', v_price -> 'price_version');
  if v_answer ->> 'code' <> 'ok' then
    return v_answer;
  end if;
  insert into credits.priced_holds (account_id, reservation_id, book, operation, quantities,
    cost_nano, priced_at, book_version)
  values (p_account_id, (v_answer ->> 'reservation_id')::uuid, p_book.id, p_operation,
    p_quantities, v_cost, v_balance.settled_at, v_known);
  perform credits.remember(p_account_id, p_idempotency_key, (v_answer ->> 'operation_id')::uuid,
    v_request, v_answer, v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.reserve_priced(
  uuid, uuid, public.credit_price_books, text, jsonb, text, text, jsonb, integer) is
  'Holds the whole credits of the largest cost of an operation, without regard to the remainder, '
  'and keeps as of when and of which version of the book its prices are.';
revoke all on function credits.reserve_priced(
  uuid, uuid, public.credit_price_books, text, jsonb, text, text, jsonb, integer)
  from public, anon, authenticated, service_role;

-- schemas/prices/set_exchange_rate.sql

-- edge: result=ExchangeRate callers=service_role repeatable
--   Set what ``per`` units of an asset are worth in a currency, from ``valid_from`` on.
--
--   Every price that follows a cost in this asset is followed by a new one from then on.
--
--   Raises:
--       InvalidArgument: no rate, or an asset that is the currency itself.
create function public.set_exchange_rate(
  p_asset text, p_worth numeric, p_per bigint default 1, p_currency text default 'usd',
  p_valid_from timestamptz default null, p_source text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_at timestamptz := coalesce(p_valid_from, case when exists (
    select 1 from credits.exchange_rates r where r.asset = p_asset and r.currency = p_currency)
    then clock_timestamp() else 'epoch' end);
  v_rate numeric := p_worth / greatest(p_per, 1)::numeric(60, 40);
begin
  if coalesce(p_asset ~ '^[a-z][a-z0-9_]{0,62}$' and p_worth > 0 and p_worth < 1e18
      and p_per >= 1 and p_currency ~ '^[a-z]{3}$' and p_asset <> p_currency and isfinite(v_at)
      and coalesce(length(p_source) <= 200, true), false) is not true then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_worth',
      'asset', p_asset, 'worth', p_worth, 'per', p_per, 'currency', p_currency), 'A rate is a '
      'number above 0 for 1 unit or more of an asset, which is named in small letters.');
  end if;
  if credits.rate_at(p_asset, p_currency, v_at) is distinct from v_rate then
    insert into credits.exchange_rates (asset, per_unit, currency, valid_from, source)
    values (p_asset, v_rate, p_currency, v_at, p_source);
  end if;
  return jsonb_build_object('success', true, 'code', 'ok', 'asset', p_asset, 'currency', p_currency,
    'worth', trim_scale(p_worth)::text, 'per', p_per, 'valid_from', v_at,
    'prices', credits.follow_rate(p_asset, p_currency, v_at, p_source));
end
$$;
comment on function public.set_exchange_rate(text, numeric, bigint, text, timestamptz, text) is
  'Sets what p_per units of an asset are worth in a currency from p_valid_from on. Prices that '
  'follow a provider''s cost in it get the price that follows; answers how many did.';
revoke all on function public.set_exchange_rate(text, numeric, bigint, text, timestamptz, text)
  from public, anon, authenticated, service_role;
grant execute on function public.set_exchange_rate(text, numeric, bigint, text, timestamptz, text)
  to service_role;

create function credits.follow_rate(
  p_asset text, p_currency text, p_at timestamptz, p_source text)
returns integer
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_following record;
  v_price credits.prices;
  v_count integer := 0;
begin
  for v_following in
    select b as book, p.price, c as cost
    from public.credit_price_books b
    join lateral (
      select distinct on (f.operation, f.dimension) f as price from credits.prices f
      where f.book = b.id and f.valid_from <= p_at
      order by f.operation, f.dimension, f.valid_from desc, f.version desc) p on true
    join credits.provider_prices c on c.book = b.id and c.operation = (p.price).operation
      and c.dimension = (p.price).dimension and c.version = (p.price).version
    where b.currency = p_currency and c.asset = p_asset and c.markup is not null
      and (p.price).nano_per_unit is not null
    order by b.id, (p.price).operation, (p.price).dimension
  loop
    v_price := v_following.price;
    v_price.valid_from := p_at;
    v_price.source := p_source;
    v_price := credits.follow_price((v_following.book).id,
      credits.follow_cost(v_following.book, v_price, v_following.cost));
    if v_price.version <> (v_following.price).version then
      perform credits.note_cost(v_price, v_following.cost);
      v_count := v_count + 1;
    end if;
  end loop;
  return v_count;
end
$$;
comment on function credits.follow_rate(text, text, timestamptz, text) is
  'Adds the prices that an exchange rate makes, one for each that follows it. How many were added.';
revoke all on function credits.follow_rate(text, text, timestamptz, text)
  from public, anon, authenticated, service_role;

-- schemas/prices/set_price.sql

-- edge: result=Price callers=service_role repeatable
--   Set what ``per`` units of a dimension of an operation cost, in billionths of a credit.
--
--   The price before it ends where this one begins, and is kept. An ``operation`` that ends with a
--   star is for every operation that begins alike; the most specific price counts.
--
--   Raises:
--       InvalidArgument: no such book, or figures that are no price.
create function public.set_price(
  p_operation text, p_dimension text, p_nano_per_unit numeric, p_per bigint default 1,
  p_book text default 'default', p_valid_from timestamptz default null,
  p_minimum_nano bigint default null, p_maximum_nano bigint default null,
  p_steps jsonb default null, p_source text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_price credits.prices;
begin
  v_price.operation := p_operation;
  v_price.dimension := p_dimension;
  v_price.nano_per_unit := p_nano_per_unit;
  v_price.per := p_per;
  v_price.minimum_nano := p_minimum_nano;
  v_price.maximum_nano := p_maximum_nano;
  v_price.valid_from := p_valid_from;
  v_price.source := p_source;
  v_price.steps := p_steps -> 'steps';
  v_price.steps_by := credits.read_steps(p_dimension, p_steps);
  if p_nano_per_unit is null then
    perform credits.refuse_price('p_nano_per_unit', null);
  end if;
  v_price := credits.follow_price((credits.find_price_book(p_book)).id, v_price);
  return credits.price_answer(v_price);
end
$$;
comment on function public.set_price(
  text, text, numeric, bigint, text, timestamptz, bigint, bigint, jsonb, text) is
  'Sets what p_per units of a dimension of an operation (or of all that begin alike: a star at the '
  'end) cost from p_valid_from on (null for now, of a first price since ever), in billionths of a '
  'credit, at least p_minimum_nano and at most p_maximum_nano. p_steps has other prices for all '
  'units by how many there are. The price before ends there and is kept; the same price again '
  'changes nothing.';
revoke all on function public.set_price(
  text, text, numeric, bigint, text, timestamptz, bigint, bigint, jsonb, text)
  from public, anon, authenticated, service_role;
grant execute on function public.set_price(
  text, text, numeric, bigint, text, timestamptz, bigint, bigint, jsonb, text) to service_role;

create function credits.refuse_price(p_argument text, p_value text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  perform credits.raise_error('invalid_argument',
    jsonb_build_object('argument', p_argument, 'value', p_value),
    case p_argument
      when 'p_operation' then 'An operation is a text of 1 to 200 characters; a star stands at its '
        'end, if anywhere.'
      when 'p_dimension' then 'A dimension is a name of small letters, digits and underscores.'
      when 'p_nano_per_unit' then 'A price is a number of billionths of a credit, 0 or more.'
      when 'p_per' then 'A price is for 1 unit or more.'
      when 'p_valid_from' then 'A price begins at an instant.'
      when 'p_source' then 'A source has at most 200 characters.'
      when 'p_steps' then 'Steps are {"by": [dimensions], "steps": [{"above": units, '
        '"nano_per_unit": price}]}, each above the one before.'
      else 'A minimum is not negative, and not above the maximum.' end);
end
$$;
comment on function credits.refuse_price(text, text) is
  'Raises invalid_argument for what is no price, and says what one is.';
revoke all on function credits.refuse_price(text, text)
  from public, anon, authenticated, service_role;

create function credits.check_price_figures(p_price credits.prices)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A NaN is above every number.
  if coalesce(p_price.operation ~ '^[^*[:cntrl:]]{0,199}[^[:cntrl:]]$', false) is not true then
    perform credits.refuse_price('p_operation', p_price.operation);
  elsif coalesce(p_price.dimension ~ '^[a-z][a-z0-9_]{0,62}$', false) is not true then
    perform credits.refuse_price('p_dimension', p_price.dimension);
  elsif p_price.nano_per_unit < 0 or p_price.nano_per_unit >= 1e24
     or scale(p_price.nano_per_unit) > 30 then
    perform credits.refuse_price('p_nano_per_unit', p_price.nano_per_unit::text);
  elsif coalesce(p_price.per, 0) < 1 then
    perform credits.refuse_price('p_per', p_price.per::text);
  elsif p_price.minimum_nano < 0 or p_price.minimum_nano > p_price.maximum_nano then
    perform credits.refuse_price('p_minimum_nano', p_price.minimum_nano::text);
  elsif p_price.maximum_nano < 0 then
    perform credits.refuse_price('p_maximum_nano', p_price.maximum_nano::text);
  elsif not isfinite(p_price.valid_from) then
    perform credits.refuse_price('p_valid_from', p_price.valid_from::text);
  elsif length(p_price.source) > 200 then
    perform credits.refuse_price('p_source', null);
  end if;
end
$$;
comment on function credits.check_price_figures(credits.prices) is
  'Raises invalid_argument for figures that are no price.';
revoke all on function credits.check_price_figures(credits.prices)
  from public, anon, authenticated, service_role;

create function credits.read_steps(p_dimension text, p_steps jsonb)
returns text[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_by jsonb := coalesce(p_steps -> 'by', jsonb_build_array(p_dimension));
  v_step jsonb;
  v_above numeric := -1;
begin
  if p_steps is null then
    return null;
  elsif jsonb_typeof(p_steps) is distinct from 'object' or jsonb_typeof(v_by) <> 'array'
     or p_steps - '{by, steps}'::text[] <> '{}' or octet_length(p_steps::text) > 4000
     or jsonb_typeof(p_steps -> 'steps') is distinct from 'array' then
    perform credits.refuse_price('p_steps', p_steps::text);
  end if;
  for v_step in select s.value from jsonb_array_elements(p_steps -> 'steps') s loop
    if jsonb_typeof(v_step -> 'above') is distinct from 'number'
       or jsonb_typeof(v_step -> 'nano_per_unit') is distinct from 'number'
       or v_step - '{above, nano_per_unit}'::text[] <> '{}'
       or (v_step ->> 'above')::numeric <= v_above or (v_step ->> 'above')::numeric >= 1e30
       or (v_step ->> 'nano_per_unit')::numeric not between 0 and 1e24
       or scale((v_step ->> 'nano_per_unit')::numeric) > 30 then
      perform credits.refuse_price('p_steps', p_steps::text);
    end if;
    v_above := (v_step ->> 'above')::numeric;
  end loop;
  if v_above < 0 or exists (select 1 from jsonb_array_elements(v_by) e
      where coalesce(e.value #>> '{}', '') !~ '^[a-z][a-z0-9_]{0,62}$') then
    perform credits.refuse_price('p_steps', p_steps::text);
  end if;
  return array(select e.value from jsonb_array_elements_text(v_by) e);
end
$$;
comment on function credits.read_steps(text, jsonb) is
  'The dimensions that choose the step of a price, itself where none are named; null where there '
  'are no steps. Raises invalid_argument for what are no steps.';
revoke all on function credits.read_steps(text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.follow_price(p_book text, inout p_price credits.prices)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_before credits.prices;
begin
  p_price.book := p_book;
  p_price.created_at := clock_timestamp();
  -- The first price of something counts from the beginning: there is none before it to keep, and
  -- no clock is too early.
  p_price.valid_from := coalesce(p_price.valid_from, case when not exists (
    select 1 from credits.prices f where f.book = p_book and f.operation = p_price.operation
      and f.dimension = p_price.dimension) then 'epoch' else clock_timestamp() end);
  perform credits.check_price_figures(p_price);
  -- Versions are given one after the other: the rows of one are there before the next one is.
  update public.credit_price_books b set version = b.version + 1 where b.id = p_book
  returning b.version into p_price.version;
  select f.* into v_before from credits.prices f
  where f.book = p_book and f.operation = p_price.operation and f.dimension = p_price.dimension
    and f.valid_from <= p_price.valid_from
  order by f.valid_from desc, f.version desc limit 1;
  if found and (v_before.nano_per_unit, v_before.per, v_before.minimum_nano, v_before.maximum_nano,
      v_before.steps, v_before.steps_by) is not distinct from (p_price.nano_per_unit, p_price.per,
      p_price.minimum_nano, p_price.maximum_nano, p_price.steps, p_price.steps_by) then
    update public.credit_price_books b set version = b.version - 1 where b.id = p_book;
    p_price := v_before;
    return;
  end if;
  insert into credits.prices select p_price.*;
end
$$;
comment on function credits.follow_price(text, credits.prices) is
  'Adds a price to its book, as its next version. The price that is in force already is not added '
  'again.';
revoke all on function credits.follow_price(text, credits.prices)
  from public, anon, authenticated, service_role;

create function credits.price_answer(p_price credits.prices)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('success', true, 'code', 'ok', 'book', p_price.book,
    'operation', p_price.operation, 'dimension', p_price.dimension,
    'nano_per_unit', trim_scale(p_price.nano_per_unit)::text, 'per', p_price.per,
    'minimum_nano', p_price.minimum_nano, 'maximum_nano', p_price.maximum_nano,
    'valid_from', p_price.valid_from, 'version', p_price.version, 'price_version', p_price.version);
end
$$;
comment on function credits.price_answer(credits.prices) is 'A price, as set_price answers it.';
revoke all on function credits.price_answer(credits.prices)
  from public, anon, authenticated, service_role;

-- schemas/prices/set_price_book.sql

-- edge: result=PriceBook callers=service_role repeatable
--   Make a price book, or change its name and what a credit is worth.
--
--   Raises:
--       InvalidArgument: a book's credits stay what they are once it has prices.
--       UnknownCreditType.
create function public.set_price_book(
  p_book text, p_credit_type text default null, p_name text default null,
  p_currency text default null, p_credits_per_unit numeric default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_book public.credit_price_books;
begin
  if coalesce(p_book ~ '^[a-z][a-z0-9_-]{0,62}$', false) is not true then
    perform credits.raise_error('invalid_argument', '{"argument": "p_book"}',
      'The id of a book is a name of small letters, digits, dashes and underscores.');
  elsif p_currency !~ '^[a-z]{3}$' then
    perform credits.raise_error('invalid_argument', '{"argument": "p_currency"}',
      'A currency is a code of three small letters.');
  elsif p_credits_per_unit <= 0 or p_credits_per_unit > 1e9 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_credits_per_unit"}',
      'Say how many credits one unit of the currency is worth.');
  end if;
  select b.* into v_book from public.credit_price_books b where b.id = p_book for update;
  perform credits.check_book_type(v_book, p_credit_type);
  insert into public.credit_price_books as b (id, name, credit_type, currency,
    nano_per_unit_of_currency)
  values (p_book, coalesce(p_name, p_book), coalesce(p_credit_type, v_book.credit_type),
    coalesce(p_currency, 'usd'), p_credits_per_unit * 1000000000)
  on conflict (id) do update set name = coalesce(p_name, b.name),
    credit_type = excluded.credit_type, currency = coalesce(p_currency, b.currency),
    nano_per_unit_of_currency = coalesce(excluded.nano_per_unit_of_currency,
      b.nano_per_unit_of_currency)
  returning b.* into v_book;
  return jsonb_build_object('success', true, 'code', 'ok', 'book', v_book.id, 'name', v_book.name,
    'credit_type', v_book.credit_type, 'currency', v_book.currency,
    'credits_per_unit', trim_scale(v_book.nano_per_unit_of_currency * 0.000000001)::text,
    'version', v_book.version);
end
$$;
comment on function public.set_price_book(text, text, text, text, numeric) is
  'Makes a price book for a credit type, or changes its name and how many credits one unit of its '
  'currency is worth, which prices that follow a provider''s cost are worked out with when they '
  'are set.';
revoke all on function public.set_price_book(text, text, text, text, numeric)
  from public, anon, authenticated, service_role;
grant execute on function public.set_price_book(text, text, text, text, numeric) to service_role;

create function credits.check_book_type(p_book public.credit_price_books, p_credit_type text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_type text := coalesce(p_credit_type, p_book.credit_type);
begin
  if not exists (select 1 from credits.credit_types t where t.id = v_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type', v_type,
      'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
  elsif exists (select 1 from credits.credit_types t where t.id = v_type and t.kind <> 'credit')
     or p_book.version > 0 and v_type <> p_book.credit_type then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_credit_type',
      'value', v_type), 'A book is in credits that are spent, and stays in them once it has '
      'prices. Make another book.');
  end if;
end
$$;
comment on function credits.check_book_type(public.credit_price_books, text) is
  'Raises for a credit type that a price book cannot be in, or no longer.';
revoke all on function credits.check_book_type(public.credit_price_books, text)
  from public, anon, authenticated, service_role;

-- schemas/prices/set_provider_cost.sql

-- edge: result=Price callers=service_role repeatable
--   Say what a provider charges for a dimension of an operation. With ``markup`` it sets the price.
--
--   The price is the cost times exchange rate, markup and what a credit is worth, and follows the
--   rate. Without ``markup`` the price stays, and only the margin is known. Users read neither.
--
--   Raises:
--       InvalidArgument: no such book or price, no exchange rate, or figures that are no cost.
create function public.set_provider_cost(
  p_operation text, p_dimension text, p_cost_per_unit numeric, p_per bigint default 1,
  p_asset text default 'usd', p_markup numeric default null, p_book text default 'default',
  p_valid_from timestamptz default null, p_minimum_nano bigint default null,
  p_maximum_nano bigint default null, p_steps jsonb default null, p_source text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_cost credits.provider_prices;
  v_price credits.prices;
begin
  perform credits.check_cost(p_cost_per_unit, p_per, p_markup, p_asset);
  v_cost.asset := p_asset;
  v_cost.cost_per_unit := p_cost_per_unit;
  v_cost.per := p_per;
  v_cost.markup := p_markup;
  v_price.operation := p_operation;
  v_price.dimension := p_dimension;
  v_price.minimum_nano := p_minimum_nano;
  v_price.maximum_nano := p_maximum_nano;
  v_price.valid_from := p_valid_from;
  v_price.source := p_source;
  v_price.steps_by := credits.read_steps(p_dimension, p_steps);
  v_cost.steps := (select jsonb_agg(jsonb_build_object('above', s.value -> 'above',
      'cost_per_unit', s.value -> 'nano_per_unit') order by s.nth)
    from jsonb_array_elements(p_steps -> 'steps') with ordinality s(value, nth));
  if p_markup is null then
    v_price := credits.price_to_explain(v_book.id, v_price);
  else
    v_price := credits.follow_price(v_book.id, credits.follow_cost(v_book, v_price, v_cost));
  end if;
  perform credits.note_cost(v_price, v_cost);
  perform credits.follow_rate(p_asset, v_book.currency, r.valid_from, r.source)
  from credits.exchange_rates r
  where p_markup is not null and r.asset = p_asset and r.currency = v_book.currency
    and r.valid_from > coalesce(p_valid_from, clock_timestamp())
  order by r.valid_from, r.created_at;
  return credits.price_answer(v_price);
end
$$;
comment on function public.set_provider_cost(text, text, numeric, bigint, text, numeric, text,
  timestamptz, bigint, bigint, jsonb, text) is
  'Says what the provider charges for p_per units of a dimension, in an asset. With p_markup it is '
  'also what sets the price, which then follows the asset''s exchange rate. In p_steps the '
  'nano_per_unit of a step is its cost per unit. Users read neither cost nor markup.';
revoke all on function public.set_provider_cost(text, text, numeric, bigint, text, numeric, text,
  timestamptz, bigint, bigint, jsonb, text) from public, anon, authenticated, service_role;
grant execute on function public.set_provider_cost(text, text, numeric, bigint, text, numeric, text,
  timestamptz, bigint, bigint, jsonb, text) to service_role;

create function credits.check_cost(
  p_cost_per_unit numeric, p_per bigint, p_markup numeric, p_asset text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text := case
    when p_cost_per_unit is null or p_cost_per_unit < 0 or p_cost_per_unit > 1e12
      or scale(p_cost_per_unit) > 30 then 'p_cost_per_unit'
    when coalesce(p_per, 0) < 1 then 'p_per'
    when p_markup <= 0 or p_markup > 1e6 or scale(p_markup) > 12 then 'p_markup'
    when coalesce(p_asset ~ '^[a-z][a-z0-9_]{0,62}$', false) is not true then 'p_asset' end;
begin
  if v_argument is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', v_argument),
      'A cost is a number, 0 or more, of an asset that is named in small letters, for 1 unit or '
      'more; a markup is a factor above 0.');
  end if;
end
$$;
comment on function credits.check_cost(numeric, bigint, numeric, text) is
  'Raises invalid_argument for what no provider charges.';
revoke all on function credits.check_cost(numeric, bigint, numeric, text)
  from public, anon, authenticated, service_role;

create function credits.price_to_explain(p_book text, p_price credits.prices)
returns credits.prices
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_price credits.prices;
begin
  select f.* into v_price from credits.prices f
  where f.book = p_book and f.operation = p_price.operation and f.dimension = p_price.dimension
    and f.valid_from <= coalesce(p_price.valid_from, statement_timestamp())
  order by f.valid_from desc, f.version desc limit 1;
  if v_price.nano_per_unit is null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_operation',
      'value', p_price.operation, 'dimension', p_price.dimension), 'The book has no such price. '
      'Set it first, or say by which markup the cost makes it.');
  end if;
  return v_price;
end
$$;
comment on function credits.price_to_explain(text, credits.prices) is
  'The price that is in force for exactly this operation and dimension. Raises invalid_argument.';
revoke all on function credits.price_to_explain(text, credits.prices)
  from public, anon, authenticated, service_role;

create function credits.note_cost(p_price credits.prices, p_cost credits.provider_prices)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.provider_prices (book, operation, dimension, version, asset, cost_per_unit,
    per, markup, steps)
  values (p_price.book, p_price.operation, p_price.dimension, p_price.version, p_cost.asset,
    p_cost.cost_per_unit, p_cost.per, p_cost.markup, p_cost.steps)
  on conflict (book, operation, dimension, version) do update set asset = excluded.asset,
    cost_per_unit = excluded.cost_per_unit, per = excluded.per, markup = excluded.markup,
    steps = excluded.steps;
end
$$;
comment on function credits.note_cost(credits.prices, credits.provider_prices) is
  'Keeps what the provider charges for what a price is for. What operations have cost before is '
  'written down with each of them.';
revoke all on function credits.note_cost(credits.prices, credits.provider_prices)
  from public, anon, authenticated, service_role;

-- schemas/http/stored_answers.sql

-- What a web application answered under an Idempotency-Key. One request at a time has the key: it
-- claims it for a while and renews that as long as it lives. A server that dies leaves a claim that
-- lapses; the next one continues the same run, so that what was charged is not charged again.
create table credits.stored_answers (
  account_id uuid not null,
  request_key text not null,
  fingerprint text not null,
  run_id uuid not null default gen_random_uuid(),
  claim_id uuid,
  claimed_until timestamptz,
  status integer,
  headers jsonb,
  body bytea,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  constraint stored_answers_pkey primary key (account_id, request_key),
  constraint stored_answers_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id),
  constraint stored_answers_are_claimed_until_they_are_answered
    check ((claim_id is null) = (status is not null)),
  constraint stored_answers_are_claimed_for_a_while
    check ((claim_id is null) = (claimed_until is null)),
  constraint stored_answers_have_headers_with_a_body check (body is null or headers is not null)
);
create index stored_answers_account_id_expires_at_idx
  on credits.stored_answers (account_id, expires_at);
create index stored_answers_account_id_created_at_idx
  on credits.stored_answers (account_id, created_at) where body is not null;
comment on table credits.stored_answers is
  'Answers to HTTP requests under an Idempotency-Key, and who is at work on one. Kept for a '
  'while; nothing of the books depends on them.';
comment on column credits.stored_answers.request_key is
  'A hash of method, path and key, made by the web application.';
comment on column credits.stored_answers.fingerprint is
  'A hash of the whole request: the same key with another one is another request.';
comment on column credits.stored_answers.run_id is
  'Names the run in the keys of what it spends; a server that takes over a lapsed claim '
  'continues it.';
comment on column credits.stored_answers.body is
  'Null when the answer was too big or broke off, or too many newer ones are kept: it was given '
  'once, and cannot be given again.';
alter table credits.stored_answers enable row level security;
revoke all on table credits.stored_answers from public, anon, authenticated, service_role;

create function credits.forget_stored_answers(p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_count bigint;
begin
  delete from credits.stored_answers s
  where (s.account_id, s.request_key) in (
    select e.account_id, e.request_key
    from credits.stored_answers e
    where e.expires_at <= v_now and (e.claimed_until is null or e.claimed_until <= v_now)
    limit p_limit
    for update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function credits.forget_stored_answers(integer) is
  'Deletes stored answers whose time has passed, at most so many, and says how many. For the '
  'scheduled job.';
revoke all on function credits.forget_stored_answers(integer)
  from public, anon, authenticated, service_role;

create function credits.drop_oldest_bodies(p_account_id uuid, p_kept integer)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- The row stays, so that the request is not worked on a second time.
  update credits.stored_answers s set body = null
  where s.account_id = p_account_id and s.body is not null and s.request_key in (
    select o.request_key from credits.stored_answers o
    where o.account_id = p_account_id and o.body is not null
    order by o.created_at desc
    offset p_kept limit 10);
end
$$;
comment on function credits.drop_oldest_bodies(uuid, integer) is
  'Drops the bodies of an account''s oldest answers above p_kept, ten at most: each new answer '
  'comes by here.';
revoke all on function credits.drop_oldest_bodies(uuid, integer)
  from public, anon, authenticated, service_role;

-- schemas/http/uncollected.sql

-- Work that was done and could not be charged: the credits ran out while it ran, the account was
-- frozen or deleted meanwhile, or the database was away for too long. And what was charged and
-- could not be given back. The seller sees both here.
create table credits.uncollected (
  account_id uuid not null,
  id uuid not null default gen_random_uuid(),
  kind text not null,
  user_id uuid not null,
  credit_type text not null,
  amount bigint not null,
  reason text not null,
  description text,
  idempotency_key text not null,
  created_at timestamptz not null,
  resolved_at timestamptz,
  resolution text,
  constraint uncollected_pkey primary key (account_id, id),
  constraint uncollected_account_id_idempotency_key_key unique (account_id, idempotency_key),
  constraint uncollected_is_of_a_kind check (kind in ('charge', 'refund')),
  constraint uncollected_is_an_amount check (amount between 1 and 9007199254740992),
  constraint uncollected_has_a_slug_for_a_reason check (reason ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint uncollected_is_resolved_in_words check ((resolved_at is null) = (resolution is null))
);
comment on table credits.uncollected is
  'Work that was done and could not be charged, each once. It has no account to belong to when '
  'that is gone, hence no foreign key.';
comment on column credits.uncollected.kind is
  'charge: the account owes it; refund: it is owed to the account.';
comment on column credits.uncollected.user_id is 'Who the work was done for.';
alter table credits.uncollected enable row level security;
revoke all on table credits.uncollected from public, anon, authenticated, service_role;

create function credits.check_uncollected(
  p_user_id uuid, p_credit_type text, p_reason text, p_kind text
)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text;
begin
  v_argument := case
    when p_user_id is null then 'p_user_id'
    when p_kind is null or p_kind not in ('charge', 'refund') then 'p_kind'
    when p_reason is null or p_reason !~ '^[a-z][a-z0-9_]{0,62}$' then 'p_reason'
  end;
  if not exists (select 1 from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type',
      jsonb_build_object('credit_type', p_credit_type));
  end if;
  if v_argument is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', v_argument));
  end if;
end
$$;
comment on function credits.check_uncollected(uuid, text, text, text) is
  'Raises invalid_argument for an entry that would say nothing.';
revoke all on function credits.check_uncollected(uuid, text, text, text)
  from public, anon, authenticated, service_role;

-- schemas/http/claim_http_request.sql

-- edge: result=HttpClaim callers=service_role repeatable
--   Claim an ``Idempotency-Key`` for a request, or learn what came of it before.
--
--   ``key`` and ``fingerprint`` are hashes that the web application makes: of method, path and
--   key, and of the whole request. The claim lasts ``lease_seconds``; the same ``claim_id`` again
--   renews it. ``state`` says what to do: ``claimed``, work; ``working``, another request is at
--   it; ``answered``, give the stored answer; ``not_stored``, it was answered once and cannot be
--   answered again.
--
--   Raises:
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound, InvalidArgument.
create function public.claim_http_request(
  p_user_id uuid, p_key text, p_fingerprint text, p_claim_id uuid,
  p_lease_seconds integer default 60
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  perform credits.check_http_claim(p_key, p_claim_id);
  if p_fingerprint is null or length(p_fingerprint) not between 1 and 255 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_fingerprint"}',
      'A fingerprint has 1 to 255 characters.');
  end if;
  if p_lease_seconds is null or p_lease_seconds not between 1 and 3600 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_lease_seconds', 'value', p_lease_seconds),
      'A claim lasts for 1 to 3600 seconds.');
  end if;
  v_account_id := credits.paying_account(p_user_id);
  return credits.claim_answer(v_account_id, p_key, p_fingerprint, p_claim_id, p_lease_seconds)
    || jsonb_build_object('success', true, 'code', 'ok', 'body_limit', (
      select s.stored_body_bytes from credits.settings s));
end
$$;
comment on function public.claim_http_request(uuid, text, text, uuid, integer) is
  'Claims an Idempotency-Key for one HTTP request, renews the claim, or answers what the '
  'request before was answered. Raises idempotency_conflict for another request under the same '
  'key.';
revoke all on function public.claim_http_request(uuid, text, text, uuid, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.claim_http_request(uuid, text, text, uuid, integer)
  to service_role;

create function credits.claim_answer(
  p_account_id uuid, p_key text, p_fingerprint text, p_claim_id uuid, p_lease_seconds integer
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_until timestamptz := v_now + make_interval(secs => p_lease_seconds);
  -- A run is remembered for longer than its lease: after that it is continued, not begun anew.
  v_expires_at timestamptz := v_until + (select s.stored_answer_retention from credits.settings s);
  v_answer credits.stored_answers;
begin
  -- What has expired is forgotten by the way, a few at a time.
  delete from credits.stored_answers s
  where s.account_id = p_account_id and s.request_key in (
    select e.request_key from credits.stored_answers e
    where e.account_id = p_account_id and e.expires_at <= v_now
      and (e.claimed_until is null or e.claimed_until <= v_now)
    limit 10
    for update skip locked
  );
  insert into credits.stored_answers as s (
    account_id, request_key, fingerprint, claim_id, claimed_until, created_at, expires_at)
  values (p_account_id, p_key, p_fingerprint, p_claim_id, v_until, v_now, v_expires_at)
  on conflict (account_id, request_key) do nothing;

  select s.* into v_answer
  from credits.stored_answers s
  where s.account_id = p_account_id and s.request_key = p_key
  for update;
  if not found then
    -- The request that had it has just given it up.
    return credits.claim_answer(p_account_id, p_key, p_fingerprint, p_claim_id, p_lease_seconds);
  end if;
  if v_answer.fingerprint <> p_fingerprint then
    perform credits.raise_error('idempotency_conflict', '{"differs_in": ["request"]}');
  end if;
  if v_answer.status is not null then
    return jsonb_build_object(
      'state', case when v_answer.body is null then 'not_stored' else 'answered' end,
      'run_id', v_answer.run_id, 'status', v_answer.status, 'headers', v_answer.headers,
      'body', encode(v_answer.body, 'base64'));
  end if;
  if v_answer.claim_id <> p_claim_id and v_answer.claimed_until > v_now then
    return jsonb_build_object('state', 'working', 'run_id', v_answer.run_id);
  end if;
  update credits.stored_answers s
  set claim_id = p_claim_id, claimed_until = v_until, expires_at = v_expires_at
  where s.account_id = p_account_id and s.request_key = p_key;
  return jsonb_build_object('state', 'claimed', 'run_id', v_answer.run_id);
end
$$;
comment on function credits.claim_answer(uuid, text, text, uuid, integer) is
  'One claim on one key: made, renewed, taken over from a server that died, or refused because '
  'another request is at work or has been answered.';
revoke all on function credits.claim_answer(uuid, text, text, uuid, integer)
  from public, anon, authenticated, service_role;

create function credits.check_http_claim(p_key text, p_claim_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_key is null or length(p_key) not between 1 and 255 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_key"}',
      'A key has 1 to 255 characters.');
  end if;
  if p_claim_id is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_claim_id"}',
      'A claim has an id of its own.');
  end if;
end
$$;
comment on function credits.check_http_claim(text, uuid) is
  'Raises invalid_argument for a key or a claim that cannot be one.';
revoke all on function credits.check_http_claim(text, uuid)
  from public, anon, authenticated, service_role;

-- schemas/http/drop_http_claim.sql

-- edge: result=HttpClaimDropped callers=service_role repeatable
--   Give an ``Idempotency-Key`` back: the request failed or was denied, and may be sent again.
--
--   ``dropped`` is False when the claim was not there any more.
--
--   Raises:
--       AccountNotFound, InvalidArgument.
create function public.drop_http_claim(p_user_id uuid, p_key text, p_claim_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  perform credits.check_http_claim(p_key, p_claim_id);
  v_account_id := credits.paying_account(p_user_id);
  delete from credits.stored_answers s
  where s.account_id = v_account_id and s.request_key = p_key and s.claim_id = p_claim_id;
  return jsonb_build_object('success', true, 'code', 'ok', 'dropped', found);
end
$$;
comment on function public.drop_http_claim(uuid, text, uuid) is
  'Gives a claimed Idempotency-Key back after a failure or a denial. The next request under it '
  'is a new one.';
revoke all on function public.drop_http_claim(uuid, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.drop_http_claim(uuid, text, uuid) to service_role;

-- schemas/http/list_uncollected.sql

-- edge: result=UncollectedList callers=service_role repeatable
--   What was done and could not be charged, the newest first, with the sum of each credit type.
--
--   Rows of the kind ``refund`` were charged and could not be given back; ``owed`` is their sum.
--   ``user_id`` None is everybody's. What was resolved is left out.
--
--   Raises:
--       InvalidArgument: ``limit`` is not 1 to 1000.
create function public.list_uncollected(
  p_user_id uuid default null, p_limit integer default 100, p_workspace_id uuid default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
  v_rows jsonb;
  v_totals jsonb;
  v_owed jsonb;
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_limit', 'value', p_limit),
      'The limit is 1 to 1000.');
  end if;
  select coalesce(jsonb_agg(to_jsonb(r) order by r.created_at desc, r.uncollected_id), '[]')
    into v_rows
  from (
    select u.id as uncollected_id, u.kind, u.account_id, u.user_id, u.credit_type, u.amount,
      u.reason, u.description, u.created_at
    from credits.uncollected u
    where u.resolved_at is null and (v_account_id is null or u.account_id = v_account_id)
    order by u.created_at desc, u.id
    limit p_limit
  ) r;
  select
    coalesce(jsonb_object_agg(t.credit_type, t.amount) filter (where t.kind = 'charge'), '{}'),
    coalesce(jsonb_object_agg(t.credit_type, t.amount) filter (where t.kind = 'refund'), '{}')
    into v_totals, v_owed
  from (
    select u.kind, u.credit_type, sum(u.amount) as amount
    from credits.uncollected u
    where u.resolved_at is null and (v_account_id is null or u.account_id = v_account_id)
    group by u.kind, u.credit_type
  ) t;
  return jsonb_build_object('success', true, 'code', 'ok', 'rows', v_rows, 'totals', v_totals,
    'owed', v_owed);
end
$$;
comment on function public.list_uncollected(uuid, integer, uuid) is
  'What was done and could not be charged, of one account or of all, the newest first, and the '
  'sum by credit type.';
revoke all on function public.list_uncollected(uuid, integer, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.list_uncollected(uuid, integer, uuid) to service_role;

-- schemas/http/record_uncollected.sql

-- edge: result=UncollectedEntry callers=service_role keyed
--   Put on record that work was done and could not be charged, or a charge not given back.
--
--   ``kind`` is ``charge`` or ``refund``. The account need not be there any more. ``reason`` is a
--   slug: ``insufficient_credits``, ``account_frozen``, ``unavailable`` and so on. The same
--   ``idempotency_key`` makes one entry.
--
--   Raises:
--       InvalidAmount, InvalidArgument, UnknownCreditType.
create function public.record_uncollected(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_reason text,
  p_description text default null, p_idempotency_key text default null,
  p_kind text default 'charge', p_workspace_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
  v_key text := coalesce(p_idempotency_key, gen_random_uuid()::text);
  v_entry credits.uncollected;
  v_is_new boolean;
begin
  perform credits.check_request(p_amount, p_description, p_idempotency_key, null);
  perform credits.check_uncollected(p_user_id, p_credit_type, p_reason, p_kind);
  insert into credits.uncollected as u (
    account_id, kind, user_id, credit_type, amount, reason, description, idempotency_key,
    created_at)
  values (
    v_account_id, p_kind, p_user_id, p_credit_type, p_amount, p_reason, p_description, v_key,
    clock_timestamp())
  on conflict (account_id, idempotency_key) do nothing;
  v_is_new := found;
  select u.* into v_entry
  from credits.uncollected u
  where u.account_id = v_account_id and u.idempotency_key = v_key;
  return jsonb_build_object('success', true, 'code', 'ok', 'uncollected_id', v_entry.id,
    'account_id', v_account_id, 'amount', v_entry.amount, 'replayed', not v_is_new);
end
$$;
comment on function public.record_uncollected(uuid, text, bigint, text, text, text, text, uuid) is
  'Puts on record that work was done and could not be charged, or that a charge could not be '
  'given back, once for each key. The account may be gone.';
revoke all on function public.record_uncollected(uuid, text, bigint, text, text, text, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function
  public.record_uncollected(uuid, text, bigint, text, text, text, text, uuid) to service_role;

-- schemas/http/resolve_uncollected.sql

-- edge: result=UncollectedResolved callers=service_role repeatable
--   Say what came of an entry: charged by hand, forgiven, a mistake. It is listed no more.
--
--   ``resolved`` is False when it was resolved before.
--
--   Raises:
--       InvalidArgument: there is no such entry, or nothing is said.
create function public.resolve_uncollected(
  p_user_id uuid, p_uncollected_id uuid, p_resolution text, p_workspace_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
  v_now timestamptz := clock_timestamp();
begin
  if p_resolution is null or length(p_resolution) not between 1 and 2000 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_resolution"}',
      'Say what came of it, in 1 to 2000 characters.');
  end if;
  if not exists (
    select 1 from credits.uncollected u
    where u.account_id = v_account_id and u.id = p_uncollected_id
  ) then
    perform credits.raise_error('invalid_argument', '{"argument": "p_uncollected_id"}',
      'This account has no such entry.');
  end if;
  update credits.uncollected u set resolved_at = v_now, resolution = p_resolution
  where u.account_id = v_account_id and u.id = p_uncollected_id and u.resolved_at is null;
  return jsonb_build_object('success', true, 'code', 'ok', 'uncollected_id', p_uncollected_id,
    'resolved', found);
end
$$;
comment on function public.resolve_uncollected(uuid, uuid, text, uuid) is
  'Says what came of work that could not be charged, which takes it off the list.';
revoke all on function public.resolve_uncollected(uuid, uuid, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.resolve_uncollected(uuid, uuid, text, uuid) to service_role;

-- schemas/http/store_http_answer.sql

-- edge: result=HttpAnswerStored callers=service_role repeatable
--   Keep the answer to a request whose ``Idempotency-Key`` was claimed.
--
--   ``body`` is in base64; None, or one above the setting ``stored_body_bytes``, is not kept: the
--   request then counts as answered, and a repeat of it is refused. ``stored`` is False when the
--   claim has lapsed and another has taken over. Of one account the newest
--   ``stored_bodies_per_account`` bodies are kept.
--
--   Raises:
--       AccountNotFound, InvalidArgument.
create function public.store_http_answer(
  p_user_id uuid, p_key text, p_claim_id uuid, p_http_status integer, p_headers jsonb default '{}',
  p_body text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_now timestamptz := clock_timestamp();
  v_body bytea;
  v_limit integer;
  v_kept integer;
  v_is_stored boolean;
  v_expires_at timestamptz;
begin
  perform credits.check_http_claim(p_key, p_claim_id);
  if p_http_status is null or p_http_status not between 100 and 599 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_http_status', 'value', p_http_status),
      'A status is 100 to 599.');
  end if;
  if p_headers is null or jsonb_typeof(p_headers) <> 'object'
    or octet_length(p_headers::text) > 16384 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_headers"}',
      'Headers are a JSON object of up to 16384 bytes.');
  end if;
  select s.stored_body_bytes, s.stored_bodies_per_account, v_now + s.stored_answer_retention
    into v_limit, v_kept, v_expires_at
  from credits.settings s;
  begin
    v_body := decode(p_body, 'base64');
  exception when invalid_parameter_value then
    perform credits.raise_error('invalid_argument', '{"argument": "p_body"}',
      'A body is in base64.');
  end;
  v_account_id := credits.paying_account(p_user_id);
  update credits.stored_answers s
  set status = p_http_status, headers = p_headers, claim_id = null, claimed_until = null,
    body = case when octet_length(v_body) <= v_limit then v_body end, expires_at = v_expires_at
  where s.account_id = v_account_id and s.request_key = p_key and s.claim_id = p_claim_id;
  v_is_stored := found;
  perform credits.drop_oldest_bodies(v_account_id, v_kept);
  return jsonb_build_object('success', true, 'code', 'ok', 'stored', v_is_stored);
end
$$;
comment on function public.store_http_answer(uuid, text, uuid, integer, jsonb, text) is
  'Keeps what a claimed HTTP request was answered, for as long as the settings say. A body that '
  'is too big is not kept: the request cannot be answered again then.';
revoke all on function public.store_http_answer(uuid, text, uuid, integer, jsonb, text)
  from public, anon, authenticated, service_role;
grant execute on function public.store_http_answer(uuid, text, uuid, integer, jsonb, text)
  to service_role;

-- schemas/workspaces/credit_invitations.sql

create table public.credit_invitations (
  account_id uuid not null constraint credit_invitations_account_id_fkey
    references public.credit_workspaces (account_id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  email text not null,
  role text not null,
  user_id uuid not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  used_by uuid,
  revoked_at timestamptz,
  constraint credit_invitations_pkey primary key (account_id, id),
  constraint credit_invitations_role_is_known
    check (role in ('owner', 'admin', 'member', 'viewer')),
  constraint credit_invitations_used_has_a_user check ((used_at is null) = (used_by is null)),
  constraint credit_invitations_are_used_or_revoked check (used_at is null or revoked_at is null),
  constraint credit_invitations_expire_after_they_start check (expires_at > created_at)
);
comment on table public.credit_invitations is
  'Who was invited into a workspace, by e-mail and for a while. Owners and admins read them. The '
  'secret of an invitation is nowhere; its hash is in credits.invitation_secrets.';
comment on column public.credit_invitations.user_id is 'Who invited.';
comment on column public.credit_invitations.revoked_at is
  'When it was taken back, or replaced by a later one for the same e-mail.';
alter table public.credit_invitations enable row level security;
revoke all on table public.credit_invitations from public, anon, authenticated, service_role;
grant select on table public.credit_invitations to authenticated, service_role;
create policy "Owners and admins may read the invitations of their workspaces"
  on public.credit_invitations for select to authenticated using (
    (account_id = any (credits.readable_ids())) and account_id = any (credits.overseen_ids()));

create table credits.invitation_secrets (
  account_id uuid not null,
  token_hash text not null,
  invitation_id uuid not null,
  constraint invitation_secrets_pkey primary key (account_id, token_hash),
  constraint invitation_secrets_invitation_fkey foreign key (account_id, invitation_id)
    references public.credit_invitations (account_id, id) on delete cascade
);
comment on table credits.invitation_secrets is
  'The SHA-256 of the token of each invitation. The token itself is answered once, to the person '
  'who invites.';
alter table credits.invitation_secrets enable row level security;
revoke all on table credits.invitation_secrets from public, anon, authenticated, service_role;

create function credits.hash_token(p_token text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select encode(sha256(convert_to(p_token, 'UTF8')), 'hex')
$$;
comment on function credits.hash_token(text) is
  'What is stored of a secret that somebody else keeps.';
revoke all on function credits.hash_token(text) from public, anon, authenticated, service_role;

create function credits.account_of_token(p_token text, p_kind text)
returns uuid
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  -- The account stands in front of the secret, so that one account's rows are looked at.
  return case when p_token ~ ('^' || p_kind || '_[0-9a-f]{96}$')
    then substr(p_token, length(p_kind) + 2, 32)::uuid end;
end
$$;
comment on function credits.account_of_token(text, text) is
  'The account that a token is about; null for what is none of this kind.';
revoke all on function credits.account_of_token(text, text)
  from public, anon, authenticated, service_role;

create function credits.new_token(p_account_id uuid, p_kind text)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return p_kind || '_' || replace(p_account_id::text || gen_random_uuid() || gen_random_uuid(),
    '-', '');
end
$$;
comment on function credits.new_token(uuid, text) is
  'A secret with 244 random bits, and the account that it is for.';
revoke all on function credits.new_token(uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/workspaces/standing.sql

-- What everybody in a workspace may do. A viewer reads; a member spends; an admin also invites,
-- removes and sets roles up to admin, never an owner's; an owner does everything.
--
-- Whoever changes members holds the row of the workspace, so that two of them count the same
-- owners. Balances are locked after it.

create function credits.acting_user(p_user_id uuid)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_user_id uuid := credits.reading_user(p_user_id);
begin
  if v_user_id is null then
    perform credits.refuse_argument('p_user_id', 'Pass the id of the acting user.');
  end if;
  return credits.paying_account(v_user_id);
end
$$;
comment on function credits.acting_user(uuid) is
  'Who acts: any user for the service role, themselves for a signed-in user. Opens an account that '
  'is missing; raises account_not_found for somebody else''s id and for one that is gone.';
revoke all on function credits.acting_user(uuid) from public, anon, authenticated, service_role;

create function credits.refuse_argument(p_argument text, p_hint text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  perform credits.raise_error(
    'invalid_argument', jsonb_build_object('argument', p_argument), p_hint);
end
$$;
comment on function credits.refuse_argument(text, text) is
  'Raises invalid_argument, with the name of the argument.';
revoke all on function credits.refuse_argument(text, text)
  from public, anon, authenticated, service_role;

create function credits.standing_of(p_account_id uuid, p_user_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A member whose own account is gone is one no longer.
  return (
    select m.role from public.credit_workspace_members m
    where m.account_id = p_account_id and m.user_id = p_user_id
      and credits.is_living(p_account_id)
      and (credits.is_living(p_user_id) or not exists (
        select 1 from credits.accounts a where a.account_id = p_user_id)));
end
$$;
comment on function credits.standing_of(uuid, uuid) is
  'The role of a person in a workspace that exists; null for an outsider.';
revoke all on function credits.standing_of(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.require_standing(p_account_id uuid, p_user_id uuid, p_roles text[])
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_role text := credits.standing_of(p_account_id, p_user_id);
begin
  if v_role is null then
    perform credits.raise_error('account_not_found', jsonb_build_object(
      'user_id', p_user_id, 'workspace_id', p_account_id));
  elsif v_role <> all (p_roles) then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', to_jsonb(p_roles)));
  end if;
  return v_role;
end
$$;
comment on function credits.require_standing(uuid, uuid, text[]) is
  'The role of a member, when it is one of these. Raises account_not_found for an outsider, '
  'forbidden for a member with another role.';
revoke all on function credits.require_standing(uuid, uuid, text[])
  from public, anon, authenticated, service_role;

create function credits.enter_workspace(p_account_id uuid, p_user_id uuid, p_roles text[])
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_account_id is null then
    perform credits.refuse_argument('p_workspace_id', 'Pass the id of the workspace.');
  end if;
  -- Asked before, so that an outsider keeps nobody waiting, and again of what is true by then.
  perform credits.require_standing(p_account_id, p_user_id, p_roles);
  perform credits.lock_workspace(p_account_id);
  return credits.require_standing(p_account_id, p_user_id, p_roles);
end
$$;
comment on function credits.enter_workspace(uuid, uuid, text[]) is
  'Locks a workspace for a change of who is in it, and answers the role of the person who acts.';
revoke all on function credits.enter_workspace(uuid, uuid, text[])
  from public, anon, authenticated, service_role;

create function credits.lock_workspace(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform 1 from public.credit_workspaces w
  where w.account_id = p_account_id for no key update;
end
$$;
comment on function credits.lock_workspace(uuid) is
  'Locks the row of a workspace, which comes before all that belongs to it.';
revoke all on function credits.lock_workspace(uuid) from public, anon, authenticated, service_role;

create function credits.keep_an_owner(p_account_id uuid, p_user_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if not exists (
    select 1 from public.credit_workspace_members m
    where m.account_id = p_account_id and m.role = 'owner' and m.user_id <> p_user_id
      and credits.standing_of(p_account_id, m.user_id) is not null) then
    perform credits.raise_error('last_owner', jsonb_build_object(
      'workspace_id', p_account_id, 'user_id', p_user_id));
  end if;
end
$$;
comment on function credits.keep_an_owner(uuid, uuid) is
  'Raises last_owner when a workspace has no other owner than this one. Call it with the '
  'workspace locked.';
revoke all on function credits.keep_an_owner(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.members_of(p_account_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'user_id', m.user_id, 'role', m.role, 'email', u.email, 'joined_at', m.created_at)
      order by array_position('{owner,admin,member,viewer}'::text[], m.role), m.created_at,
        m.user_id), '[]')
    from public.credit_workspace_members m
    left join auth.users u on u.id = m.user_id
    where m.account_id = p_account_id);
end
$$;
comment on function credits.members_of(uuid) is
  'Who is in a workspace, as what, and under which e-mail; owners first.';
revoke all on function credits.members_of(uuid) from public, anon, authenticated, service_role;

create function credits.workspace_answer(p_account_id uuid, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'workspace_id', p_account_id,
    'name', (select w.name from public.credit_workspaces w where w.account_id = p_account_id),
    'role', credits.standing_of(p_account_id, p_user_id), 'replayed', false,
    'members', credits.members_of(p_account_id)));
end
$$;
comment on function credits.workspace_answer(uuid, uuid) is
  'The answer of an operation on a workspace: its name, the role of the person who acts (null when '
  'they are out of it), and its members.';
revoke all on function credits.workspace_answer(uuid, uuid)
  from public, anon, authenticated, service_role;

-- schemas/workspaces/accept_workspace_invitation.sql

create function credits.accept_workspace_invitation(p_user_id uuid, p_token text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid := credits.account_of_token(p_token, 'inv');
  v_invitation public.credit_invitations;
  v_joins boolean;
begin
  if p_token is null then
    perform credits.refuse_argument('p_token', 'Pass the token of the invitation.');
  end if;
  perform credits.lock_workspace(v_account_id);
  select i.* into v_invitation
  from credits.invitation_secrets s
  join public.credit_invitations i on i.account_id = s.account_id and i.id = s.invitation_id
  where s.account_id = v_account_id and s.token_hash = credits.hash_token(p_token);
  if not found then
    perform credits.raise_error('invitation_not_found');
  end if;
  v_joins := credits.check_acceptance(v_account_id, v_invitation, v_user_id);
  if v_joins then
    perform credits.use_invitation(v_account_id, v_invitation, v_user_id);
  end if;
  return credits.workspace_answer(v_account_id, v_user_id)
    || jsonb_build_object('replayed', not v_joins);
end
$$;
comment on function credits.accept_workspace_invitation(uuid, text) is
  'What accept_workspace_invitation does, after asking who calls.';
revoke all on function credits.accept_workspace_invitation(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function credits.accept_workspace_invitation(uuid, text)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role repeatable required=user_id,token
--   Join a workspace by the token of an invitation to one's own e-mail.
--
--   Raises:
--       Forbidden: it was sent to another e-mail, or the e-mail was never confirmed.
--       InvitationUsed: somebody has used it, or the user was removed since.
--       InvitationExpired: its time is over, it was taken back, or its sender may invite no more.
--       InvitationNotFound, AccountNotFound, InvalidArgument.
create function public.accept_workspace_invitation(
  p_user_id uuid default null, p_token text default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.accept_workspace_invitation(p_user_id, p_token);
comment on function public.accept_workspace_invitation(uuid, text) is
  'Takes the acting user into a workspace by the token of an invitation to their e-mail, once. '
  'The same person again is answered the same; raises forbidden for another e-mail, '
  'invitation_used, invitation_expired.';
revoke all on function public.accept_workspace_invitation(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.accept_workspace_invitation(uuid, text)
  to authenticated, service_role;

create function credits.check_acceptance(
  p_account_id uuid, p_invitation public.credit_invitations, p_user_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_about jsonb := jsonb_build_object('workspace_id', p_account_id);
  v_inviter text := credits.standing_of(p_account_id, p_invitation.user_id);
begin
  if p_invitation.used_by = p_user_id
     and credits.standing_of(p_account_id, p_user_id) is not null then
    return false;
  elsif lower(credits.confirmed_email(p_user_id)) is distinct from p_invitation.email then
    perform credits.raise_error('forbidden', '{}',
      'This invitation was sent to another e-mail. Sign in with that one, and confirm it.');
  elsif p_invitation.used_at is not null then
    perform credits.raise_error('invitation_used', v_about);
  -- An invitation is worth what its sender may do now, or one could keep a door open for oneself.
  elsif p_invitation.revoked_at is not null or p_invitation.expires_at <= credits.clock()
    or coalesce(v_inviter not in ('owner', 'admin'), true)
    or p_invitation.role = 'owner' and v_inviter <> 'owner' then
    perform credits.raise_error('invitation_expired', v_about);
  end if;
  return true;
end
$$;
comment on function credits.check_acceptance(uuid, public.credit_invitations, uuid) is
  'Whether an invitation takes a person in; false when it has done so before. Raises why it does '
  'not. Call it with the workspace locked.';
revoke all on function credits.check_acceptance(uuid, public.credit_invitations, uuid)
  from public, anon, authenticated, service_role;

create function credits.use_invitation(
  p_account_id uuid, p_invitation public.credit_invitations, p_user_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
begin
  update public.credit_invitations i set used_at = v_at, used_by = p_user_id
  where i.account_id = p_account_id and i.id = p_invitation.id and i.used_at is null;
  -- A member keeps the role that they have.
  insert into public.credit_workspace_members (account_id, user_id, role)
  values (p_account_id, p_user_id, p_invitation.role)
  on conflict (account_id, user_id) do nothing;
end
$$;
comment on function credits.use_invitation(uuid, public.credit_invitations, uuid) is
  'Uses an invitation up and takes the person in.';
revoke all on function credits.use_invitation(uuid, public.credit_invitations, uuid)
  from public, anon, authenticated, service_role;

create function credits.confirmed_email(p_user_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Auth notes when it has asked for a confirmation. Without one asked for, the e-mail came from
  -- whoever made the user: the project's own backend.
  return (
    select u.email from auth.users u
    where u.id = p_user_id and u.deleted_at is null and (
      u.email_confirmed_at is not null or to_jsonb(u) ->> 'confirmation_sent_at' is null
        and coalesce(u.raw_user_meta_data ->> 'email_verified', 'true') <> 'false'));
end
$$;
comment on function credits.confirmed_email(uuid) is
  'The e-mail of a user; null while Auth waits for its confirmation.';
revoke all on function credits.confirmed_email(uuid)
  from public, anon, authenticated, service_role;

-- schemas/workspaces/create_workspace.sql

create function credits.create_workspace(p_user_id uuid, p_name text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid;
begin
  if coalesce(length(btrim(p_name)) not between 1 and 200, true) then
    perform credits.refuse_argument('p_name', 'A workspace has a name of 1 to 200 characters.');
  end if;
  perform credits.lock_account(v_user_id);
  if (select count(*) from public.credit_workspace_members m
      where m.user_id = v_user_id and m.role = 'owner') >= 100 then
    perform credits.raise_error('forbidden', '{"most": 100}',
      'A person owns at most 100 workspaces. Delete or pass on one that is no longer used.');
  end if;
  insert into public.credit_workspaces (name) values (btrim(p_name)) returning account_id
    into v_account_id;
  insert into public.credit_workspace_members (account_id, user_id, role)
  values (v_account_id, v_user_id, 'owner');
  return credits.workspace_answer(v_account_id, v_user_id);
end
$$;
comment on function credits.create_workspace(uuid, text) is
  'What create_workspace does, after asking who calls.';
revoke all on function credits.create_workspace(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function credits.create_workspace(uuid, text) to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,name
--   Make a workspace; the acting user owns it.
--
--   It starts on the default plan's limits, without credits of its own.
--
--   Raises:
--       Forbidden: the user owns 100 workspaces already.
--       AccountNotFound, InvalidArgument.
create function public.create_workspace(p_user_id uuid default null, p_name text default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.create_workspace(p_user_id, p_name);
comment on function public.create_workspace(uuid, text) is
  'Makes a workspace, with the acting user as its owner. It starts on the default plan''s '
  'limits, without credits of its own unless the setting workspace_credits says so.';
revoke all on function public.create_workspace(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.create_workspace(uuid, text) to authenticated, service_role;

-- schemas/workspaces/delete_workspace.sql

create function credits.delete_workspace(p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_answer jsonb;
begin
  perform credits.enter_workspace(p_workspace_id, v_user_id, '{owner}');
  v_answer := credits.workspace_answer(p_workspace_id, v_user_id);
  delete from public.credit_workspaces w where w.account_id = p_workspace_id;
  -- At once, and not when the transaction ends: what it holds is free when this call answers.
  perform credits.close_account(p_workspace_id);
  return v_answer || '{"role": null, "members": []}';
end
$$;
comment on function credits.delete_workspace(uuid, uuid) is
  'What delete_workspace does, after asking who calls.';
revoke all on function credits.delete_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.delete_workspace(uuid, uuid) to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,workspace_id
--   Delete a workspace: its account is closed, its holds are released, its ledger stays.
--
--   Raises:
--       Forbidden: the user is no owner.
--       AccountNotFound.
create function public.delete_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.delete_workspace(p_user_id, p_workspace_id);
comment on function public.delete_workspace(uuid, uuid) is
  'Deletes a workspace, which only an owner may: its account is closed, its holds are released, '
  'its ledger stays.';
revoke all on function public.delete_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.delete_workspace(uuid, uuid) to authenticated, service_role;

-- schemas/workspaces/get_workspace.sql

create function credits.get_workspace(p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
begin
  if p_workspace_id is null then
    perform credits.refuse_argument('p_workspace_id', 'Pass the id of the workspace.');
  end if;
  v_role := credits.require_standing(p_workspace_id, v_user_id, '{owner,admin,member,viewer}');
  return credits.workspace_answer(p_workspace_id, v_user_id) || jsonb_build_object(
    'invitations', case when v_role in ('owner', 'admin') then
      credits.open_invitations(p_workspace_id) else '[]' end);
end
$$;
comment on function credits.get_workspace(uuid, uuid) is
  'What get_workspace does, after asking who calls.';
revoke all on function credits.get_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.get_workspace(uuid, uuid) to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role repeatable
-- edge: required=user_id,workspace_id
--   A workspace, its members, and for owners and admins its open invitations.
--
--   Raises:
--       AccountNotFound: there is no such workspace, or the user is not in it.
create function public.get_workspace(p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.get_workspace(p_user_id, p_workspace_id);
comment on function public.get_workspace(uuid, uuid) is
  'A workspace that the acting user is in: its name, their role, its members, and for owners '
  'and admins its open invitations.';
revoke all on function public.get_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_workspace(uuid, uuid) to authenticated, service_role;

-- schemas/workspaces/invite_to_workspace.sql

create function credits.invite_to_workspace(
  p_user_id uuid, p_workspace_id uuid, p_email text, p_role text, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
  v_invitation jsonb;
begin
  v_role := credits.enter_workspace(p_workspace_id, v_user_id, '{owner,admin}');
  perform credits.check_invitation(p_workspace_id, p_email, p_role, p_ttl_seconds);
  if v_role = 'admin' and p_role = 'owner' then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', jsonb_build_array('owner')), 'Only an owner invites an owner.');
  end if;
  v_invitation := credits.invite(p_workspace_id, v_user_id, lower(btrim(p_email)), p_role,
    p_ttl_seconds);
  return credits.workspace_answer(p_workspace_id, v_user_id) || v_invitation;
end
$$;
comment on function credits.invite_to_workspace(uuid, uuid, text, text, integer) is
  'What invite_to_workspace does, after asking who calls.';
revoke all on function credits.invite_to_workspace(uuid, uuid, text, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function credits.invite_to_workspace(uuid, uuid, text, text, integer)
  to authenticated, service_role;

-- edge: result=Invitation callers=authenticated,service_role required=user_id,workspace_id,email
--   Invite an e-mail into a workspace. The ``token`` is answered once: send it to that e-mail.
--
--   An earlier invitation of the same e-mail ends.
--
--   Raises:
--       Forbidden: the user is neither owner nor admin, or an admin who invites an owner.
--       AccountNotFound, InvalidArgument.
create function public.invite_to_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null, p_email text default null,
  p_role text default 'member', p_ttl_seconds integer default 604800)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.invite_to_workspace(p_user_id, p_workspace_id, p_email, p_role, p_ttl_seconds);
comment on function public.invite_to_workspace(uuid, uuid, text, text, integer) is
  'Invites an e-mail into a workspace, for p_ttl_seconds (1 second to 30 days). Answers the '
  'token once; whoever proves the e-mail may use it once. An earlier invitation of the same '
  'e-mail ends.';
revoke all on function public.invite_to_workspace(uuid, uuid, text, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.invite_to_workspace(uuid, uuid, text, text, integer)
  to authenticated, service_role;

create function credits.check_invitation(
  p_account_id uuid, p_email text, p_role text, p_ttl_seconds integer)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if coalesce(btrim(p_email) !~ '^[^@[:space:]]+@[^@[:space:]]+$' or length(p_email) > 320, true)
  then
    perform credits.refuse_argument('p_email', 'Pass the e-mail of the person to invite.');
  end if;
  perform credits.check_role(p_role);
  if coalesce(p_ttl_seconds not between 1 and 2592000, true) then
    perform credits.refuse_argument('p_ttl_seconds',
      'An invitation is open for 1 second to 30 days (2592000 seconds).');
  end if;
  if exists (
    select 1 from public.credit_workspace_members m
    join auth.users u on u.id = m.user_id
    where m.account_id = p_account_id and lower(u.email) = lower(btrim(p_email))) then
    perform credits.refuse_argument('p_email', 'This person is in the workspace already.');
  end if;
  if (select count(*) from public.credit_invitations i
      where i.account_id = p_account_id and i.used_at is null and i.revoked_at is null
        and i.expires_at > statement_timestamp()) >= 500 then
    perform credits.raise_error('forbidden', '{"most": 500}',
      'A workspace has at most 500 open invitations. Take some back first.');
  end if;
end
$$;
comment on function credits.check_invitation(uuid, text, text, integer) is
  'Raises what is wrong with an invitation before it is made.';
revoke all on function credits.check_invitation(uuid, text, text, integer)
  from public, anon, authenticated, service_role;

create function credits.invite(
  p_account_id uuid, p_user_id uuid, p_email text, p_role text, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
  v_token text := credits.new_token(p_account_id, 'inv');
  v_id uuid;
  v_expires_at timestamptz := v_at + make_interval(secs => p_ttl_seconds);
begin
  perform credits.end_invitations(p_account_id, null, p_email);
  insert into public.credit_invitations (
    account_id, email, role, user_id, created_at, expires_at)
  values (p_account_id, p_email, p_role, p_user_id, v_at, v_expires_at)
  returning id into v_id;
  insert into credits.invitation_secrets (account_id, token_hash, invitation_id)
  values (p_account_id, credits.hash_token(v_token), v_id);
  return jsonb_build_object('invitation_id', v_id, 'token', v_token, 'email', p_email,
    'invited_as', p_role, 'expires_at', v_expires_at);
end
$$;
comment on function credits.invite(uuid, uuid, text, text, integer) is
  'Makes an invitation and its token, which is kept as a hash only.';
revoke all on function credits.invite(uuid, uuid, text, text, integer)
  from public, anon, authenticated, service_role;

create function credits.open_invitations(p_account_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'invitation_id', i.id, 'email', i.email, 'role', i.role, 'invited_by', i.user_id,
      'created_at', i.created_at, 'expires_at', i.expires_at) order by i.created_at, i.id), '[]')
    from public.credit_invitations i
    where i.account_id = p_account_id and i.used_at is null and i.revoked_at is null
      and i.expires_at > statement_timestamp());
end
$$;
comment on function credits.open_invitations(uuid) is
  'The invitations of a workspace that can still be accepted.';
revoke all on function credits.open_invitations(uuid)
  from public, anon, authenticated, service_role;

-- schemas/workspaces/leave_workspace.sql

create function credits.leave_workspace(p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
begin
  v_role := credits.enter_workspace(
    p_workspace_id, v_user_id, '{owner,admin,member,viewer}');
  if v_role = 'owner' then
    perform credits.keep_an_owner(p_workspace_id, v_user_id);
  end if;
  perform credits.end_membership(p_workspace_id, v_user_id);
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.leave_workspace(uuid, uuid) is
  'What leave_workspace does, after asking who calls.';
revoke all on function credits.leave_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.leave_workspace(uuid, uuid) to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,workspace_id
--   Leave a workspace. What the user holds of it is released.
--
--   Raises:
--       LastOwner: there is no other owner. Make somebody one first, or delete the workspace.
--       AccountNotFound.
create function public.leave_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.leave_workspace(p_user_id, p_workspace_id);
comment on function public.leave_workspace(uuid, uuid) is
  'Takes the acting user out of a workspace, which releases what they hold of it. The last '
  'owner stays: last_owner.';
revoke all on function public.leave_workspace(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.leave_workspace(uuid, uuid) to authenticated, service_role;

-- schemas/workspaces/list_workspaces.sql

create function credits.list_workspaces(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
begin
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'workspace_id', null, 'workspaces', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'workspace_id', w.account_id, 'name', w.name, 'role', m.role, 'members', (
          select count(*) from public.credit_workspace_members o
          where o.account_id = w.account_id),
        'created_at', w.created_at) order by w.name, w.account_id), '[]')
      from public.credit_workspace_members m
      join public.credit_workspaces w on w.account_id = m.account_id
      where m.user_id = v_user_id)));
end
$$;
comment on function credits.list_workspaces(uuid) is
  'What list_workspaces does, after asking who calls.';
revoke all on function credits.list_workspaces(uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.list_workspaces(uuid) to authenticated, service_role;

-- edge: result=WorkspaceList callers=authenticated,service_role repeatable required=user_id
--   The workspaces that the user is in.
--
--   Raises:
--       AccountNotFound.
create function public.list_workspaces(p_user_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.list_workspaces(p_user_id);
comment on function public.list_workspaces(uuid) is
  'The workspaces that the acting user is in, with their role and how many members each has.';
revoke all on function public.list_workspaces(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.list_workspaces(uuid) to authenticated, service_role;

-- schemas/workspaces/remove_from_workspace.sql

create function credits.remove_from_workspace(p_user_id uuid, p_workspace_id uuid, p_member_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
  v_before text;
begin
  v_role := credits.enter_workspace(p_workspace_id, v_user_id, '{owner,admin}');
  v_before := credits.role_of_member(p_workspace_id, p_member_id);
  if v_role = 'admin' and v_before = 'owner' then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', jsonb_build_array('owner')), 'Only an owner removes an owner.');
  end if;
  if v_before = 'owner' then
    perform credits.keep_an_owner(p_workspace_id, p_member_id);
  end if;
  perform credits.end_membership(p_workspace_id, p_member_id);
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.remove_from_workspace(uuid, uuid, uuid) is
  'What remove_from_workspace does, after asking who calls.';
revoke all on function credits.remove_from_workspace(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.remove_from_workspace(uuid, uuid, uuid)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,workspace_id,member_id
--   Take a member out of a workspace. Their access ends at once, and their holds are released.
--
--   Raises:
--       Forbidden: the user is neither owner nor admin, or an admin and the member an owner.
--       LastOwner: there is no other owner.
--       MemberNotFound, AccountNotFound, InvalidArgument.
create function public.remove_from_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null, p_member_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.remove_from_workspace(p_user_id, p_workspace_id, p_member_id);
comment on function public.remove_from_workspace(uuid, uuid, uuid) is
  'Takes a member out of a workspace. Their access ends at once, with tokens that are still '
  'valid, and what they hold of it is released.';
revoke all on function public.remove_from_workspace(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.remove_from_workspace(uuid, uuid, uuid)
  to authenticated, service_role;

create function credits.end_membership(p_account_id uuid, p_member_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- A trigger releases what the member holds (release_holds_of_removed_member).
  delete from public.credit_workspace_members m
  where m.account_id = p_account_id and m.user_id = p_member_id;
end
$$;
comment on function credits.end_membership(uuid, uuid) is
  'Takes a person out of a workspace. Call it with the workspace locked.';
revoke all on function credits.end_membership(uuid, uuid)
  from public, anon, authenticated, service_role;

-- schemas/workspaces/revoke_workspace_invitation.sql

create function credits.revoke_workspace_invitation(
  p_user_id uuid, p_workspace_id uuid, p_invitation_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
  v_invitation public.credit_invitations;
begin
  v_role := credits.enter_workspace(p_workspace_id, v_user_id, '{owner,admin}');
  if p_invitation_id is null then
    perform credits.refuse_argument('p_invitation_id', 'Pass the id of the invitation.');
  end if;
  select * into v_invitation from public.credit_invitations i
  where i.account_id = p_workspace_id and i.id = p_invitation_id;
  if not found then
    perform credits.raise_error('invitation_not_found', jsonb_build_object(
      'invitation_id', p_invitation_id));
  elsif v_invitation.used_at is not null then
    perform credits.raise_error('invitation_used', jsonb_build_object(
      'invitation_id', p_invitation_id));
  elsif v_role = 'admin' and v_invitation.role = 'owner' then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', jsonb_build_array('owner')));
  end if;
  perform credits.end_invitations(p_workspace_id, p_invitation_id, null);
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.revoke_workspace_invitation(uuid, uuid, uuid) is
  'What revoke_workspace_invitation does, after asking who calls.';
revoke all on function credits.revoke_workspace_invitation(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.revoke_workspace_invitation(uuid, uuid, uuid)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role repeatable
-- edge: required=user_id,workspace_id,invitation_id
--   Take an invitation back, before it is accepted.
--
--   Raises:
--       InvitationUsed: it has been accepted.
--       InvitationNotFound, Forbidden, AccountNotFound.
create function public.revoke_workspace_invitation(
  p_user_id uuid default null, p_workspace_id uuid default null,
  p_invitation_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.revoke_workspace_invitation(p_user_id, p_workspace_id, p_invitation_id);
comment on function public.revoke_workspace_invitation(uuid, uuid, uuid) is
  'Takes an invitation back. Raises invitation_used where it was accepted already.';
revoke all on function public.revoke_workspace_invitation(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.revoke_workspace_invitation(uuid, uuid, uuid)
  to authenticated, service_role;

create function credits.end_invitations(p_account_id uuid, p_invitation_id uuid, p_email text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
begin
  update public.credit_invitations i set revoked_at = v_at
  where i.account_id = p_account_id and (i.id = p_invitation_id or i.email = p_email)
    and i.used_at is null and i.revoked_at is null;
end
$$;
comment on function credits.end_invitations(uuid, uuid, text) is
  'Ends an open invitation, or those to an e-mail. Call it with the workspace locked.';
revoke all on function credits.end_invitations(uuid, uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/workspaces/set_workspace_role.sql

create function credits.set_workspace_role(
  p_user_id uuid, p_workspace_id uuid, p_member_id uuid, p_role text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_role text;
  v_before text;
begin
  v_role := credits.enter_workspace(p_workspace_id, v_user_id, '{owner,admin}');
  perform credits.check_role(p_role);
  v_before := credits.role_of_member(p_workspace_id, p_member_id);
  if v_role = 'admin' and 'owner' in (v_before, p_role) then
    perform credits.raise_error('forbidden', jsonb_build_object(
      'role', v_role, 'needed', jsonb_build_array('owner')),
      'Only an owner makes an owner, or takes that away.');
  end if;
  if v_before = 'owner' and p_role <> 'owner' then
    perform credits.keep_an_owner(p_workspace_id, p_member_id);
  end if;
  perform credits.change_role(p_workspace_id, p_member_id, p_role);
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.set_workspace_role(uuid, uuid, uuid, text) is
  'What set_workspace_role does, after asking who calls.';
revoke all on function credits.set_workspace_role(uuid, uuid, uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function credits.set_workspace_role(uuid, uuid, uuid, text)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role repeatable
-- edge: required=user_id,workspace_id,member_id,role
--   Give a member the role ``owner``, ``admin``, ``member`` or ``viewer``.
--
--   Raises:
--       Forbidden: the user is neither owner nor admin, or an admin and it is about an owner.
--       LastOwner: it would leave the workspace without an owner.
--       MemberNotFound, AccountNotFound, InvalidArgument.
create function public.set_workspace_role(
  p_user_id uuid default null, p_workspace_id uuid default null, p_member_id uuid default null,
  p_role text default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.set_workspace_role(p_user_id, p_workspace_id, p_member_id, p_role);
comment on function public.set_workspace_role(uuid, uuid, uuid, text) is
  'Gives a member another role: owner, admin, member or viewer. An admin sets roles up to '
  'admin, and never an owner''s.';
revoke all on function public.set_workspace_role(uuid, uuid, uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.set_workspace_role(uuid, uuid, uuid, text)
  to authenticated, service_role;

create function credits.check_role(p_role text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if coalesce(p_role not in ('owner', 'admin', 'member', 'viewer'), true) then
    perform credits.refuse_argument('p_role', 'A role is owner, admin, member or viewer.');
  end if;
end
$$;
comment on function credits.check_role(text) is 'Raises invalid_argument for what is no role.';
revoke all on function credits.check_role(text) from public, anon, authenticated, service_role;

create function credits.role_of_member(p_account_id uuid, p_member_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_role text;
begin
  if p_member_id is null then
    perform credits.refuse_argument('p_member_id', 'Pass the id of the member.');
  end if;
  select m.role into v_role from public.credit_workspace_members m
  where m.account_id = p_account_id and m.user_id = p_member_id;
  if not found then
    perform credits.raise_error('member_not_found', jsonb_build_object('member_id', p_member_id));
  end if;
  return v_role;
end
$$;
comment on function credits.role_of_member(uuid, uuid) is
  'The role of a member, also of one whose own account is gone. Raises member_not_found.';
revoke all on function credits.role_of_member(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.change_role(p_account_id uuid, p_member_id uuid, p_role text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.credit_workspace_members m set role = p_role
  where m.account_id = p_account_id and m.user_id = p_member_id and m.role <> p_role;
end
$$;
comment on function credits.change_role(uuid, uuid, text) is
  'Writes the role of a member. Call it with the workspace locked.';
revoke all on function credits.change_role(uuid, uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/workspaces/transfer_workspace.sql

create function credits.transfer_workspace(p_user_id uuid, p_workspace_id uuid, p_member_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
begin
  perform credits.enter_workspace(p_workspace_id, v_user_id, '{owner}');
  perform credits.role_of_member(p_workspace_id, p_member_id);
  if p_member_id = v_user_id then
    perform credits.refuse_argument(
      'p_member_id', 'Pass another member: this one owns it already.');
  end if;
  if credits.standing_of(p_workspace_id, p_member_id) is null then
    perform credits.raise_error('member_not_found', jsonb_build_object('member_id', p_member_id));
  end if;
  perform credits.change_role(p_workspace_id, p_member_id, 'owner');
  perform credits.change_role(p_workspace_id, v_user_id, 'admin');
  return credits.workspace_answer(p_workspace_id, v_user_id);
end
$$;
comment on function credits.transfer_workspace(uuid, uuid, uuid) is
  'What transfer_workspace does, after asking who calls.';
revoke all on function credits.transfer_workspace(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.transfer_workspace(uuid, uuid, uuid)
  to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,workspace_id,member_id
--   Make another member the owner; the acting owner becomes an admin.
--
--   The e-mail of the workspace at the payment provider is not moved.
--
--   Raises:
--       Forbidden: the user is no owner.
--       MemberNotFound, AccountNotFound, InvalidArgument.
create function public.transfer_workspace(
  p_user_id uuid default null, p_workspace_id uuid default null, p_member_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.transfer_workspace(p_user_id, p_workspace_id, p_member_id);
comment on function public.transfer_workspace(uuid, uuid, uuid) is
  'Makes another member the owner in the place of the acting one, who becomes an admin. The '
  'e-mail of the workspace at the payment provider is not moved.';
revoke all on function public.transfer_workspace(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.transfer_workspace(uuid, uuid, uuid)
  to authenticated, service_role;

-- schemas/calendar/fold_subscription.sql

-- The one state machine of subscriptions. It reads the events in the order in which they happened, so that what is heard of
-- late ends as if it had been heard of at once, and says from when on what holds. docs/concepts.md draws it.

create function credits.is_paid_plan(p_plan_id text)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce((select p.price_cents > 0 from public.plans p where p.id = p_plan_id), false);
end
$$;
comment on function credits.is_paid_plan(text) is 'Whether a plan has a price.';
revoke all on function credits.is_paid_plan(text) from public, anon, authenticated, service_role;

create type credits.subscription_state as (
  spell credits.subscription_spells,
  is_paid boolean,
  is_managed boolean,
  covered_until timestamptz,
  paid_from timestamptz,
  uncovered_from timestamptz,
  blocked_until timestamptz,
  next_quantity integer,
  next_quantity_at timestamptz,
  pending_quantity integer,
  cancel_at timestamptz,
  cancel_keeps boolean,
  zone_next text,
  zone_at timestamptz,
  trial_is_paid boolean,
  earns_from timestamptz,
  forfeits_from timestamptz
);
comment on type credits.subscription_state is 'A subscription on its way through its events: the spell that runs, and what is to come.';

create function credits.spell_period(
  p_spell credits.subscription_spells, p_at timestamptz, out period_start timestamptz, out period_end timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A trial is one period, however long it is.
  if p_spell.trial_ends_at is not null then
    period_start := p_spell.anchored_from;
    period_end := p_spell.trial_ends_at;
    return;
  end if;
  select p.period_start, p.period_end into period_start, period_end
  from credits.period_at(p_spell.anchor_at, p_spell.time_zone, p_at) p;
  -- After a change of the time zone the periods of before end inside of one of the new ones. The rest is joined to the
  -- following period when it is short, so that no account has two allowances by moving.
  if period_start < p_spell.anchored_from + interval '15 days' then
    period_start := p_spell.anchored_from;
    if period_end < p_spell.anchored_from + interval '15 days' then
      select p.period_end into period_end from credits.period_at(p_spell.anchor_at, p_spell.time_zone, period_end) p;
    end if;
  end if;
end
$$;
comment on function credits.spell_period(credits.subscription_spells, timestamptz) is
  'The period [period_start, period_end) of a spell that contains an instant.';
revoke all on function credits.spell_period(credits.subscription_spells, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.enter_plan(
  p_state credits.subscription_state, p_plan_id text, p_quantity integer, p_version integer, p_at timestamptz)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_was_paid boolean := s.is_paid;
begin
  s.is_paid := credits.is_paid_plan(p_plan_id);
  s.spell.plan_id := p_plan_id;
  s.spell.quantity := p_quantity;
  s.spell.plan_version := p_version;
  s.spell.versioned_at := case when p_version is not null then p_at end;
  s.spell.pending_plan_id := null;
  s.spell.pending_at := null;
  s.next_quantity := null;
  s.next_quantity_at := null;
  s.cancel_at := null;
  s.blocked_until := null;
  s.spell.is_whole := false;
  if not s.is_paid or not v_was_paid or (s.spell).status = 'canceled' then
    s.spell.status := 'active';
    s.spell.past_due_since := null;
    s.spell.paused_since := null;
    s.spell.trial_ends_at := null;
  end if;
  if s.is_paid and not v_was_paid then
    s.paid_from := p_at;
  end if;
  return s;
end
$$;
comment on function credits.enter_plan(credits.subscription_state, text, integer, integer, timestamptz) is
  'Moves a subscription to a plan. Between paid plans it keeps its status: to change the plan is no payment.';
revoke all on function credits.enter_plan(credits.subscription_state, text, integer, integer, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.anchor_periods(p_state credits.subscription_state, p_at timestamptz)
returns credits.subscription_state
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  s.spell.anchor_at := p_at;
  s.spell.anchored_from := p_at;
  s.spell.anchored_by := (s.spell).anchored_by + 1;
  s.spell.time_zone := coalesce(s.zone_next, (s.spell).time_zone);
  s.zone_next := null;
  s.zone_at := null;
  s.blocked_until := null;
  -- Fewer seats count from the next period: this one.
  s.spell.quantity := coalesce(s.next_quantity, (s.spell).quantity);
  s.next_quantity := null;
  s.next_quantity_at := null;
  return s;
end
$$;
comment on function credits.anchor_periods(credits.subscription_state, timestamptz) is
  'Starts a new period at an instant.';
revoke all on function credits.anchor_periods(credits.subscription_state, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.running_period_is_paid(p_state credits.subscription_state, p_end timestamptz)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return (p_state).is_paid and (p_state.spell).past_due_since is null and (p_state.spell).trial_ends_at is null
    and (not p_state.is_managed or coalesce(p_state.covered_until >= p_end, false));
end
$$;
comment on function credits.running_period_is_paid(credits.subscription_state, timestamptz) is
  'Whether the period that ends at p_end was paid for.';
revoke all on function credits.running_period_is_paid(credits.subscription_state, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.leave_plan(p_state credits.subscription_state, p_keeps boolean, p_plan_id text, p_quantity integer,
  p_version integer, p_at timestamptz)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_period record;
  v_is_paid boolean;
  v_was_trial boolean := (s.spell).trial_ends_at is not null;
begin
  -- At a boundary it is the period before that ends.
  select * into v_period from credits.spell_period(s.spell,
    case when p_at > (s.spell).anchored_from then p_at - interval '1 microsecond' else p_at end);
  v_is_paid := credits.running_period_is_paid(s, v_period.period_end);
  s := credits.enter_plan(s, p_plan_id, p_quantity, p_version, p_at);
  if p_at < v_period.period_end and not (v_is_paid and p_keeps) then
    s.forfeits_from := v_period.period_start;
    s.spell.is_whole := not v_is_paid;
    if v_is_paid then
      s.blocked_until := v_period.period_end;
    elsif v_was_trial then
      -- The period of the trial goes on as one of the new plan.
      s.spell.anchored_by := (s.spell).anchored_by + 1;
    end if;
  elsif p_at >= v_period.period_end then
    -- The period that would begin here is the new plan's alone.
    s.forfeits_from := p_at;
  end if;
  return s;
end
$$;
comment on function credits.leave_plan(credits.subscription_state, boolean, text, integer, integer, timestamptz) is
  'Leaves a paid plan at once. What was paid for stays, if it is to be kept; what was not gives way to the new plan''s allowance.';
revoke all on function credits.leave_plan(credits.subscription_state, boolean, text, integer, integer, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.cancel_plan(p_state credits.subscription_state, p_keeps boolean, p_default text, p_at timestamptz)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_period record;
begin
  s.cancel_at := null;
  select * into v_period from credits.spell_period(s.spell,
    case when p_at > (s.spell).anchored_from then p_at - interval '1 microsecond' else p_at end);
  if not p_keeps or not credits.running_period_is_paid(s, v_period.period_end) or p_at >= v_period.period_end then
    return credits.leave_plan(s, p_keeps, p_default, 1, null, p_at);
  end if;
  s.spell.status := 'canceled';
  s.spell.pending_plan_id := p_default;
  s.spell.pending_at := v_period.period_end;
  s.pending_quantity := 1;
  return s;
end
$$;
comment on function credits.cancel_plan(credits.subscription_state, boolean, text, timestamptz) is
  'Ends a plan: what was paid for stays to the end of its period, where it is to be kept.';
revoke all on function credits.cancel_plan(credits.subscription_state, boolean, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.change_plan_event(
  p_state credits.subscription_state, p_event credits.subscription_events)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_at timestamptz := p_event.happened_at;
  v_is_same boolean := p_event.plan_id = (s.spell).plan_id;
  v_is_paid boolean := credits.is_paid_plan(p_event.plan_id);
  v_quantity integer := coalesce(p_event.quantity, case when s.is_paid and v_is_paid then (s.spell).quantity else 1 end);
  v_period record;
begin
  select * into v_period from credits.spell_period(s.spell, v_at);
  if p_event.at_period_end and not (v_is_same and v_quantity = (s.spell).quantity) then
    s.cancel_at := null;
    s.spell.pending_plan_id := p_event.plan_id;
    s.spell.pending_at := v_period.period_end;
    s.pending_quantity := v_quantity;
    s.next_quantity := null;
    s.next_quantity_at := null;
    if (s.spell).status = 'canceled' then
      s.spell.status := 'active';
    end if;
  elsif v_is_same then
    s.spell.pending_plan_id := null;
    s.spell.pending_at := null;
    s.cancel_at := null;
    s.next_quantity := null;
    s.next_quantity_at := null;
    if (s.spell).status = 'canceled' then
      s.spell.status := 'active';
    end if;
    -- Fewer seats count from the next period.
    if v_quantity < (s.spell).quantity then
      s.next_quantity := v_quantity;
      s.next_quantity_at := v_period.period_end;
    else
      s.spell.quantity := v_quantity;
    end if;
  elsif v_is_paid and not s.is_paid then
    s := credits.enter_plan(s, p_event.plan_id, v_quantity, p_event.plan_version, v_at);
    s := credits.anchor_periods(s, v_at);
  elsif s.is_paid and not v_is_paid then
    s := credits.leave_plan(s, true, p_event.plan_id, v_quantity, p_event.plan_version, v_at);
  else
    s := credits.enter_plan(s, p_event.plan_id, greatest(v_quantity, case when s.is_paid then (s.spell).quantity end),
      p_event.plan_version, v_at);
    if v_quantity < (s.spell).quantity then
      s.next_quantity := v_quantity;
      s.next_quantity_at := v_period.period_end;
    end if;
  end if;
  return s;
end
$$;
comment on function credits.change_plan_event(credits.subscription_state, credits.subscription_events) is
  'What a change of plan or seats does: up at once, from free to paid with a new period, fewer seats from the next period.';
revoke all on function credits.change_plan_event(credits.subscription_state, credits.subscription_events)
  from public, anon, authenticated, service_role;

create function credits.change_status_event(
  p_state credits.subscription_state, p_event credits.subscription_events, p_default text)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_at timestamptz := p_event.happened_at;
  v_period record;
begin
  -- A plan without a price has nothing that could be owed, paused or canceled.
  if not s.is_paid then
    return s;
  end if;
  select * into v_period from credits.spell_period(s.spell, v_at);
  case p_event.status
  when 'active' then
    s.cancel_at := null;
    if (s.spell).status = 'canceled' then
      s.spell.pending_plan_id := null;
      s.spell.pending_at := null;
    end if;
    if (s.spell).trial_ends_at is not null then
      s.trial_is_paid := true;
      return s;
    end if;
    -- What was not granted meanwhile is made up for. A provider says by payments and periods of its own what there is.
    if not s.is_managed then
      s.earns_from := least((s.spell).paused_since, (s.spell).past_due_since);
    end if;
    s.spell.paused_since := null;
    -- Of a managed subscription only a payment says that it is paid: covered_until.
    if not s.is_managed then
      s.spell.past_due_since := null;
    end if;
    s.spell.status := 'active';
  when 'past_due', 'unpaid' then
    if (s.spell).trial_ends_at is not null then
      s.trial_is_paid := false;
    elsif (s.spell).status <> 'canceled'
      and not (s.is_managed and coalesce(s.covered_until >= v_period.period_end, false)) then
      s.spell.status := p_event.status;
      s.spell.paused_since := null;
      s.spell.past_due_since := coalesce((s.spell).past_due_since, v_at);
    end if;
  when 'paused' then
    if (s.spell).trial_ends_at is not null then
      s.trial_is_paid := false;
    elsif (s.spell).status <> 'canceled' then
      s.spell.status := 'paused';
      s.spell.paused_since := coalesce((s.spell).paused_since, v_at);
    end if;
  when 'trialing' then
    -- A trial that is prolonged is the same trial.
    if (s.spell).trial_ends_at is not null then
      s.spell.trial_ends_at := p_event.ends_at;
      return s;
    end if;
    s := credits.anchor_periods(s, v_at);
    s.spell.status := 'trialing';
    s.spell.paused_since := null;
    s.spell.trial_ends_at := p_event.ends_at;
    s.trial_is_paid := false;
  when 'canceled' then
    if (s.spell).status = 'canceled' and p_event.ends_at is null then
      if not p_event.keeps_paid then
        s := credits.leave_plan(s, false, p_default, 1, null, v_at);
      end if;
    elsif p_event.ends_at is not null then
      s.cancel_at := p_event.ends_at;
      s.cancel_keeps := p_event.keeps_paid;
    else
      s := credits.cancel_plan(s, p_event.keeps_paid, p_default, v_at);
    end if;
  end case;
  return s;
end
$$;
comment on function credits.change_status_event(credits.subscription_state, credits.subscription_events, text) is
  'What a status does to a paid plan.';
revoke all on function credits.change_status_event(credits.subscription_state, credits.subscription_events, text)
  from public, anon, authenticated, service_role;

create function credits.next_transition(p_state credits.subscription_state, p_after timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  return least(
    (s.spell).pending_at, s.next_quantity_at, s.cancel_at, s.zone_at, s.blocked_until, (s.spell).trial_ends_at,
    case when s.is_paid and not (s.spell).is_frozen then credits.grace_ends_at(s.spell) end,
    case when s.uncovered_from > p_after then s.uncovered_from end);
end
$$;
comment on function credits.next_transition(credits.subscription_state, timestamptz) is
  'When time alone changes a subscription next; null when it never does.';
revoke all on function credits.next_transition(credits.subscription_state, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.grace_ends_at(p_spell credits.subscription_spells)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_spell.past_due_since
    + (select coalesce(max(p.past_due_grace), interval '3 days') from public.plans p where p.id = p_spell.plan_id);
end
$$;
comment on function credits.grace_ends_at(credits.subscription_spells) is
  'Until when the credits of a plan that is owed for stay spendable; null when nothing is owed.';
revoke all on function credits.grace_ends_at(credits.subscription_spells)
  from public, anon, authenticated, service_role;

create function credits.pass_time(p_state credits.subscription_state, p_default text, p_at timestamptz)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
begin
  if s.zone_at <= p_at then
    s.spell.time_zone := s.zone_next;
    s.spell.anchored_from := s.zone_at;
    s.zone_at := null;
    s.zone_next := null;
  end if;
  if s.blocked_until <= p_at then
    s.blocked_until := null;
  end if;
  if (s.spell).pending_at <= p_at then
    s := credits.enter_plan(s, (s.spell).pending_plan_id, s.pending_quantity, null, p_at);
  elsif s.cancel_at <= p_at then
    s := credits.cancel_plan(s, s.cancel_keeps, p_default, p_at);
  elsif s.next_quantity_at <= p_at then
    s.spell.quantity := s.next_quantity;
    s.next_quantity := null;
    s.next_quantity_at := null;
  elsif (s.spell).trial_ends_at <= p_at then
    if s.trial_is_paid or s.is_managed and s.covered_until > p_at then
      s.spell.status := 'active';
      s.spell.trial_ends_at := null;
    else
      s := credits.enter_plan(s, p_default, 1, null, p_at);
    end if;
    s := credits.anchor_periods(s, p_at);
  end if;
  return s;
end
$$;
comment on function credits.pass_time(credits.subscription_state, text, timestamptz) is
  'What time alone does to a subscription at an instant: what was pending begins, trials and paid times end.';
revoke all on function credits.pass_time(credits.subscription_state, text, timestamptz)
  from public, anon, authenticated, service_role;

create type credits.subscription_fold as (
  spells credits.subscription_spells[],
  state credits.subscription_state
);
comment on type credits.subscription_fold is
  'How far a subscription is folded: the spells so far, and the state it is in.';

create function credits.emit_spell(
  p_spells credits.subscription_spells[], p_state credits.subscription_state, p_at timestamptz,
  p_always boolean default false)
returns credits.subscription_fold
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_base timestamptz := greatest(p_state.covered_until, p_state.paid_from);
  v_is_used boolean := false;
  v_last credits.subscription_spells;
  v_event_n bigint;
  v_spells credits.subscription_spells[] := p_spells;
  v_state credits.subscription_state := p_state;
begin
  for v_n in 1 .. coalesce(cardinality(v_spells), 0) loop
    if v_spells[v_n].started_at >= v_state.earns_from then
      v_spells[v_n].is_earning := true;
    end if;
    if v_spells[v_n].started_at >= v_state.forfeits_from
       or coalesce(v_spells[v_n + 1].started_at, p_at) > v_state.forfeits_from
       -- Also those that end here: their allowance may have been restarted at this very instant.
       or v_state.forfeits_from = p_at
         and coalesce(v_spells[v_n + 1].started_at, p_at) = p_at then
      v_spells[v_n].forfeited_at := least(v_spells[v_n].forfeited_at, p_at);
    end if;
    v_is_used := v_is_used or v_spells[v_n].is_earning and v_spells[v_n].forfeited_at is null
      and v_base < (v_state.spell).anchored_from and v_spells[v_n].anchored_by < (v_state.spell).anchored_by
      and coalesce(v_spells[v_n + 1].started_at, p_at) > v_base;
  end loop;
  v_state.earns_from := null;
  v_state.forfeits_from := null;

  v_state.uncovered_from := null;
  if v_state.is_paid and v_state.is_managed then
    -- One period beyond what is covered, also when a new anchor came in between.
    v_state.uncovered_from := case when v_is_used then (v_state.spell).anchored_from else (
      select p.period_end
      from credits.spell_period(v_state.spell, greatest(v_base, (v_state.spell).anchored_from)) p) end;
  end if;
  v_state.spell.is_frozen := v_state.is_paid and (
    (v_state.spell).paused_since is not null
    or coalesce(credits.grace_ends_at(v_state.spell) <= p_at, false));
  v_state.spell.is_earning := v_state.blocked_until is null and (not v_state.is_paid
    or (v_state.spell).past_due_since is null and (v_state.spell).paused_since is null
      and coalesce(p_at < v_state.uncovered_from, true));
  if not p_always and cardinality(v_spells) > 0 then
    v_last := v_spells[cardinality(v_spells)];
    v_state.spell.started_at := v_last.started_at;
    v_state.spell.n := v_last.n;
    v_event_n := (v_state.spell).event_n;
    v_state.spell.event_n := v_last.event_n;
    if v_state.spell is not distinct from v_last then
      return row(v_spells, v_state)::credits.subscription_fold;
    end if;
  end if;
  v_state.spell.event_n := coalesce(v_event_n, (v_state.spell).event_n);
  v_state.spell.started_at := p_at;
  v_state.spell.n := coalesce(cardinality(v_spells), 0) + 1;
  v_spells := v_spells || v_state.spell;
  return row(v_spells, v_state)::credits.subscription_fold;
end
$$;
comment on function credits.emit_spell(credits.subscription_spells[], credits.subscription_state, timestamptz, boolean) is
  'Adds the spell that begins at an instant, if it differs from the one before (p_always: also if not), and says of those before it what a recovery or a departure changes: whether they earn.';
revoke all on function credits.emit_spell(credits.subscription_spells[], credits.subscription_state, timestamptz, boolean)
  from public, anon, authenticated, service_role;

create function credits.fold_subscription(p_account_id uuid)
returns credits.subscription_spells[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state;
  v_spells credits.subscription_spells[] := array[]::credits.subscription_spells[];
  v_default text := (select p.id from public.plans p where p.is_default);
  v_events credits.subscription_events[];
  v_event credits.subscription_events;
  v_emitted credits.subscription_fold;
  v_next timestamptz;
  v_at timestamptz := '-infinity'::timestamptz;
begin
  select b.is_managed, b.covered_until into s.is_managed, s.covered_until
  from credits.subscriptions b where b.account_id = p_account_id;
  select array_agg(e order by e.kind <> 'opened', e.happened_at, e.n) into v_events
  from credits.subscription_events e where e.account_id = p_account_id;

  v_event := v_events[1];
  s.is_paid := credits.is_paid_plan(v_event.plan_id);
  s.paid_from := v_event.happened_at;
  s.spell := row(p_account_id, 0, 0, v_event.n, null, v_event.plan_id, v_event.plan_version,
    v_event.happened_at, 1, 'active', false, true, null, false, v_event.happened_at, 1,
    v_event.happened_at, 'UTC', null, null, null, null, null, null)::credits.subscription_spells;
  -- What happened before the account was opened counts from the earliest news of it.
  v_emitted := credits.emit_spell(v_spells, s, least(v_event.happened_at, v_events[2].happened_at));
  for v_n in 2 .. cardinality(v_events) + 1 loop
    v_spells := v_emitted.spells;
    s := v_emitted.state;
    loop
      v_next := credits.next_transition(s, v_at);
      -- A trial is paid when news of the instant of its end says so.
      exit when v_next is null or v_n <= cardinality(v_events) and (v_next > v_events[v_n].happened_at
        or v_next = v_events[v_n].happened_at and v_next = (s.spell).trial_ends_at);
      v_at := greatest(v_next, v_at);
      v_emitted := credits.emit_spell(v_spells, credits.pass_time(s, v_default, v_next), v_at);
      v_spells := v_emitted.spells;
      s := v_emitted.state;
    end loop;
    exit when v_n > cardinality(v_events);
    v_event := v_events[v_n];
    v_at := v_event.happened_at;
    -- What falls to the very start of a period comes after it has begun, but for a plan, which begins with it.
    if v_event.status in ('past_due', 'unpaid', 'paused') and (s.spell).started_at < v_event.happened_at
       and (credits.spell_period(s.spell, v_event.happened_at)).period_start = v_event.happened_at then
      v_emitted := credits.emit_spell(v_spells, s, v_event.happened_at, true);
      v_spells := v_emitted.spells;
      s := v_emitted.state;
    end if;
    s.spell.event_n := v_event.n;
    v_emitted := credits.emit_spell(v_spells, credits.change_subscription(s, v_event, v_default), v_event.happened_at);
  end loop;
  return v_spells;
end
$$;
comment on function credits.fold_subscription(uuid) is
  'The spells of a subscription, from all its events in the order in which they happened.';
revoke all on function credits.fold_subscription(uuid)
  from public, anon, authenticated, service_role;

create function credits.change_subscription(
  p_state credits.subscription_state, p_event credits.subscription_events, p_default text)
returns credits.subscription_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_state := p_state;
  v_period record;
begin
  case p_event.kind
  when 'plan' then
    s := credits.change_plan_event(s, p_event);
  when 'status' then
    s := credits.change_status_event(s, p_event, p_default);
  when 'version' then
    if p_event.plan_id = (s.spell).plan_id then
      s.spell.plan_version := p_event.plan_version;
      s.spell.versioned_at := p_event.happened_at;
    end if;
  when 'time_zone' then
    if not (s.is_managed and s.is_paid) then
      s.zone_next := p_event.time_zone;
      select p.period_end into s.zone_at from credits.spell_period(s.spell, p_event.happened_at) p;
    end if;
  when 'period' then
    select * into v_period from credits.spell_period(s.spell, p_event.happened_at);
    if s.is_paid and (s.spell).trial_ends_at is null and v_period.period_start <> p_event.happened_at then
      s := credits.anchor_periods(s, p_event.happened_at);
      s.spell.time_zone := 'UTC';
      s.spell.plan_version := p_event.plan_version;
      s.spell.versioned_at := p_event.happened_at;
    end if;
  end case;
  return s;
end
$$;
comment on function credits.change_subscription(credits.subscription_state, credits.subscription_events, text) is
  'The state of a subscription after an event.';
revoke all on function credits.change_subscription(credits.subscription_state, credits.subscription_events, text)
  from public, anon, authenticated, service_role;

create function credits.refold(p_account_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_spells credits.subscription_spells[] := credits.fold_subscription(p_account_id);
  v_revision bigint;
  v_written_at timestamptz := clock_timestamp();
  v_replaced bigint;
  v_added bigint;
begin
  select coalesce(max(s.revision), 0) + 1 into v_revision
  from credits.subscription_spells s where s.account_id = p_account_id;
  update credits.subscription_spells s set replaced_at = p_at
  where s.account_id = p_account_id and s.replaced_at is null
    and not credits.is_same_spell(s, v_spells[s.n]);
  get diagnostics v_replaced = row_count;
  insert into credits.subscription_spells
  select (f).* from (
    select row(p_account_id, v_revision, x.n, x.event_n, x.started_at, x.plan_id, x.plan_version, x.versioned_at, x.quantity, x.status,
      x.is_frozen, x.is_earning, x.forfeited_at, x.is_whole, x.anchor_at, x.anchored_by, x.anchored_from, x.time_zone,
      x.past_due_since, x.paused_since, x.trial_ends_at, x.pending_plan_id, x.pending_at, null)::credits.subscription_spells as f
    from unnest(v_spells) x
    where not exists (
      select 1 from credits.subscription_spells s
      where s.account_id = p_account_id and s.n = x.n and s.replaced_at is null)) y;
  get diagnostics v_added = row_count;
  if v_replaced + v_added = 0 then
    return;
  end if;
  update credits.subscriptions b set updated_at = v_written_at where b.account_id = p_account_id;
  -- What it comes to is booked by the next operation on each balance.
  update credits.balances b set due_at = least(b.due_at, b.settled_at) where b.account_id = p_account_id;
end
$$;
comment on function credits.refold(uuid, timestamptz) is
  'Writes down the spells that follow from the events, keeping those that no longer do as replaced. All balances are locked.';
revoke all on function credits.refold(uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.is_same_spell(p_old credits.subscription_spells, p_new credits.subscription_spells)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  p_new.revision := p_old.revision;
  p_new.replaced_at := p_old.replaced_at;
  return p_old is not distinct from p_new;
end
$$;
comment on function credits.is_same_spell(credits.subscription_spells, credits.subscription_spells) is
  'Whether two spells differ in nothing but when they were written down.';
revoke all on function credits.is_same_spell(credits.subscription_spells, credits.subscription_spells)
  from public, anon, authenticated, service_role;

create function credits.record_event(p_account_id uuid, p_event credits.subscription_events, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.subscription_events (
    account_id, n, kind, happened_at, recorded_at, plan_id, plan_version, quantity, at_period_end, status, ends_at, keeps_paid,
    time_zone)
  values (
    p_account_id,
    (select coalesce(max(e.n), 0) + 1 from credits.subscription_events e where e.account_id = p_account_id),
    p_event.kind, p_event.happened_at, p_at, p_event.plan_id, p_event.plan_version, p_event.quantity, p_event.at_period_end,
    p_event.status, p_event.ends_at, p_event.keeps_paid, p_event.time_zone);
  perform credits.refold(p_account_id, p_at);
end
$$;
comment on function credits.record_event(uuid, credits.subscription_events, timestamptz) is
  'Records what happened to a subscription. All balances of the account are locked, and what was due is booked.';
revoke all on function credits.record_event(uuid, credits.subscription_events, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.open_subscription(p_account_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_event credits.subscription_events;
begin
  -- Locked as a foreign key would: the plan cannot go away before its new subscriber shows.
  select 'opened', p_at, p.id, credits.latest_version(p.id)
    into v_event.kind, v_event.happened_at, v_event.plan_id, v_event.plan_version
  from public.plans p where p.is_default for key share;
  perform credits.record_event(p_account_id, v_event, p_at);
end
$$;
comment on function credits.open_subscription(uuid, timestamptz) is
  'Subscribes a new account to the default plan.';
revoke all on function credits.open_subscription(uuid, timestamptz)
  from public, anon, authenticated, service_role;

-- schemas/calendar/plan_terms_at.sql

-- What an account may have at an instant: the spell of its subscription, and the figures of the version that counts.

create function credits.spell_at(p_account_id uuid, p_at timestamptz)
returns credits.subscription_spells
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spell credits.subscription_spells;
begin
  select * into v_spell from credits.subscription_spells s
  where s.account_id = p_account_id and s.replaced_at is null and s.started_at <= p_at
  order by s.started_at desc, s.n desc limit 1;
  if not found then
    select * into v_spell from credits.subscription_spells s
    where s.account_id = p_account_id and s.replaced_at is null order by s.n limit 1;
  end if;
  return v_spell;
end
$$;
comment on function credits.spell_at(uuid, timestamptz) is
  'What holds of a subscription at an instant.';
revoke all on function credits.spell_at(uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.kept_version(p_account_id uuid, p_plan_id text)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce(
    (select b.pinned_version from credits.subscriptions b
      where b.account_id = p_account_id and b.pinned_plan_id = p_plan_id),
    credits.latest_version(p_plan_id));
end
$$;
comment on function credits.kept_version(uuid, text) is
  'The version of a plan that an account takes at its next period: the newest, or the one that it is pinned to.';
revoke all on function credits.kept_version(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.period_version(p_account_id uuid, p_spell credits.subscription_spells, p_period_start timestamptz)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_spell.versioned_at >= p_period_start then
    return p_spell.plan_version;
  end if;
  -- All credit types of an account are on the version that the first one of them began its period with.
  return coalesce(
    (select b.plan_version from credits.balances b
      where b.account_id = p_account_id and b.period_start = p_period_start and b.plan_id = p_spell.plan_id
        and b.anchored_by = p_spell.anchored_by limit 1),
    credits.kept_version(p_account_id, p_spell.plan_id));
end
$$;
comment on function credits.period_version(uuid, credits.subscription_spells, timestamptz) is
  'The version of its plan that a spell has in a period: the one that the period began with, or that came with a change in it.';
revoke all on function credits.period_version(uuid, credits.subscription_spells, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.plan_terms_at(
  p_account_id uuid, p_credit_type text, p_at timestamptz,
  out plan_id text, out plan_version integer, out allowance bigint, out rollover_cap bigint, out is_included boolean,
  out is_frozen boolean, out period_start timestamptz, out period_end timestamptz, out changes_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spell credits.subscription_spells := credits.spell_at(p_account_id, p_at);
  v_is_limit boolean := (select t.kind = 'limit' from credits.credit_types t where t.id = p_credit_type);
  v_plan_id text := v_spell.plan_id;
  v_quantity integer := v_spell.quantity;
  v_version integer;
begin
  plan_id := v_spell.plan_id;
  is_frozen := v_spell.is_frozen;
  select p.period_start, p.period_end into period_start, period_end from credits.spell_period(v_spell, p_at) p;
  plan_version := credits.period_version(p_account_id, v_spell, period_start);
  changes_at := (
    select min(s.started_at) from credits.subscription_spells s
    where s.account_id = p_account_id and s.replaced_at is null and s.started_at > p_at);
  -- What is not paid for has the limits of the default plan.
  if v_spell.is_frozen or v_is_limit and v_spell.status = 'canceled' then
    v_plan_id := (select p.id from public.plans p where p.is_default);
    v_quantity := 1;
  end if;
  -- A limit is what is on sale, up or down, at once.
  v_version := case when v_is_limit or v_plan_id <> plan_id then credits.kept_version(p_account_id, v_plan_id)
    else plan_version end;
  select f.is_included, f.allowance * v_quantity, f.rollover_cap * v_quantity into is_included, allowance, rollover_cap
  from credits.plan_figure(v_plan_id, v_version, p_credit_type) f;
end
$$;
comment on function credits.plan_terms_at(uuid, text, timestamptz) is
  'What the subscription gives an account of one credit type at an instant: plan and version, allowance (null = unlimited), whether plan credits are frozen, and when any of it changes.';
revoke all on function credits.plan_terms_at(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.period_allowance(
  p_account_id uuid, p_credit_type text, p_period_start timestamptz, p_period_end timestamptz, p_restarted_at timestamptz,
  p_restarted_event bigint, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_from timestamptz := greatest(p_period_start, p_restarted_at);
  v_whole numeric := extract(epoch from p_period_end - p_period_start) * 1000000;
  v_default text := (select p.id from public.plans p where p.is_default);
  v_anchored_by integer := (credits.spell_at(p_account_id, p_at)).anchored_by;
  v_spell credits.subscription_spells;
  v_allowance bigint;
  v_peak bigint := 0;
  v_granted bigint := 0;
begin
  for v_spell in
    select x.* from credits.subscription_spells x
    where x.account_id = p_account_id and x.replaced_at is null and x.started_at <= p_at and x.anchored_by = v_anchored_by
      -- One that ended before the period, or with its start, gave its credits then; one that ended with a restart did too.
      and (x.started_at >= v_from and p_restarted_at is null or not exists (
        select 1 from credits.subscription_spells y
        where y.account_id = p_account_id and y.replaced_at is null and y.n = x.n + 1
          and (y.started_at < v_from or y.started_at = v_from and coalesce(y.event_n <= p_restarted_event, true))))
    order by x.n
  loop
    continue when not v_spell.is_earning or v_spell.forfeited_at <= p_at;
    v_allowance := (
      select f.allowance * v_spell.quantity
      from credits.plan_figure(v_spell.plan_id,
        credits.period_version(p_account_id, v_spell, p_period_start), p_credit_type) f);
    if v_spell.plan_id = v_default and v_allowance > 0 then
      v_allowance := credits.free_allowance(p_account_id, p_credit_type, p_period_start, v_allowance);
    end if;
    continue when v_allowance is null or v_allowance <= v_peak;
    -- An upgrade brings its difference for the share of the period that is left: ceil, in whole microseconds, for a
    -- quotient that is rounded would make 2/3 of 150 more than 100.
    v_granted := v_granted + case
      when v_spell.started_at <= v_from or v_spell.is_whole or v_spell.trial_ends_at is not null
        then v_allowance - v_peak
      else div((v_allowance - v_peak)
        * extract(epoch from p_period_end - v_spell.started_at) * 1000000 + v_whole - 1, v_whole)::bigint end;
    v_peak := v_allowance;
  end loop;
  return v_granted;
end
$$;
comment on function credits.period_allowance(uuid, text, timestamptz, timestamptz, timestamptz, bigint, timestamptz) is
  'How many plan credits an account is due in a period by an instant: the allowance it began with, and the shares of what grew since. Switching down and up again brings nothing.';
revoke all on function credits.period_allowance(uuid, text, timestamptz, timestamptz, timestamptz, bigint, timestamptz)
  from public, anon, authenticated, service_role;

-- schemas/calendar/due_at.sql

-- What falls due on a balance by an instant is worked out here, once: credit_balances shows it (balance_at), and the next
-- operation on the balance books it (apply_due).

create type credits.due as (
  plan_id text,
  plan_version integer,
  anchored_by integer,
  allowance bigint,
  is_included boolean,
  is_frozen boolean,
  period_start timestamptz,
  period_end timestamptz,
  is_new_period boolean,
  is_early boolean,
  source text,
  used bigint,
  entitled bigint,
  overspent bigint,
  rollover bigint,
  issued bigint,
  withdrawn bigint,
  changes_at timestamptz
);
comment on type credits.due is
  'Where a balance should stand: its terms and period, and what is to be issued to, or withdrawn from, the plan grant of the period.';

create function credits.is_spendable(
  p_grant public.credit_grants, p_at timestamptz, p_is_frozen boolean)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select p_grant.starts_at <= p_at and (p_grant.expires_at is null or p_grant.expires_at > p_at)
    and p_grant.voided_at is null
    and case when p_grant.source in ('plan', 'rollover') or p_grant.period_start is not null then
        not p_is_frozen and (p_grant.frozen_at is null or p_grant.frozen_reason in ('past_due', 'paused'))
      else p_grant.frozen_at is null end
$$;
comment on function credits.is_spendable(public.credit_grants, timestamptz, boolean) is
  'Whether a grant may be spent at an instant: started, not expired, not voided, not frozen. p_is_frozen: what the plan gave is.';
revoke all on function credits.is_spendable(public.credit_grants, timestamptz, boolean)
  from public, anon, authenticated, service_role;

create function credits.live_holds_at(p_account_id uuid, p_credit_type text, p_at timestamptz)
returns table (grant_id uuid, amount bigint)
language sql
stable
security invoker
set search_path = ''
as $$
  select s.grant_id, sum(s.amount - s.captured)::bigint
  from public.credit_reservations r
  join credits.reservation_slices s on s.account_id = r.account_id and s.reservation_id = r.id
  where r.account_id = p_account_id and r.credit_type = p_credit_type and r.status = 'open' and r.expires_at > p_at
  group by s.grant_id
$$;
comment on function credits.live_holds_at(uuid, text, timestamptz) is
  'What the holds that live at an instant have pinned, per grant.';
revoke all on function credits.live_holds_at(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.unlimited_holds_at(p_account_id uuid, p_credit_type text, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(r.unlimited - r.unlimited_captured), 0) from public.credit_reservations r
    where r.account_id = p_account_id and r.credit_type = p_credit_type and r.status = 'open' and r.expires_at > p_at);
end
$$;
comment on function credits.unlimited_holds_at(uuid, text, timestamptz) is
  'What the holds that live at an instant have set aside of an unlimited type: of no grant.';
revoke all on function credits.unlimited_holds_at(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.allowance_left_at(
  p_account_id uuid, p_balance credits.balances, p_to_roll_over boolean, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce((
    select sum(g.remaining - coalesce(h.amount, 0))
    from public.credit_grants g
    left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h on h.grant_id = g.id
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = p_balance.period_start and g.voided_at is null
      and (not p_to_roll_over or g.frozen_at is null or g.frozen_reason in ('past_due', 'paused'))), 0);
end
$$;
comment on function credits.allowance_left_at(uuid, credits.balances, boolean, timestamptz) is
  'What the plan grant of the booked period has left at an instant, less what holds pin beyond it. What is disputed does not roll over.';
revoke all on function credits.allowance_left_at(uuid, credits.balances, boolean, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.spent_since(
  p_account_id uuid, p_credit_type text, p_since timestamptz, out used bigint, out of_plan bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select coalesce(-sum(t.amount), 0),
    coalesce(-sum(t.amount) filter (where g.source in ('plan', 'rollover') or g.period_start is not null), 0)
    into used, of_plan
  from public.credit_transactions t
  left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
  where t.account_id = p_account_id and t.credit_type = p_credit_type and t.kind in ('consume', 'capture', 'refund')
    and t.created_at > p_since
    and (t.kind <> 'refund' or exists (
      select 1 from public.credit_transactions o
      where o.account_id = p_account_id and o.operation_id = t.related_operation_id
        and o.kind in ('consume', 'capture') and o.created_at > p_since));
end
$$;
comment on function credits.spent_since(uuid, text, timestamptz) is
  'What was spent after an instant, less refunds of it: all of it, and the part that plan credits paid.';
revoke all on function credits.spent_since(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.rollover_at(
  p_account_id uuid, p_balance credits.balances, p_period_start timestamptz, p_left bigint)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_before timestamptz := p_period_start - interval '1 microsecond';
  v_terms record;
begin
  if p_balance.period_start is null or p_period_start <= p_balance.period_start then
    return 0;
  end if;
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, v_before);
  if v_terms.is_frozen or v_terms.rollover_cap = 0 then
    return 0;
  end if;
  -- Where no operation came by during the period before, its whole allowance was left.
  return least(v_terms.rollover_cap, case when p_period_start <= p_balance.period_end then p_left
    else credits.period_allowance(p_account_id, p_balance.credit_type, v_terms.period_start, v_terms.period_end, null,
      null, v_before) end);
end
$$;
comment on function credits.rollover_at(uuid, credits.balances, timestamptz, bigint) is
  'How many credits of the period before move into the period that starts at p_period_start: what was left of its allowance, up to the plan''s cap.';
revoke all on function credits.rollover_at(uuid, credits.balances, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.due_at(p_account_id uuid, p_balance credits.balances, p_at timestamptz)
returns credits.due
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  d credits.due;
  v_spell credits.subscription_spells := credits.spell_at(p_account_id, p_at);
  v_terms record;
  v_spent record;
  v_left bigint;
  v_restarted_at timestamptz;
begin
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_at);
  d.plan_id := v_terms.plan_id;
  d.plan_version := v_terms.plan_version;
  d.anchored_by := v_spell.anchored_by;
  d.allowance := v_terms.allowance;
  d.is_included := v_terms.is_included;
  d.is_frozen := v_terms.is_frozen;
  d.changes_at := v_terms.changes_at;
  d.used := p_balance.used;
  if p_balance.kind = 'limit' then
    return d;
  end if;
  d.period_start := v_terms.period_start;
  d.period_end := v_terms.period_end;
  d.source := case when v_spell.trial_ends_at is null then 'plan' else 'trial' end;
  d.is_new_period := (p_balance.period_start, p_balance.anchored_by) is distinct from (d.period_start, d.anchored_by);
  d.is_early := d.is_new_period and d.period_start < p_balance.period_end;
  -- A restart counts in whatever period it turns out to have been made.
  if p_balance.restarted_at > d.period_start or p_balance.restarted_at = d.period_start and not d.is_new_period then
    v_restarted_at := p_balance.restarted_at;
  end if;
  d.entitled := credits.period_allowance(p_account_id, p_balance.credit_type, d.period_start, d.period_end,
    v_restarted_at, case when v_restarted_at is not null then p_balance.restarted_event end, p_at);
  v_left := credits.allowance_left_at(p_account_id, p_balance, d.is_new_period,
    case when d.is_new_period then d.period_start else p_at end);
  d.rollover := 0;
  d.withdrawn := 0;
  d.overspent := 0;
  if not d.is_new_period then
    d.issued := greatest(0, d.entitled - p_balance.granted);
    d.withdrawn := least(v_left, greatest(0, p_balance.granted - d.entitled));
  else
    d.used := 0;
    v_spent := row(0::bigint, 0::bigint);
    -- News of a period that began before what is booked: what was spent since was spent in it.
    if p_balance.version > 0 and (d.is_early or p_balance.period_start is null) then
      select * into v_spent from credits.spent_since(p_account_id, p_balance.credit_type,
        greatest(d.period_start, v_restarted_at));
      d.used := v_spent.used;
      d.rollover := credits.rollover_at(p_account_id, p_balance, d.period_start, v_left + v_spent.of_plan);
      d.issued := greatest(0, d.entitled - greatest(0, v_spent.of_plan - d.rollover));
      d.overspent := greatest(0, v_spent.of_plan - d.rollover - d.entitled);
      d.rollover := greatest(0, d.rollover - v_spent.of_plan);
    else
      d.rollover := credits.rollover_at(p_account_id, p_balance, d.period_start, v_left);
      d.issued := d.entitled;
    end if;
  end if;
  return d;
end
$$;
comment on function credits.due_at(uuid, credits.balances, timestamptz) is
  'Where the subscription puts a balance at an instant: period, terms, and what is to be issued or withdrawn. A period that is booked is never entered again.';
revoke all on function credits.due_at(uuid, credits.balances, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.limit_left(p_account_id uuid, p_balance credits.balances, p_allowance bigint, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- What was made while the limit was unlimited is of no grant, and exists all the same.
  return greatest(0, p_allowance - p_balance.used - credits.unlimited_holds_at(p_account_id, p_balance.credit_type, p_at) - (
    select coalesce(sum(case when g.source = 'plan' then coalesce(h.amount, 0) else -g.spent end), 0)
    from public.credit_grants g
    left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h on h.grant_id = g.id
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type));
end
$$;
comment on function credits.limit_left(uuid, credits.balances, bigint, timestamptz) is
  'How many more the allowance of a limit lets exist; null when it is unlimited.';
revoke all on function credits.limit_left(uuid, credits.balances, bigint, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.balance_at(
  p_account_id uuid, p_balance credits.balances, p_at timestamptz,
  out allowance bigint, out used bigint, out reserved bigint, out remaining bigint,
  out period_start timestamptz, out period_end timestamptz)
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  d credits.due;
  v_is_cut boolean;
begin
  if p_at < p_balance.due_at then
    allowance := p_balance.allowance;
    used := p_balance.used;
    reserved := p_balance.reserved + p_balance.reserved_unlimited;
    period_start := p_balance.period_start;
    period_end := p_balance.period_end;
    remaining := case when allowance is not null then p_balance.balance - p_balance.withheld - p_balance.reserved end;
    return;
  end if;
  d := credits.due_at(p_account_id, p_balance, p_at);
  allowance := d.allowance;
  used := d.used;
  period_start := d.period_start;
  period_end := d.period_end;
  v_is_cut := coalesce(d.is_new_period, false);
  select coalesce(sum(h.amount), 0) + credits.unlimited_holds_at(p_account_id, p_balance.credit_type, p_at) into reserved
  from credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h;
  if allowance is null then
    return;
  end if;
  select coalesce(sum(g.remaining - coalesce(h.amount, 0)), 0) into remaining
  from public.credit_grants g
  left join credits.live_holds_at(p_account_id, p_balance.credit_type, p_at) h on h.grant_id = g.id
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open
    and credits.is_spendable(g, p_at, d.is_frozen)
    and not (v_is_cut and g.period_start is not distinct from p_balance.period_start and g.period_start is not null)
    and not (p_balance.kind = 'limit' and g.source = 'plan');
  if p_balance.kind = 'limit' then
    remaining := remaining + credits.limit_left(p_account_id, p_balance, allowance, p_at);
  elsif not d.is_frozen then
    remaining := remaining + d.rollover + d.issued - d.withdrawn;
  end if;
end
$$;
comment on function credits.balance_at(uuid, credits.balances, timestamptz) is
  'The balance at an instant: the booked one while nothing has fallen due, else what apply_due would book, without booking it. Reached through credit_balances alone, which passes it rows that the caller may read.';
revoke all on function credits.balance_at(uuid, credits.balances, timestamptz)
  from public, anon, authenticated, service_role;
grant execute on function credits.balance_at(uuid, credits.balances, timestamptz) to authenticated, service_role;

-- schemas/calendar/announce_due.sql

-- What the calendar brings: told in the transaction that books it.

create function credits.announce_due(
  p_account_id uuid, p_before credits.balances, p_balance credits.balances, p_due credits.due)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_due.is_new_period then
    update credits.balances b set alert_percent = 0, alert_amount = null
    where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  end if;
  if p_balance.balance - p_balance.withheld > p_before.balance - p_before.withheld then
    perform credits.rearm_levels(p_account_id, p_balance.credit_type);
  end if;
  if p_before.plan_id <> p_balance.plan_id
     and p_balance.credit_type = credits.leading_type(p_account_id) then
    perform credits.announce(p_account_id, 'plan.changed', jsonb_build_object(
      'plan_id', p_balance.plan_id, 'plan_name', credits.plan_name(p_balance.plan_id),
      'from_plan_id', p_before.plan_id, 'from_plan_name', credits.plan_name(p_before.plan_id)));
  elsif p_due.is_new_period and not p_due.is_early and p_due.issued > 0
        and p_before.period_start < p_balance.period_start and p_balance.kind = 'credit' then
    perform credits.announce(p_account_id, 'credits.renewed',
      credits.level_data(p_balance) || jsonb_build_object(
        'granted', p_due.issued, 'rolled_over', coalesce(p_due.rollover, 0),
        'period_start', p_balance.period_start),
      p_balance.credit_type);
  end if;
end
$$;
comment on function credits.announce_due(uuid, credits.balances, credits.balances, credits.due) is
  'Tells what has just been booked on a balance: that the plan is another one (once for the '
  'account), or that a period began; takes levels down in a new period, and after a grant.';
revoke all on function credits.announce_due(uuid, credits.balances, credits.balances, credits.due)
  from public, anon, authenticated, service_role;

create function credits.leading_type(p_account_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select b.credit_type from credits.balances b where b.account_id = p_account_id
    order by b.kind, b.credit_type limit 1);
end
$$;
comment on function credits.leading_type(uuid) is
  'The balance that speaks for the whole account where something is to be told once. Credits come '
  'before limits, whose plan may be another one while something is owed.';
revoke all on function credits.leading_type(uuid) from public, anon, authenticated, service_role;

create function credits.plan_name(p_plan_id text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce((select p.name from public.plans p where p.id = p_plan_id), p_plan_id);
end
$$;
comment on function credits.plan_name(text) is 'What a plan is called on the pricing page.';
revoke all on function credits.plan_name(text) from public, anon, authenticated, service_role;

create function credits.announce_expired_hold(
  p_account_id uuid, p_hold_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.announce(p_account_id, 'hold.expired', jsonb_build_object(
      'reservation_id', r.id, 'released', r.released, 'captured', r.captured,
      'expired_at', r.expires_at, 'name', (
        select t.description from credits.credit_types t where t.id = r.credit_type)),
    r.credit_type, r.user_id)
  from public.credit_reservations r
  where r.account_id = p_account_id and r.id = p_hold_id;
end
$$;
comment on function credits.announce_expired_hold(uuid, uuid) is
  'Tells that a hold was given back because its time had passed.';
revoke all on function credits.announce_expired_hold(uuid, uuid)
  from public, anon, authenticated, service_role;

-- schemas/calendar/apply_due.sql

create function credits.apply_due(p_account_id uuid, inout p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  -- What is due is read before anything is booked.
  d credits.due := credits.due_at(p_account_id, p_balance, p_balance.settled_at);
  v_before credits.balances := p_balance;
begin
  if not d.is_new_period and d.period_end <> p_balance.period_end then
    p_balance := credits.move_period_end(p_account_id, p_balance, d.period_end);
  end if;
  p_balance := credits.expire_holds(p_account_id, p_balance);
  p_balance := credits.expire_ended(p_account_id, p_balance);
  if d.is_new_period then
    p_balance := credits.enter_period(p_account_id, p_balance, d);
  end if;
  p_balance.plan_id := d.plan_id;
  p_balance.plan_version := d.plan_version;
  p_balance.allowance := d.allowance;
  if p_balance.kind = 'limit' then
    p_balance := credits.align_allowance(p_account_id, p_balance);
  else
    p_balance := credits.adjust_allowance(p_account_id, p_balance, d);
    perform credits.freeze_plan_credits(p_account_id, p_balance, d.is_frozen);
  end if;
  p_balance := credits.save_balance(p_account_id, p_balance);
  perform credits.announce_due(p_account_id, v_before, p_balance, d);
end
$$;
comment on function credits.apply_due(uuid, credits.balances) is
  'Books what has fallen due on the locked balance by its settled_at: holds and grants that expired, and all that due_at says. Changes nothing that credit_balances shows.';
revoke all on function credits.apply_due(uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.expire_holds(p_account_id uuid, inout p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_hold record;
begin
  for v_hold in
    select r.id, r.amount, r.expires_at from public.credit_reservations r
    where r.account_id = p_account_id and r.credit_type = p_balance.credit_type and r.status = 'open'
      and r.expires_at <= p_balance.settled_at
    order by r.expires_at, r.id
  loop
    p_balance := credits.release_slices(p_account_id, p_balance, v_hold.id);
    update public.credit_reservations r
    set status = 'expired', released = r.amount + r.extra - r.captured, closed_at = v_hold.expires_at, close_reason = 'expired'
    where r.account_id = p_account_id and r.id = v_hold.id;
    perform credits.announce_expired_hold(p_account_id, v_hold.id);
  end loop;
end
$$;
comment on function credits.expire_holds(uuid, credits.balances) is
  'Closes the holds whose time has passed.';
revoke all on function credits.expire_holds(uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.enter_period(p_account_id uuid, inout p_balance credits.balances, p_due credits.due)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_old_start timestamptz := p_balance.period_start;
  v_at timestamptz := p_balance.settled_at;
  v_issued record;
begin
  if p_due.is_early then
    update public.credit_grants g set expires_at = greatest(g.starts_at, v_at)
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = v_old_start and g.voided_at is null and g.expires_at > v_at;
    p_balance := credits.expire_ended(p_account_id, p_balance);
    -- A period that begins at the same instant as the one before, or before it, has one allowance too.
    update public.credit_grants g set voided_at = v_at, void_reason = 'plan changed'
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = p_due.period_start and g.voided_at is null;
    p_balance := credits.expire_ended(p_account_id, p_balance);
  end if;
  p_balance.period_start := p_due.period_start;
  p_balance.period_end := p_due.period_end;
  p_balance.anchored_by := p_due.anchored_by;
  p_balance.used := p_due.used;
  p_balance.restarted_at := case when p_balance.restarted_at > p_due.period_start then p_balance.restarted_at end;
  p_balance.restarted_event := case when p_balance.restarted_at is not null then p_balance.restarted_event end;
  p_balance.used_since := greatest(p_due.period_start, p_balance.restarted_at);
  p_balance.granted := 0;
  if p_due.rollover > 0 then
    v_issued := credits.issue(p_account_id, p_balance, null, gen_random_uuid(), 'rollover', p_due.rollover,
      p_due.period_start, p_due.period_end, null, 'unspent allowance of the period before', '{}');
    p_balance := v_issued.p_balance;
  end if;
end
$$;
comment on function credits.enter_period(uuid, credits.balances, credits.due) is
  'Moves the balance into a new period: ends what the old one still has where it is cut short, and carries over what rolls over.';
revoke all on function credits.enter_period(uuid, credits.balances, credits.due)
  from public, anon, authenticated, service_role;

create function credits.move_period_end(p_account_id uuid, inout p_balance credits.balances, p_period_end timestamptz)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.credit_grants g set expires_at = p_period_end
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.period_start = p_balance.period_start
    and g.voided_at is null and g.expires_at = p_balance.period_end;
  p_balance.period_end := p_period_end;
end
$$;
comment on function credits.move_period_end(uuid, credits.balances, timestamptz) is
  'Ends the running period at another time: a trial was prolonged or cut short.';
revoke all on function credits.move_period_end(uuid, credits.balances, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.adjust_allowance(p_account_id uuid, inout p_balance credits.balances, p_due credits.due)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_issued record;
  v_grant_id uuid;
begin
  if p_due.issued > 0 then
    v_issued := credits.issue_allowance(p_account_id, p_balance, p_due.issued, p_due.plan_id, null, gen_random_uuid(),
      case when p_balance.granted > 0 then 'upgrade' else 'plan allowance' end, p_due.source);
    p_balance := v_issued.p_balance;
  elsif p_due.withdrawn > 0 then
    select g.id into v_grant_id from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.period_start = p_balance.period_start and g.voided_at is null;
    -- What takes a part of a grant relates to what issued it.
    p_balance := credits.take_unspent(p_account_id, p_balance, v_grant_id, p_due.withdrawn, 'void', null, gen_random_uuid(),
      (select t.operation_id from public.credit_transactions t
        where t.account_id = p_account_id and t.grant_id = v_grant_id and t.kind = 'grant'
        order by t.version limit 1), 'the plan ended without being paid for');
    p_balance.granted := p_balance.granted - p_due.withdrawn;
  end if;
  p_balance.granted := greatest(p_balance.granted, p_due.entitled + p_due.overspent);
  p_balance.overdrawn := p_balance.granted - p_due.entitled;
end
$$;
comment on function credits.adjust_allowance(uuid, credits.balances, credits.due) is
  'Brings the plan grant of the period to what the account is due. What was spent stays spent.';
revoke all on function credits.adjust_allowance(uuid, credits.balances, credits.due)
  from public, anon, authenticated, service_role;

create function credits.freeze_plan_credits(p_account_id uuid, p_balance credits.balances, p_is_frozen boolean)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := p_balance.settled_at;
  v_reason text;
begin
  if p_is_frozen then
    v_reason := case when (credits.spell_at(p_account_id, v_at)).paused_since is null then 'past_due' else 'paused' end;
    -- Also what is used up: a refund may put something back.
    update public.credit_grants g set frozen_at = v_at, frozen_reason = v_reason
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and (g.is_open or g.expires_at > v_at)
      and (g.source in ('plan', 'rollover') or g.period_start is not null) and g.frozen_at is null;
  else
    update public.credit_grants g set frozen_at = null, frozen_reason = null
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type
      and g.frozen_reason in ('past_due', 'paused');
  end if;
end
$$;
comment on function credits.freeze_plan_credits(uuid, credits.balances, boolean) is
  'Freezes what the plan gave, or thaws it. What was bought or given stays as it is.';
revoke all on function credits.freeze_plan_credits(uuid, credits.balances, boolean)
  from public, anon, authenticated, service_role;

create function credits.is_as_on_sale(p_account_id uuid, p_balance credits.balances)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_balance.version > 0 and exists (
      select 1 from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at) t
      where t.allowance is not distinct from p_balance.allowance and t.plan_id = p_balance.plan_id
        and t.plan_version = p_balance.plan_version)
    and not exists (
      select 1 from public.credit_reservations r
      where r.account_id = p_account_id and r.credit_type = p_balance.credit_type and r.status = 'open'
        and r.expires_at <= p_balance.settled_at);
end
$$;
comment on function credits.is_as_on_sale(uuid, credits.balances) is
  'Whether nothing has fallen due on a limit, whose terms may change at any moment.';
revoke all on function credits.is_as_on_sale(uuid, credits.balances)
  from public, anon, authenticated, service_role;

create function credits.lock_balance(p_account_id uuid, p_credit_type text, out p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  select * into p_balance from credits.balances b
  where b.account_id = p_account_id and b.credit_type = p_credit_type
  for no key update;
  if not found then
    return;
  end if;
  -- Looked at under the lock: whoever is gone by now spends nothing, whether or not the account was closed.
  if p_balance.account_status <> 'closed' and not credits.is_living(p_account_id) then
    p_balance.account_status := 'closed';
  end if;
  -- From here on settled_at is the time of this operation. It is read after the lock, so versions and times agree.
  p_balance.settled_at := greatest(coalesce(p_balance.test_now, clock_timestamp()), p_balance.settled_at);
  if p_balance.settled_at >= p_balance.due_at
     and not (p_balance.kind = 'limit' and credits.is_as_on_sale(p_account_id, p_balance)) then
    p_balance := credits.apply_due(p_account_id, p_balance);
  end if;
end
$$;
comment on function credits.lock_balance(uuid, text) is
  'Locks the balance that an operation works on, and books what has fallen due. All null when the account has no such balance. Its settled_at is the time of the operation.';
revoke all on function credits.lock_balance(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.refuse_status(p_account_id uuid, p_status text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_status = 'closed' then
    perform credits.raise_error('account_not_found', jsonb_build_object('account_id', p_account_id), 'The account is closed.');
  end if;
  perform credits.raise_error('account_frozen');
end
$$;
comment on function credits.refuse_status(uuid, text) is
  'Raises why an account that is not active cannot do something. Called once its balance is locked: it may have been closed while the call waited.';
revoke all on function credits.refuse_status(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.lock_account(p_account_id uuid)
returns setof credits.balances
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
begin
  for v_credit_type in
    select b.credit_type from credits.balances b where b.account_id = p_account_id order by b.credit_type
  loop
    return next credits.lock_balance(p_account_id, v_credit_type);
  end loop;
end
$$;
comment on function credits.lock_account(uuid) is
  'Locks and settles all balances of an account in the one lock order. Who writes the account''s subscription holds all of them.';
revoke all on function credits.lock_account(uuid) from public, anon, authenticated, service_role;

-- schemas/calendar/change_plan.sql

-- edge: result=PlanChange callers=service_role keyed
--   Move an account to another plan or number of seats: ``"now"``, or at the ``"period_end"``.
--
--   ``at`` is when it happened, now or before: it counts from then. ``quantity`` is seats; fewer
--   count from the next period. Nothing is clawed back, and nothing that is owed for is thawed.
--   Asking for the plan it is on takes a pending change back.
--
--   Raises:
--       InvalidArgument: no such plan, another ``effective``, or a time to come.
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound.
create function public.change_plan(
  p_user_id uuid, p_plan_id text, p_effective text default 'now', p_idempotency_key text default null,
  p_at timestamptz default null, p_quantity integer default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(1, null, p_idempotency_key, null);
  if p_effective is null or p_effective not in ('now', 'period_end') then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_effective', 'value', p_effective),
      'A plan changes ''now'' or at the ''period_end''.');
  end if;
  if p_quantity not between 1 and 1000000 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_quantity', 'value', p_quantity),
      'The quantity is a number of seats from 1 to 1000000.');
  end if;
  if not exists (select 1 from public.plans p where p.id = p_plan_id) then
    perform credits.refuse_plan(p_plan_id);
  end if;
  return credits.respond(credits.change_plan(credits.paying_account(p_user_id, p_workspace_id), p_user_id, p_plan_id, p_effective,
    p_idempotency_key, p_at, p_quantity));
end
$$;
comment on function public.change_plan(uuid, text, text, text, timestamptz, integer, uuid) is
  'Moves an account to another plan or number of seats: ''now'', which never claws anything back, or at the ''period_end''. p_at is when it happened, now or before; it counts from then. The plan it is on takes back a pending change.';
revoke all on function public.change_plan(uuid, text, text, text, timestamptz, integer, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.change_plan(uuid, text, text, text, timestamptz, integer, uuid) to service_role;

create function credits.refuse_plan(p_plan_id text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_plan_id', 'value', p_plan_id, 'known', (
    select jsonb_agg(p.id order by p.rank) from public.plans p)), 'There is no such plan; list_plans lists them.');
end
$$;
comment on function credits.refuse_plan(text) is
  'Raises that there is no such plan, and which there are.';
revoke all on function credits.refuse_plan(text) from public, anon, authenticated, service_role;

create function credits.time_of_event(p_now timestamptz, p_at timestamptz, p_may_come boolean default false)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if not isfinite(p_at) or p_at > p_now and not p_may_come then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_at', 'value', p_at, 'now', p_now),
      case when p_may_come then 'p_at is a time, not infinity.' else 'p_at is when it happened: now or before.' end);
  end if;
  return coalesce(p_at, p_now);
end
$$;
comment on function credits.time_of_event(timestamptz, timestamptz, boolean) is
  'When something happened: p_at, or now. Raises invalid_argument for no time, and for one to come unless it may.';
revoke all on function credits.time_of_event(timestamptz, timestamptz, boolean)
  from public, anon, authenticated, service_role;

create function credits.change_plan(
  p_account_id uuid, p_user_id uuid, p_plan_id text, p_effective text, p_idempotency_key text, p_at timestamptz,
  p_quantity integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid := gen_random_uuid();
  v_request jsonb := jsonb_strip_nulls(jsonb_build_object('function', 'change_plan', 'user_id', p_user_id, 'plan_id', p_plan_id,
    'effective', p_effective, 'at', extract(epoch from p_at), 'quantity', p_quantity));
  v_answer jsonb;
  v_now timestamptz;
  v_is_closed boolean;
  v_event credits.subscription_events;
begin
  select max(b.settled_at), bool_or(b.account_status = 'closed') into v_now, v_is_closed
  from credits.lock_account(p_account_id) b;
  if v_is_closed then
    perform credits.refuse_status(p_account_id, 'closed');
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  v_event.kind := 'plan';
  v_event.happened_at := credits.time_of_event(v_now, p_at);
  v_event.at_period_end := p_effective = 'period_end';
  v_event.quantity := p_quantity;
  -- Locked as a foreign key would: who deletes the plan waits, and finds its new subscriber.
  select p.id, credits.latest_version(p.id) into v_event.plan_id, v_event.plan_version
  from public.plans p where p.id = p_plan_id for key share;
  if not found then
    perform credits.refuse_plan(p_plan_id);
  end if;
  perform credits.record_event(p_account_id, v_event, v_now);
  perform credits.lock_account(p_account_id);
  v_answer := credits.account_answer(p_account_id, v_operation_id) || credits.subscription_answer(p_account_id, v_now);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer, v_now);
  return v_answer;
end
$$;
comment on function credits.change_plan(uuid, uuid, text, text, text, timestamptz, integer) is
  'Locks all balances of the account in order, then moves it to another plan.';
revoke all on function credits.change_plan(uuid, uuid, text, text, text, timestamptz, integer)
  from public, anon, authenticated, service_role;

create function credits.subscription_answer(p_account_id uuid, p_at timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  s credits.subscription_spells := credits.spell_at(p_account_id, p_at);
begin
  return jsonb_build_object('plan', s.plan_id, 'status', s.status, 'quantity', s.quantity,
    'pending_plan', s.pending_plan_id, 'pending_at', s.pending_at);
end
$$;
comment on function credits.subscription_answer(uuid, timestamptz) is
  'What answers say of a subscription: plan, status, seats, and what is to come.';
revoke all on function credits.subscription_answer(uuid, timestamptz)
  from public, anon, authenticated, service_role;

-- schemas/calendar/cover_period.sql

-- What a payment provider says: who manages the subscription, which period runs, and up to when it is paid.

create function credits.cover_period(p_account_id uuid, p_covered_until timestamptz, p_period_start timestamptz default null)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_event credits.subscription_events;
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  update credits.subscriptions b set is_managed = true,
    covered_until = case when isfinite(p_covered_until) then greatest(b.covered_until, p_covered_until) else b.covered_until end
  where b.account_id = p_account_id;
  if isfinite(p_period_start) then
    v_event.kind := 'period';
    v_event.happened_at := p_period_start;
    v_event.plan_version := credits.latest_version((credits.spell_at(p_account_id, p_period_start)).plan_id);
    perform credits.record_event(p_account_id, v_event, v_now);
  else
    perform credits.refold(p_account_id, v_now);
  end if;
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.cover_period(uuid, timestamptz, timestamptz) is
  'A payment provider manages the subscription, has been paid up to p_covered_until (null: nothing new), and its running period began at p_period_start (null: as it did). In any order and any number of times; where the same news tells a status, before it.';
revoke all on function credits.cover_period(uuid, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

-- schemas/calendar/credit_balances.sql

create function credits.unopened_balances(
  p_account_id uuid, out credit_type text, out allowance bigint, out used bigint, out reserved bigint, out remaining bigint,
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
  if exists (select 1 from credits.accounts a where a.account_id = p_account_id and a.status = 'closed') then
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
  'The balances of credit types that are new to the plan, before an operation has opened them. Reached through credit_balances alone.';
revoke all on function credits.unopened_balances(uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.unopened_balances(uuid) to authenticated, service_role;

create view public.credit_balances
with (security_invoker = true)
as
select b.account_id, b.user_id, b.credit_type, n.allowance, n.used, n.reserved, n.remaining, n.period_start, n.period_end
from credits.balances b
cross join lateral credits.balance_at(
  b.account_id, b, greatest(coalesce(b.test_now, statement_timestamp()), b.settled_at)) n
where b.account_status <> 'closed'
union all
select s.account_id, s.user_id, n.credit_type, n.allowance, n.used, n.reserved, n.remaining, n.period_start, n.period_end
from credits.subscriptions s
cross join lateral credits.unopened_balances(s.account_id) n
where (select count(*) from credits.balances b where b.account_id = s.account_id)
  < (select count(*) from credits.credit_types t);
comment on view public.credit_balances is
  'Credits per account and credit type, right to the second at every read, whatever job ran. Users see their own and their workspaces''.';
comment on column public.credit_balances.allowance is 'Credits per period, or how many may exist for a limit; null is unlimited.';
comment on column public.credit_balances.used is 'Spent in this period, less refunds; for a limit, how many exist.';
comment on column public.credit_balances.reserved is 'Pinned by live holds.';
comment on column public.credit_balances.remaining is 'What can be spent now; null is unlimited.';
comment on column public.credit_balances.period_end is 'When the allowance renews; null for a limit, which never does.';
revoke all on table public.credit_balances from public, anon, authenticated, service_role;
grant select on table public.credit_balances to authenticated, service_role;

create function credits.refuse_computed_rows()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  raise exception '% is computed and takes no rows', tg_table_name
    using errcode = 'object_not_in_prerequisite_state',
    hint = 'Move credits with grant_credits, consume_credits, refund_credits or revoke_grant; plans with change_plan.';
end
$$;
comment on function credits.refuse_computed_rows() is
  'Stops writes to a computed view by those whom no privilege stops. That it is there makes Postgres ask for the privilege first, so everybody else gets a 403; a view that cannot be written at all is a 500 through PostgREST.';
revoke all on function credits.refuse_computed_rows()
  from public, anon, authenticated, service_role;
create trigger credit_balances_are_never_written instead of insert or update or delete on public.credit_balances
  for each row execute function credits.refuse_computed_rows();

-- schemas/calendar/period_at.sql

create function credits.period_boundary(p_anchor_at timestamptz, p_time_zone text, p_n integer)
returns timestamptz
language sql
immutable
security invoker
set search_path = ''
as $$
  -- The anchor is its own boundary, also in the hour that a clock set back shows twice.
  select case when p_n = 0 then p_anchor_at
    else ((p_anchor_at at time zone p_time_zone) + make_interval(months => p_n)) at time zone p_time_zone end
$$;
comment on function credits.period_boundary(timestamptz, text, integer) is
  'The n-th month from the anchor, on the wall clock of the time zone: 31 January is followed by 28 February and 31 March.';
revoke all on function credits.period_boundary(timestamptz, text, integer)
  from public, anon, authenticated, service_role;

create function credits.period_at(
  p_anchor_at timestamptz, p_time_zone text, p_at timestamptz, out period_start timestamptz, out period_end timestamptz)
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_from timestamp := p_anchor_at at time zone p_time_zone;
  v_to timestamp := p_at at time zone p_time_zone;
  v_n integer := (extract(year from v_to) - extract(year from v_from)) * 12 + extract(month from v_to) - extract(month from v_from);
begin
  -- The boundary of this calendar month may still be to come; that of the next one always is.
  if credits.period_boundary(p_anchor_at, p_time_zone, v_n) > p_at then
    v_n := v_n - 1;
  end if;
  period_start := credits.period_boundary(p_anchor_at, p_time_zone, v_n);
  period_end := credits.period_boundary(p_anchor_at, p_time_zone, v_n + 1);
end
$$;
comment on function credits.period_at(timestamptz, text, timestamptz) is
  'The period [period_start, period_end) that contains an instant. Counted from the original anchor each time, so that short months leave no trace.';
revoke all on function credits.period_at(timestamptz, text, timestamptz)
  from public, anon, authenticated, service_role;

-- schemas/calendar/pin_plan.sql

-- edge: result=PlanPin callers=service_role repeatable
--   Keep an account at a version of the plan it is on, whatever is published; None lets it go.
--
--   Raises:
--       InvalidArgument: the plan has no such version.
--       AccountNotFound.
create function public.pin_plan(p_user_id uuid, p_version integer default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  return credits.pin(credits.paying_account(p_user_id, p_workspace_id), p_version);
end
$$;
comment on function public.pin_plan(uuid, integer, uuid) is
  'Keeps an account at a version of the plan it is on, from its next period on and whatever is published. Without a version it is let go. On another plan it counts for nothing.';
revoke all on function public.pin_plan(uuid, integer, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.pin_plan(uuid, integer, uuid) to service_role;

create function credits.pin(p_account_id uuid, p_version integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_plan_id text;
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  v_plan_id := (credits.spell_at(p_account_id, v_now)).plan_id;
  if p_version is not null and not exists (
    select 1 from credits.plan_versions v where v.plan_id = v_plan_id and v.version = p_version) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_version', 'value', p_version,
      'plan', v_plan_id, 'latest', credits.latest_version(v_plan_id)), 'The plan of this account has no such version.');
  end if;
  update credits.subscriptions b set
    pinned_plan_id = case when p_version is not null then v_plan_id end, pinned_version = p_version
  where b.account_id = p_account_id;
  update credits.balances b set due_at = least(b.due_at, b.settled_at) where b.account_id = p_account_id;
  perform credits.lock_account(p_account_id);
  return credits.account_answer(p_account_id) || credits.subscription_answer(p_account_id, v_now)
    || jsonb_build_object('version', p_version);
end
$$;
comment on function credits.pin(uuid, integer) is
  'Pins an account to a version of the plan that it is on, or lets it go.';
revoke all on function credits.pin(uuid, integer) from public, anon, authenticated, service_role;

-- schemas/calendar/publish_plan.sql

-- edge: result=Published callers=service_role repeatable
--   Make the figures of ``plan_limits`` the newest version of a plan.
--
--   Accounts take it at their ``"next_period"``. ``"now"`` moves everybody on the plan to it under
--   the rules of a plan change, but for pinned accounts; repeat it while it answers ``more``.
--
--   Raises:
--       InvalidArgument: no such plan, or another ``apply``.
create function public.publish_plan(p_plan_id text, p_apply text default 'next_period')
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_accounts bigint := 0;
  v_more boolean := false;
  v_version integer;
begin
  if p_apply is null or p_apply not in ('next_period', 'now') then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_apply', 'value', p_apply),
      'A version counts from the ''next_period'' of each account, or ''now''.');
  end if;
  if not exists (select 1 from public.plans p where p.id = p_plan_id) then
    perform credits.refuse_plan(p_plan_id);
  end if;
  perform credits.make_plan_version(p_plan_id);
  v_version := credits.latest_version(p_plan_id);
  if p_apply = 'now' then
    select r.accounts, r.more into v_accounts, v_more from credits.roll_out(p_plan_id, v_version) r;
  end if;
  return jsonb_build_object('success', true, 'code', 'ok', 'plan', p_plan_id, 'version', v_version,
    'accounts', v_accounts, 'more', v_more);
end
$$;
comment on function public.publish_plan(text, text) is
  'Makes the figures of plan_limits the plan''s newest version. Accounts take it at their next period; ''now'' moves everybody on the plan to it under the rules of a plan change, but for pinned accounts. A call does at most 1000 accounts and leaves out busy ones: repeat it while it answers more.';
revoke all on function public.publish_plan(text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.publish_plan(text, text) to service_role;

create function credits.roll_out(p_plan_id text, p_version integer, out accounts bigint, out more boolean)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_seen bigint := 0;
begin
  accounts := 0;
  for v_account_id in
    select distinct s.account_id from credits.subscription_spells s
    join credits.accounts a on a.account_id = s.account_id and a.status <> 'closed'
    where s.plan_id = p_plan_id and s.replaced_at is null
      and credits.takes_version(s.account_id, p_plan_id, p_version)
    order by s.account_id limit 1001
  loop
    v_seen := v_seen + 1;
    exit when v_seen > 1000;
    if credits.lock_idle_account(v_account_id) then
      perform credits.take_version(v_account_id, p_plan_id, p_version);
      accounts := accounts + 1;
    end if;
  end loop;
  more := v_seen > accounts;
end
$$;
comment on function credits.roll_out(text, integer) is
  'Moves accounts that are on a plan to a version of it, a bounded number of them; no account that is busy is waited for.';
revoke all on function credits.roll_out(text, integer)
  from public, anon, authenticated, service_role;

create function credits.takes_version(p_account_id uuid, p_plan_id text, p_version integer)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := credits.account_time(p_account_id);
  s credits.subscription_spells := credits.spell_at(p_account_id, v_at);
begin
  return s.plan_id = p_plan_id
    and not exists (
      select 1 from credits.subscriptions b where b.account_id = p_account_id and b.pinned_plan_id = p_plan_id)
    and credits.period_version(p_account_id, s, (select p.period_start from credits.spell_period(s, v_at) p)) <> p_version;
end
$$;
comment on function credits.takes_version(uuid, text, integer) is
  'Whether an account is on a plan, in another version, and not pinned to it.';
revoke all on function credits.takes_version(uuid, text, integer)
  from public, anon, authenticated, service_role;

create function credits.take_version(p_account_id uuid, p_plan_id text, p_version integer)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_event credits.subscription_events;
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  v_event.kind := 'version';
  v_event.happened_at := v_now;
  v_event.plan_id := p_plan_id;
  v_event.plan_version := p_version;
  perform credits.record_event(p_account_id, v_event, v_now);
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.take_version(uuid, text, integer) is
  'Moves an account to a version of its plan, now.';
revoke all on function credits.take_version(uuid, text, integer)
  from public, anon, authenticated, service_role;

create function credits.clock()
returns timestamptz
language sql
stable
security invoker
set search_path = ''
as $$
  select clock_timestamp()
$$;
comment on function credits.clock() is
  'The real time, for functions that only read: each sees one snapshot, at the time it looks.';
revoke all on function credits.clock() from public, anon, authenticated, service_role;

create function credits.account_time(p_account_id uuid)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return greatest(
    coalesce(
      (select a.test_now from credits.accounts a where a.account_id = p_account_id),
      credits.clock()),
    (select max(b.settled_at) from credits.balances b where b.account_id = p_account_id));
end
$$;
comment on function credits.account_time(uuid) is
  'What time it is for an account: the real one or that of its own clock, and never earlier than what it has seen.';
revoke all on function credits.account_time(uuid) from public, anon, authenticated, service_role;

-- schemas/calendar/reset_monthly_credits.sql

-- edge: result=Reset callers=service_role repeatable-without=user_id slow
--   Restart an account's allowances now, period unchanged; ``restarted`` lists them.
--
--   Without a user: book what has fallen due on a bounded number of accounts, and answer how many
--   ``accounts`` were renewed and whether there is ``more``: repeat it until there is none.
--   Restarting one account is never repeated by itself when the connection breaks.
--
--   Raises:
--       AccountNotFound: there is no such user.
create function public.reset_monthly_credits(p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_renewed record;
begin
  if p_user_id is null and p_workspace_id is null then
    perform credits.tend_accounts();
    select * into v_renewed from credits.renew_due();
    return credits.account_answer(null) || jsonb_build_object('accounts', v_renewed.accounts, 'more', v_renewed.more);
  end if;
  return credits.restart(credits.paying_account(p_user_id, p_workspace_id), p_user_id);
end
$$;
comment on function public.reset_monthly_credits(uuid, uuid) is
  'With a user: restarts that account''s allowances now, as far as its status grants any, period unchanged; restarted lists them. With none: books what has fallen due on at most 200 accounts, leaves out busy ones, and answers how many were renewed (accounts) and whether to call it again (more).';
revoke all on function public.reset_monthly_credits(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.reset_monthly_credits(uuid, uuid) to service_role;

create function credits.restart(p_account_id uuid, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid := gen_random_uuid();
  v_balance credits.balances;
  v_restarted jsonb := '[]'::jsonb;
begin
  for v_balance in select * from credits.lock_account(p_account_id) loop
    if credits.restart_allowance(p_account_id, v_balance, p_user_id, v_operation_id) then
      v_restarted := v_restarted || to_jsonb(v_balance.credit_type);
    end if;
  end loop;
  return credits.account_answer(p_account_id, v_operation_id) || jsonb_build_object('restarted', v_restarted);
end
$$;
comment on function credits.restart(uuid, uuid) is
  'Restarts the allowances of an account, and lists which.';
revoke all on function credits.restart(uuid, uuid) from public, anon, authenticated, service_role;

create function credits.restart_allowance(
  p_account_id uuid, p_balance credits.balances, p_user_id uuid, p_operation_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := p_balance;
  v_spell credits.subscription_spells := credits.spell_at(p_account_id, p_balance.settled_at);
  v_grant record;
  v_issued record;
  v_amount bigint;
begin
  -- A limit is never reset, and what is not paid for gets no new allowance.
  if v_balance.kind = 'limit' or not v_spell.is_earning or v_spell.is_frozen or v_spell.status = 'canceled'
  then
    return false;
  end if;
  -- What is unlimited has no stock to restart, and what a counted plan left is not touched by it.
  if v_balance.allowance is null then
    v_balance.used := 0;
    v_balance.used_since := v_balance.settled_at;
    perform credits.save_balance(p_account_id, v_balance);
    return true;
  end if;
  select g.id, g.remaining - g.held as free into v_grant from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = v_balance.credit_type
    and g.period_start = v_balance.period_start and g.voided_at is null;
  if found then
    if v_grant.free > 0 then
      v_balance := credits.take_unspent(p_account_id, v_balance, v_grant.id, v_grant.free, 'void', p_user_id,
        gen_random_uuid(), p_operation_id, 'allowance restarted');
    end if;
    update public.credit_grants g set voided_at = v_balance.settled_at, void_reason = 'allowance restarted'
    where g.account_id = p_account_id and g.id = v_grant.id;
  end if;
  v_balance.used := 0;
  v_balance.used_since := v_balance.settled_at;
  v_balance.restarted_at := v_balance.settled_at;
  v_balance.restarted_event := (
    select max(e.n) from credits.subscription_events e where e.account_id = p_account_id);
  v_amount := credits.period_allowance(p_account_id, v_balance.credit_type, v_balance.period_start, v_balance.period_end,
    v_balance.restarted_at, v_balance.restarted_event, v_balance.settled_at);
  v_balance.granted := v_amount;
  v_balance.overdrawn := 0;
  if v_amount > 0 then
    v_issued := credits.issue_allowance(p_account_id, v_balance, v_amount, v_balance.plan_id, p_user_id, p_operation_id,
      'allowance restarted', case when v_spell.trial_ends_at is null then 'plan' else 'trial' end);
    v_balance := v_issued.p_balance;
  end if;
  perform credits.save_balance(p_account_id, v_balance);
  perform credits.rearm_levels(p_account_id, v_balance.credit_type);
  return true;
end
$$;
comment on function credits.restart_allowance(uuid, credits.balances, uuid, uuid) is
  'Books out what the period''s allowance has left and grants it anew in full, where the status grants any. The period stays, other grants are not touched.';
revoke all on function credits.restart_allowance(uuid, credits.balances, uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.lock_idle_account(p_account_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_locked integer;
begin
  perform 1 from (
    select b.credit_type from credits.balances b where b.account_id = p_account_id
    order by b.credit_type for no key update skip locked) l;
  get diagnostics v_locked = row_count;
  return v_locked = (select count(*) from credits.balances b where b.account_id = p_account_id);
end
$$;
comment on function credits.lock_idle_account(uuid) is
  'Locks all balances of an account, unless another session is at one of them: then false. A job waits for no caller.';
revoke all on function credits.lock_idle_account(uuid)
  from public, anon, authenticated, service_role;

create function credits.renew(p_account_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_before jsonb;
begin
  if not credits.lock_idle_account(p_account_id) then
    return null;
  end if;
  select jsonb_object_agg(b.credit_type, b.period_start) into v_before
  from credits.balances b where b.account_id = p_account_id;
  perform credits.lock_account(p_account_id);
  return v_before is distinct from (
    select jsonb_object_agg(b.credit_type, b.period_start) from credits.balances b where b.account_id = p_account_id);
end
$$;
comment on function credits.renew(uuid) is
  'Books all that has fallen due on one account. True when a period began, null when another session was at it.';
revoke all on function credits.renew(uuid) from public, anon, authenticated, service_role;

create function credits.renew_due(out accounts bigint, out more boolean)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_after uuid := uuid '00000000-0000-0000-0000-000000000000';
  v_accounts uuid[];
  v_account_id uuid;
  v_seen bigint := 0;
  v_renewed boolean;
begin
  accounts := 0;
  more := false;
  loop
    select array_agg(d.account_id order by d.account_id) into v_accounts from (
      select distinct b.account_id from credits.balances b
      where b.account_id > v_after and b.account_status <> 'closed' and not b.is_floating
        and ((b.test_now is null and b.due_at <= clock_timestamp())
          or (b.test_now is not null and b.due_at <= b.test_now))
      order by b.account_id limit 200) d;
    exit when v_accounts is null;
    foreach v_account_id in array v_accounts loop
      -- Locks are kept until the caller commits, so a call ends soon and the next one goes on.
      more := v_seen >= 200;
      exit when more;
      -- One account whose books are broken does not keep the others from their renewal.
      begin
        v_renewed := credits.renew(v_account_id);
        accounts := accounts + coalesce(v_renewed, false)::integer;
        v_seen := v_seen + (v_renewed is not null)::integer;
      exception when others then
        raise warning 'account % could not be renewed: % (%)', v_account_id, sqlerrm, sqlstate;
      end;
    end loop;
    exit when more;
    v_after := v_accounts[array_upper(v_accounts, 1)];
  end loop;
end
$$;
comment on function credits.renew_due() is
  'Books what has fallen due, on 200 accounts at most. Several processes may run it at once. Nothing depends on it: every operation books its own account first.';
revoke all on function credits.renew_due() from public, anon, authenticated, service_role;

-- schemas/calendar/set_subscription_status.sql

-- edge: result=StatusChange callers=service_role repeatable
--   Record what became of the subscription, and when.
--
--   ``status`` is active, trialing, past_due, unpaid, paused or canceled. ``at`` is when it
--   happened, now by default; only a cancellation may be to come. ``ends_at`` is when a trial ends.
--
--   Raises:
--       InvalidArgument: another status, or a time that cannot be.
--       AccountNotFound.
create function public.set_subscription_status(
  p_user_id uuid, p_status text, p_at timestamptz default null, p_ends_at timestamptz default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  if p_status is null or p_status not in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'canceled') then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_status', 'value', p_status),
      'The status is active, trialing, past_due, unpaid, paused or canceled.');
  end if;
  if (p_status = 'trialing') <> (p_ends_at is not null) or not isfinite(p_ends_at) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_ends_at', 'value', p_ends_at),
      'p_ends_at says when a trial ends, and belongs to no other status.');
  end if;
  return credits.set_status(credits.paying_account(p_user_id, p_workspace_id), p_status, p_at, p_ends_at,
    (select s.on_cancel = 'keep' from credits.settings s));
end
$$;
comment on function public.set_subscription_status(uuid, text, timestamptz, timestamptz, uuid) is
  'Records what became of the subscription, and when (p_at, now by default). past_due, unpaid: no new allowance, and after the plan''s grace plan credits are frozen; paused: at once; canceled: the plan ends at p_at, which may be to come; trialing: until p_ends_at; active: paid.';
revoke all on function public.set_subscription_status(uuid, text, timestamptz, timestamptz, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.set_subscription_status(uuid, text, timestamptz, timestamptz, uuid) to service_role;

create function credits.set_status(
  p_account_id uuid, p_status text, p_at timestamptz, p_ends_at timestamptz, p_keeps_paid boolean)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_event credits.subscription_events;
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  v_event.kind := 'status';
  v_event.status := p_status;
  v_event.happened_at := credits.time_of_event(v_now, p_at, p_status = 'canceled');
  v_event.ends_at := p_ends_at;
  if p_ends_at <= v_event.happened_at then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_ends_at', 'value', p_ends_at),
      'A trial ends after it begins.');
  end if;
  if p_status = 'canceled' then
    v_event.keeps_paid := p_keeps_paid;
    -- A cancellation to come is known from now on, and can be taken back.
    if v_event.happened_at > v_now then
      v_event.ends_at := v_event.happened_at;
      v_event.happened_at := v_now;
    end if;
  end if;
  -- Also what was known: news of something between the two may still come.
  perform credits.record_event(p_account_id, v_event, v_now);
  perform credits.lock_account(p_account_id);
  return credits.account_answer(p_account_id) || credits.subscription_answer(p_account_id, v_now)
    || jsonb_build_object('status', p_status);
end
$$;
comment on function credits.set_status(uuid, text, timestamptz, timestamptz, boolean) is
  'Books what has fallen due under the old status, then records the new one.';
revoke all on function credits.set_status(uuid, text, timestamptz, timestamptz, boolean)
  from public, anon, authenticated, service_role;

-- schemas/calendar/subscriptions.sql

create function credits.subscription_now(
  p_account_id uuid, out plan_id text, out plan_version integer, out status text, out quantity integer,
  out anchor_at timestamptz, out time_zone text, out pending_plan_id text, out pending_at timestamptz,
  out past_due_since timestamptz, out trial_ends_at timestamptz)
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_at timestamptz := credits.account_time(p_account_id);
  s credits.subscription_spells := credits.spell_at(p_account_id, v_at);
begin
  plan_id := s.plan_id;
  plan_version := credits.period_version(p_account_id, s, (select p.period_start from credits.spell_period(s, v_at) p));
  status := s.status;
  quantity := s.quantity;
  anchor_at := s.anchor_at;
  time_zone := s.time_zone;
  pending_plan_id := s.pending_plan_id;
  pending_at := s.pending_at;
  past_due_since := s.past_due_since;
  trial_ends_at := s.trial_ends_at;
end
$$;
comment on function credits.subscription_now(uuid) is
  'The subscription of an account at this moment. Reached through public.subscriptions alone, which passes it accounts that the caller may read.';
revoke all on function credits.subscription_now(uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.subscription_now(uuid) to authenticated, service_role;

create view public.subscriptions
with (security_invoker = true)
as
select b.account_id, b.user_id, n.plan_id, n.plan_version, n.status, n.quantity, n.anchor_at, n.time_zone, n.pending_plan_id,
  n.pending_at, n.past_due_since, n.trial_ends_at, b.is_managed, b.covered_until, b.created_at, b.updated_at
from credits.subscriptions b
cross join lateral credits.subscription_now(b.account_id) n;
comment on view public.subscriptions is
  'Which plan an account is on at this moment, whatever job ran. One row per account. Users see their own and their workspaces''.';
comment on column public.subscriptions.user_id is 'The person; null for a workspace.';
comment on column public.subscriptions.plan_version is 'The version of the plan whose figures count for the account.';
comment on column public.subscriptions.quantity is 'Seats: the plan''s allowances are multiplied by it.';
comment on column public.subscriptions.anchor_at is 'Periods end n whole months after this instant, in time_zone.';
comment on column public.subscriptions.pending_plan_id is 'The plan that follows at pending_at: a downgrade or a cancellation.';
comment on column public.subscriptions.past_due_since is 'Since when it is not paid for: no new allowance, and after the plan''s grace its credits are frozen.';
comment on column public.subscriptions.covered_until is 'Up to when a payment provider has been paid; null where none manages it.';
revoke all on table public.subscriptions from public, anon, authenticated, service_role;
grant select on table public.subscriptions to authenticated, service_role;

create trigger subscriptions_are_never_written instead of insert or update or delete on public.subscriptions
  for each row execute function credits.refuse_computed_rows();

-- schemas/metering/meters.sql

-- A metered table of the host project has a meter, and each of its rows that was charged has a charge. The charge belongs
-- to the row by meter, owner and key: none of them is a name, so tables and columns may be renamed and moved. Which columns
-- the owner and the key are is kept by two triggers that never fire, since Postgres follows columns in a trigger's list
-- through renames, into partitions, and through dump and restore.

create table credits.meters (
  id uuid not null default gen_random_uuid(),
  table_id regclass not null,
  table_name text not null,
  credit_type text not null,
  gives_back boolean not null default true,
  created_at timestamptz not null default now(),
  constraint meters_pkey primary key (id),
  constraint meters_table_id_key unique (table_id)
);
comment on table credits.meters is 'The tables of the host project whose rows cost credits. Few rows, about no account.';
comment on column credits.meters.table_id is
  'The table. A name in a dump; of no table once it was dropped, which gives back what its rows were charged.';
comment on column credits.meters.table_name is 'What it was called when it was metered last: the description of its charges.';
comment on column credits.meters.gives_back is 'Whether deleting a row gives back its charge; false for what is used up by being created.';
alter table credits.meters enable row level security;
revoke all on table credits.meters from public, anon, authenticated, service_role;

create table credits.metered_rows (
  account_id uuid not null,
  meter_id uuid not null,
  row_key text not null,
  operation_id uuid not null,
  amount bigint not null,
  deleted_at timestamptz,
  constraint metered_rows_pkey primary key (account_id, meter_id, row_key, operation_id),
  constraint metered_rows_amount_is_positive check (amount > 0)
);
create index metered_rows_meter_id_idx on credits.metered_rows (meter_id);
create index metered_rows_deleted_at_idx on credits.metered_rows (account_id) where deleted_at is not null;
comment on table credits.metered_rows is
  'Which operation paid how much for which row of a metered table, so that its deletion gives exactly that back.';
comment on column credits.metered_rows.row_key is
  'The values of the row''s key as a JSON array, the same in every session; its SHA-256 when it is long.';
comment on column credits.metered_rows.operation_id is 'The spend; one for all rows of a statement that an owner pays for.';
comment on column credits.metered_rows.deleted_at is
  'When the row was deleted, if the charge could not be given back at that moment: it is given back at the next opportunity.';
alter table credits.metered_rows enable row level security;
revoke all on table credits.metered_rows from public, anon, authenticated, service_role;

create type credits.metered_change as (
  old_owner uuid,
  old_key text,
  old_amount bigint,
  new_owner uuid,
  new_key text,
  new_amount bigint
);
comment on type credits.metered_change is
  'What a statement did to one row of a metered table. The old part is null for a new row, the new part for a deleted one.';

-- schemas/metering/charge_rows.sql

-- What a statement did to the rows of one owner, charged and given back as a whole.

create function credits.change_metered_rows(
  p_account_id uuid, p_meter_id uuid, p_changes credits.metered_change[])
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_meter credits.meters;
  v_old_keys text[];
  v_new_key_of jsonb;
  v_moved record;
  v_taken text[];
begin
  select * into strict v_meter from credits.meters m where m.id = p_meter_id;

  -- The owner kept the row under another key: the charge follows. All are taken before one is put, for keys may be swapped.
  select array_agg(c.old_key), jsonb_object_agg(c.old_key, c.new_key) into v_old_keys, v_new_key_of
  from unnest(p_changes) c
  where c.old_owner = p_account_id and c.new_owner = p_account_id and c.old_key <> c.new_key;
  if v_old_keys is not null then
    -- One pass over the index, and a look-up for each row: no join of all with all, whatever the planner believes.
    with moved as (
      delete from credits.metered_rows m
      where m.account_id = p_account_id and m.meter_id = p_meter_id and m.row_key = any (v_old_keys)
        and m.deleted_at is null
      returning v_new_key_of ->> m.row_key as new_key, m.operation_id, m.amount
    )
    select array_agg(d.new_key) as keys, array_agg(d.operation_id) as operations, array_agg(d.amount) as amounts
      into v_moved
    from moved d;
    insert into credits.metered_rows (account_id, meter_id, row_key, operation_id, amount)
    select p_account_id, p_meter_id, r.row_key, r.operation_id, r.amount
    from unnest(v_moved.keys, v_moved.operations, v_moved.amounts) as r(row_key, operation_id, amount)
    on conflict (account_id, meter_id, row_key, operation_id) do update set amount = metered_rows.amount + excluded.amount;
  end if;

  -- A row whose amount has changed is given back and charged anew. One that is used up by being created is charged once.
  select array_agg(case when c.new_owner = p_account_id then c.new_key else c.old_key end) into v_taken
  from unnest(p_changes) c
  where c.old_owner = p_account_id and (
    c.new_owner is distinct from p_account_id or (v_meter.gives_back and c.old_amount <> c.new_amount));
  if v_taken is not null then
    perform credits.give_rows_back(p_account_id, p_meter_id, v_taken);
  end if;
end
$$;
comment on function credits.change_metered_rows(uuid, uuid, credits.metered_change[]) is
  'Moves the charges of an account''s metered rows that have a new key, and gives back those of the rows that it lost.';
revoke all on function credits.change_metered_rows(uuid, uuid, credits.metered_change[])
  from public, anon, authenticated, service_role;

create function credits.give_rows_back(p_account_id uuid, p_meter_id uuid, p_row_keys text[])
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  update credits.metered_rows m set deleted_at = v_now
  where m.account_id = p_account_id and m.meter_id = p_meter_id and m.row_key = any (p_row_keys)
    and m.deleted_at is null;
  if not found then
    return;
  end if;
  -- An account that is gone is closed by itself, and gives back then: its deletion waits for nobody.
  if credits.is_living(p_account_id) then
    perform credits.give_deleted_rows_back(p_account_id);
  end if;
exception when others then
  -- Nothing about credits stops a deletion. What could not be given back now is marked, and given back later.
  raise warning 'credits: the charges of deleted rows of account % are given back later: % (%)',
    p_account_id, sqlerrm, sqlstate;
  update credits.metered_rows m set deleted_at = v_now
  where m.account_id = p_account_id and m.meter_id = p_meter_id and m.row_key = any (p_row_keys)
    and m.deleted_at is null;
end
$$;
comment on function credits.give_rows_back(uuid, uuid, text[]) is
  'Gives back what rows that an account has no longer were charged. Does nothing for rows that were never charged, and raises nothing.';
revoke all on function credits.give_rows_back(uuid, uuid, text[]) from public, anon, authenticated, service_role;

create function credits.give_deleted_rows_back(p_account_id uuid)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_dropped uuid[] := (select array_agg(m.id) from credits.meters m where not credits.table_exists(m.table_id));
  v_credit_type text;
  v_spend record;
  v_rows bigint := 0;
begin
  if v_dropped is not null then
    update credits.metered_rows r set deleted_at = v_now
    where r.account_id = p_account_id and r.meter_id = any (v_dropped) and r.deleted_at is null;
  end if;
  if not exists (
    select 1 from credits.metered_rows r where r.account_id = p_account_id and r.deleted_at is not null) then
    return 0;
  end if;
  -- Balances are locked first, in the one order, so that whatever the charges are, they stay.
  for v_credit_type in
    select m.credit_type from credits.meters m
    where exists (
      select 1 from credits.metered_rows r
      where r.account_id = p_account_id and r.meter_id = m.id and r.deleted_at is not null)
    order by m.credit_type
  loop
    perform credits.lock_balance(p_account_id, v_credit_type);
  end loop;
  for v_spend in
    with deleted as (
      delete from credits.metered_rows r
      using credits.meters m
      where r.account_id = p_account_id and m.id = r.meter_id and r.deleted_at is not null
      returning r.operation_id, r.amount, m.table_name, m.gives_back
    )
    select d.operation_id, d.table_name, sum(d.amount)::bigint as amount, count(*) as row_count,
      bool_and(d.gives_back) as gives_back
    from deleted d group by d.operation_id, d.table_name
  loop
    v_rows := v_rows + v_spend.row_count;
    continue when not v_spend.gives_back;
    perform credits.give_spend_back(p_account_id, v_spend.operation_id, v_spend.amount, v_spend.table_name || ' deleted');
  end loop;
  return v_rows;
end
$$;
comment on function credits.give_deleted_rows_back(uuid) is
  'Gives back what is still charged for an account''s rows that were deleted, alone or with their table. Answers for how many rows.';
revoke all on function credits.give_deleted_rows_back(uuid) from public, anon, authenticated, service_role;

create function credits.give_spend_back(p_account_id uuid, p_operation_id uuid, p_amount bigint, p_reason text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_refundable bigint;
begin
  -- Support may have given it back before.
  select -sum(t.amount) into v_refundable
  from public.credit_transactions t
  where t.account_id = p_account_id
    and (t.operation_id = p_operation_id and t.kind in ('consume', 'capture')
      or t.related_operation_id = p_operation_id and t.kind = 'refund');
  if v_refundable > 0 then
    perform credits.refund(p_account_id, null, p_operation_id, least(p_amount, v_refundable), p_reason, null);
  end if;
end
$$;
comment on function credits.give_spend_back(uuid, uuid, bigint, text) is
  'Refunds a part of a spend, or what is left of it to refund. Does nothing where all of it was refunded.';
revoke all on function credits.give_spend_back(uuid, uuid, bigint, text) from public, anon, authenticated, service_role;

create function credits.charge_rows(
  p_account_id uuid, p_meter_id uuid, p_changes credits.metered_change[], p_forced boolean)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_meter credits.meters;
  v_known text[];
  v_new record;
  v_answer jsonb;
begin
  select * into strict v_meter from credits.meters m where m.id = p_meter_id;
  -- What has a charge already stays as it is: two triggers may report one row.
  select coalesce(array_agg(m.row_key), '{}') into v_known
  from credits.metered_rows m
  where m.account_id = p_account_id and m.meter_id = p_meter_id and m.deleted_at is null
    and m.row_key = any (array(select c.new_key from unnest(p_changes) c where c.new_owner = p_account_id));
  select array_agg(c.new_key) as keys, array_agg(c.new_amount) as amounts, sum(c.new_amount)::bigint as amount,
    min(c.new_amount) as least_amount
    into v_new
  from unnest(p_changes) c
  where c.new_owner = p_account_id and c.new_amount <> 0
    and (c.old_owner is distinct from p_account_id or c.old_amount is distinct from c.new_amount)
    and (v_meter.gives_back or c.old_owner is null)
    and c.new_key <> all (v_known);
  if v_new.keys is null then
    return 0;
  end if;
  if v_new.least_amount < 0 then
    perform credits.raise_error('invalid_amount',
      jsonb_build_object('amount', v_new.least_amount, 'table', v_meter.table_name));
  end if;

  -- The owner acts, unless it is a workspace.
  v_answer := credits.consume(p_account_id, (
      select a.account_id from credits.accounts a where a.account_id = p_account_id and a.kind = 'person'),
    v_meter.credit_type, v_new.amount, v_meter.table_name, null,
    jsonb_build_object('table', v_meter.table_name, 'rows', cardinality(v_new.keys)), p_forced);
  -- Closed while the statement waited: a row of an owner who is gone costs nothing.
  if v_answer is null then
    return 0;
  elsif v_answer ->> 'code' <> 'ok' then
    perform credits.deny(v_answer, p_strict => true);
  end if;
  insert into credits.metered_rows (account_id, meter_id, row_key, operation_id, amount)
  select p_account_id, p_meter_id, r.row_key, (v_answer ->> 'operation_id')::uuid, r.amount
  from unnest(v_new.keys, v_new.amounts) as r(row_key, amount);
  return cardinality(v_new.keys);
end
$$;
comment on function credits.charge_rows(uuid, uuid, credits.metered_change[], boolean) is
  'Charges an account in one spend for the rows that it gained, or raises the denial. Answers for how many.';
revoke all on function credits.charge_rows(uuid, uuid, credits.metered_change[], boolean)
  from public, anon, authenticated, service_role;

-- schemas/metering/meter_statement.sql

-- The triggers of a metered table. Postgres hands each statement over as a whole, so that many rows cost little more than
-- one, and the owners are locked in one order.

create function credits.meter_statement()
returns trigger
language plpgsql
security definer
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
as $$
declare
  v_old text := credits.metered_columns(tg_relid);
  v_new text := v_old;
  v_changes credits.metered_change[];
begin
  if v_old is null then
    return null;
  end if;
  -- Old and new rows of an UPDATE come in the same order. What is the same in both is no change; where a partition is
  -- metered row by row, it may have lost its charge on the way to another.
  execute case tg_op
    when 'INSERT' then format(
      'select array_agg(row(null, null, null, n.owner, n.key, n.amount)::credits.metered_change)
       from (select %s from new_rows t) n', v_new)
    when 'DELETE' then format(
      'select array_agg(row(o.owner, o.key, o.amount, null, null, null)::credits.metered_change)
       from (select %s from old_rows t) o', v_old)
    else format(
      'select array_agg(case when (o.owner, o.key, o.amount) is distinct from (n.owner, n.key, n.amount)
         then row(o.owner, o.key, o.amount, n.owner, n.key, n.amount)::credits.metered_change
         else row(null, null, null, n.owner, n.key, n.amount)::credits.metered_change end)
       from (select row_number() over () as nth, %1$s from old_rows t) o
       full join (select row_number() over () as nth, %1$s from new_rows t) n on n.nth = o.nth
       where (o.owner, o.key, o.amount) is distinct from (n.owner, n.key, n.amount) or $1', v_old) end
    into v_changes
    using tg_op = 'UPDATE' and credits.has_new_partitions(tg_relid);
  if v_changes is not null then
    perform credits.meter_changes(tg_argv[0]::uuid, v_changes);
  end if;
  return null;
exception when others then
  if tg_op <> 'DELETE' then
    raise;
  end if;
  raise warning 'credits: deleted rows of % were not given back: % (%)', tg_relid::regclass, sqlerrm, sqlstate;
  return null;
end
$$;
comment on function credits.meter_statement() is
  'Charges owners for their new rows, gives deleted rows back, and moves the charge when owner or key change, in the transaction of the write itself.';
revoke all on function credits.meter_statement() from public, anon, authenticated, service_role;

create function credits.meter_changes(
  p_meter_id uuid, p_changes credits.metered_change[], p_forced boolean default false)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
  v_owner_id uuid;
  v_gained boolean;
  v_changes credits.metered_change[];
  v_charged bigint := 0;
begin
  select m.credit_type into v_credit_type from credits.meters m where m.id = p_meter_id;
  if not found then
    return 0;
  end if;
  for v_owner_id, v_gained, v_changes in
    select o.owner_id, bool_or(c.new_owner is not distinct from o.owner_id), array_agg(c)
    from unnest(p_changes) c
    cross join lateral (select c.old_owner union select c.new_owner) as o(owner_id)
    where o.owner_id is not null
    group by o.owner_id order by o.owner_id
  loop
    perform credits.change_metered_rows(v_owner_id, p_meter_id, v_changes);
    -- A row whose owner has no account, or none any more, costs nothing.
    if v_gained and credits.metered_account(v_owner_id, v_credit_type) is not null then
      v_charged := v_charged + credits.charge_rows(v_owner_id, p_meter_id, v_changes, p_forced);
    end if;
  end loop;
  return v_charged;
end
$$;
comment on function credits.meter_changes(uuid, credits.metered_change[], boolean) is
  'Does what a statement did to metered rows for each of the owners, in the order of their ids. Answers how many rows were charged.';
revoke all on function credits.meter_changes(uuid, credits.metered_change[], boolean)
  from public, anon, authenticated, service_role;

create function credits.metered_account(p_owner_id uuid, p_credit_type text)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if not credits.is_living(p_owner_id)
     or exists (select 1 from credits.accounts a where a.account_id = p_owner_id and a.status = 'closed') then
    return null;
  end if;
  -- The owner of a row is a person or a workspace; a person's account may still have to be opened.
  if exists (select 1 from credits.accounts a where a.account_id = p_owner_id and a.kind = 'workspace') then
    return p_owner_id;
  end if;
  return credits.paying_account(p_owner_id, null, p_credit_type);
end
$$;
comment on function credits.metered_account(uuid, text) is
  'The account that pays for a row of a metered table; null where its owner has none.';
revoke all on function credits.metered_account(uuid, text) from public, anon, authenticated, service_role;

create function credits.meter_row_of_new_partition()
returns trigger
language plpgsql
security definer
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
as $$
declare
  v_columns text := credits.metered_columns(tg_relid);
  v_change credits.metered_change;
begin
  if v_columns is null then
    return null;
  end if;
  if tg_op <> 'INSERT' then
    execute format('select s.owner, s.key, s.amount from (select %s from (select ($1).*) t) s', v_columns)
      into v_change.old_owner, v_change.old_key, v_change.old_amount using old;
  end if;
  if tg_op <> 'DELETE' then
    execute format('select s.owner, s.key, s.amount from (select %s from (select ($1).*) t) s', v_columns)
      into v_change.new_owner, v_change.new_key, v_change.new_amount using new;
  end if;
  if v_change.old_key is null or v_change.new_key is null
     or (v_change.old_owner, v_change.old_key, v_change.old_amount)
       is distinct from (v_change.new_owner, v_change.new_key, v_change.new_amount) then
    perform credits.meter_changes(tg_argv[0]::uuid, array[v_change]);
  end if;
  return null;
exception when others then
  if tg_op <> 'DELETE' then
    raise;
  end if;
  raise warning 'credits: a deleted row of % was not given back: % (%)', tg_relid::regclass, sqlerrm, sqlstate;
  return null;
end
$$;
comment on function credits.meter_row_of_new_partition() is
  'Meters row by row what is written to a partition that is younger than the last call of meter_table, which gives it the triggers of a statement.';
revoke all on function credits.meter_row_of_new_partition() from public, anon, authenticated, service_role;

create function credits.meter_truncate()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.sweep_meter(tg_argv[0]::uuid);
  return null;
exception when others then
  raise warning 'credits: truncated rows of % were not given back: % (%)', tg_relid::regclass, sqlerrm, sqlstate;
  return null;
end
$$;
comment on function credits.meter_truncate() is 'Gives back what the rows were charged that a truncated table or partition had.';
revoke all on function credits.meter_truncate() from public, anon, authenticated, service_role;

create function credits.sweep_meter(p_meter_id uuid)
returns bigint
language plpgsql
volatile
security definer
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
as $$
declare
  v_table_id regclass;
  v_account_id uuid;
  v_keys text[];
  v_rows bigint := 0;
begin
  select m.table_id into v_table_id from credits.meters m where m.id = p_meter_id;
  for v_account_id, v_keys in execute format(
    'select m.account_id, array_agg(m.row_key) from credits.metered_rows m
     left join (select %s from %s t) r on r.owner = m.account_id and r.key = m.row_key
     where m.meter_id = %L and m.deleted_at is null and r.key is null
     group by m.account_id order by m.account_id', credits.metered_columns(v_table_id), v_table_id, p_meter_id)
  loop
    perform credits.give_rows_back(v_account_id, p_meter_id, v_keys);
    v_rows := v_rows + cardinality(v_keys);
  end loop;
  return v_rows;
end
$$;
comment on function credits.sweep_meter(uuid) is
  'Gives back the charges of all rows that a metered table has no longer. Answers how many.';
revoke all on function credits.sweep_meter(uuid) from public, anon, authenticated, service_role;

create function credits.metered_columns(p_table_id oid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_owner text;
  v_key text;
  v_amount text;
begin
  select
    max(format('t.%I', a.attname)) filter (where g.tgname = 'credits_meter_owner'),
    string_agg(format('t.%I', a.attname), ', ' order by k.nth) filter (where g.tgname = 'credits_meter_key'),
    max(format('coalesce(t.%I, 0)::bigint', a.attname)) filter (where g.tgname = 'credits_meter_amount')
    into v_owner, v_key, v_amount
  from pg_catalog.pg_trigger g
  cross join lateral unnest(g.tgattr) with ordinality as k(attnum, nth)
  join pg_catalog.pg_attribute a on a.attrelid = g.tgrelid and a.attnum = k.attnum
  where g.tgrelid = p_table_id and g.tgname in ('credits_meter_owner', 'credits_meter_key', 'credits_meter_amount');
  -- A key that is too long for an index is told by its hash.
  return format(
    '%s as owner, (select case when length(j.key) <= 400 then j.key
       else encode(sha256(convert_to(j.key, ''UTF8'')), ''hex'') end
     from (select jsonb_build_array(%s)::text as key) j) as key, %s as amount',
    v_owner, v_key, coalesce(v_amount, '1::bigint'))
  where v_owner is not null and v_key is not null;
end
$$;
comment on function credits.metered_columns(oid) is
  'Owner, key and amount of a metered row t, as a select list with the columns'' names of this moment. Null where the table has lost the triggers that know them.';
revoke all on function credits.metered_columns(oid) from public, anon, authenticated, service_role;

-- schemas/metering/meter_table.sql

create function credits.meter_table(
  p_table text, p_credit_type text, p_owner_column text, p_gives_back boolean default true,
  p_amount_column text default null)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_table_id regclass := credits.named_table(p_table);
  v_relation regclass;
  v_meter_id uuid;
begin
  perform credits.check_meter(v_table_id, p_credit_type, p_owner_column, p_amount_column);
  insert into credits.meters (table_id, table_name, credit_type, gives_back)
  values (v_table_id, credits.table_words(v_table_id), p_credit_type, p_gives_back)
  on conflict (table_id) do update set table_name = excluded.table_name, gives_back = excluded.gives_back
  returning id into v_meter_id;

  -- A statement reports to the table that it names: the table itself, or a partition or child of it.
  for v_relation in
    select c.oid
    from credits.table_family(v_table_id) f join pg_catalog.pg_class c on c.oid = f
    where c.relkind in ('r', 'p')
    order by c.oid <> v_table_id, c.oid
  loop
    perform credits.put_meter_marks(v_relation, v_meter_id, p_owner_column, p_amount_column);
    perform credits.put_meter_triggers(v_relation, v_meter_id);
  end loop;
  perform credits.sweep_meter(v_meter_id);
  return credits.count_existing_rows(v_meter_id);
end
$$;
comment on function credits.meter_table(text, text, text, boolean, text) is
  'Meters a table of the host project: select credits.meter_table(''public.projects'', ''project'', ''owner_id''). From then on each new row costs its owner one credit, or what p_amount_column of the row says, and its deletion gives that back unless p_gives_back is false, in the same transaction; a denial is a 402. For a limit, rows that exist already are counted; answers how many. Safe to repeat, as one does for new partitions. Without a schema the table is looked for in public.';
revoke all on function credits.meter_table(text, text, text, boolean, text)
  from public, anon, authenticated, service_role;

create function credits.named_table(p_table text)
returns regclass
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A table that was dropped is found by the name that it was metered under.
  return coalesce(to_regclass(p_table), case when p_table !~ '[.]' then to_regclass('public.' || p_table) end,
    (select m.table_id from credits.meters m where m.table_name = p_table), p_table::regclass);
end
$$;
comment on function credits.named_table(text) is
  'The table of that name; without a schema, the one in public. Raises undefined_table.';
revoke all on function credits.named_table(text) from public, anon, authenticated, service_role;

create function credits.table_words(p_table_id regclass)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select n.nspname || '.' || c.relname
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.oid = p_table_id
$$;
comment on function credits.table_words(regclass) is 'Schema and name of a table, as people read it.';
revoke all on function credits.table_words(regclass) from public, anon, authenticated, service_role;

create function credits.table_exists(p_table_id regclass)
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select exists (select 1 from pg_catalog.pg_class c where c.oid = p_table_id)
$$;
comment on function credits.table_exists(regclass) is 'Whether a metered table has not been dropped.';
revoke all on function credits.table_exists(regclass) from public, anon, authenticated, service_role;

create function credits.table_family(p_table_id regclass)
returns setof oid
language sql
stable
security invoker
set search_path = ''
as $$
  with recursive family(member) as (
    select p_table_id::oid
    union
    select i.inhrelid from pg_catalog.pg_inherits i join family f on i.inhparent = f.member
  )
  select f.member from family f
$$;
comment on function credits.table_family(regclass) is 'A table with its partitions or children, theirs included.';
revoke all on function credits.table_family(regclass) from public, anon, authenticated, service_role;

create function credits.has_new_partitions(p_table_id oid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (select 1 from pg_catalog.pg_class c where c.oid = p_table_id and c.relkind = 'p')
    and exists (
      select 1 from credits.table_family(p_table_id) f
      join pg_catalog.pg_class c on c.oid = f and c.relkind = 'r'
      join pg_catalog.pg_trigger g on g.tgrelid = f and g.tgname = 'credits_meter_new_partition' and g.tgenabled <> 'D');
end
$$;
comment on function credits.has_new_partitions(oid) is
  'Whether a metered table has partitions that are younger than the last call of meter_table.';
revoke all on function credits.has_new_partitions(oid) from public, anon, authenticated, service_role;

create function credits.check_meter(
  p_table_id regclass, p_credit_type text, p_owner_column text, p_amount_column text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_words text := credits.table_words(p_table_id);
  v_other text;
begin
  if not exists (select 1 from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type', p_credit_type));
  end if;
  if not exists (
    select 1 from pg_catalog.pg_attribute a
    where a.attrelid = p_table_id and a.attname = p_owner_column and a.atttypid = 'uuid'::regtype) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_owner_column', 'value', p_owner_column),
      format('%s needs a column %s of type uuid that names who pays.', v_words, p_owner_column));
  end if;
  if p_amount_column is not null and not exists (
    select 1 from pg_catalog.pg_attribute a
    where a.attrelid = p_table_id and a.attname = p_amount_column
      and a.atttypid in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_amount_column', 'value', p_amount_column),
      format('%s needs a column %s of whole numbers that says what a row costs.', v_words, p_amount_column));
  end if;
  if not exists (select 1 from pg_catalog.pg_index i where i.indrelid = p_table_id and i.indisprimary) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_table', 'value', v_words),
      format('%s needs a primary key, so that a deleted row gives back its own charge.', v_words));
  end if;
  if exists (
    select 1 from pg_catalog.pg_class c
    where c.oid = p_table_id and (c.relispartition or c.relkind not in ('r', 'p'))) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_table', 'value', v_words),
      format('%s is a partition or no table. Meter the table that it belongs to.', v_words));
  end if;
  select m.credit_type into v_other from credits.meters m
  where m.table_id = p_table_id and m.credit_type <> p_credit_type;
  if found then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_credit_type', 'value', p_credit_type),
      format('%s is metered as %s already. Call credits.unmeter_table first.', v_words, v_other));
  end if;
  select a.attname into v_other
  from pg_catalog.pg_trigger g
  join pg_catalog.pg_attribute a on a.attrelid = g.tgrelid and a.attnum = g.tgattr[0]
  where g.tgrelid = p_table_id and g.tgname = 'credits_meter_owner' and a.attname <> p_owner_column;
  if found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_owner_column', 'value', p_owner_column),
      format('The rows of %s are paid for by %s already. Call credits.unmeter_table first.', v_words, v_other));
  end if;
end
$$;
comment on function credits.check_meter(regclass, text, text, text) is
  'Raises unknown_credit_type, or invalid_argument with a sentence about what the table lacks to be metered so.';
revoke all on function credits.check_meter(regclass, text, text, text) from public, anon, authenticated, service_role;

create function credits.put_meter_marks(
  p_relation regclass, p_meter_id uuid, p_owner_column text, p_amount_column text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_mark record;
begin
  -- A partition has those of the table that it is a part of.
  if (select c.relispartition from pg_catalog.pg_class c where c.oid = p_relation) then
    return;
  end if;
  for v_mark in
    select w.name, w.columns, coalesce(h.columns, '{}') as had
    from (
      select 'credits_meter_owner' as name, array[p_owner_column] as columns
      union all
      select 'credits_meter_amount', array_remove(array[p_amount_column], null)
      union all
      select 'credits_meter_key', array_agg(a.attname::text order by k.nth)
      from (
        -- A child has its parents' columns, and may have no key of its own.
        select i.indrelid, i.indkey from pg_catalog.pg_index i
        where i.indrelid = (select m.table_id from credits.meters m where m.id = p_meter_id) and i.indisprimary
      ) i
      cross join lateral unnest(i.indkey) with ordinality as k(attnum, nth)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    ) w
    left join lateral (
      select array_agg(a.attname::text order by k.nth) as columns
      from pg_catalog.pg_trigger g
      cross join lateral unnest(g.tgattr) with ordinality as k(attnum, nth)
      join pg_catalog.pg_attribute a on a.attrelid = g.tgrelid and a.attnum = k.attnum
      where g.tgrelid = p_relation and g.tgname = w.name
    ) h on true
  loop
    continue when v_mark.columns = v_mark.had;
    execute format('drop trigger if exists %I on %s', v_mark.name, p_relation);
    continue when v_mark.columns = '{}';
    execute format(
      'create trigger %I after update of %s on %s for each row when (false)
       execute function credits.meter_row_of_new_partition(%L)',
      v_mark.name, (select string_agg(quote_ident(c), ', ') from unnest(v_mark.columns) c), p_relation, p_meter_id);
  end loop;
end
$$;
comment on function credits.put_meter_marks(regclass, uuid, text, text) is
  'Puts the triggers that never fire on a metered table: their lists of columns say which are owner, key and amount, whatever these are called later.';
revoke all on function credits.put_meter_marks(regclass, uuid, text, text)
  from public, anon, authenticated, service_role;

create function credits.put_meter_triggers(p_relation regclass, p_meter_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_relation pg_catalog.pg_class;
begin
  select * into v_relation from pg_catalog.pg_class c where c.oid = p_relation;
  execute format(
    'create or replace trigger credits_meter_insert after insert on %1$s referencing new table as new_rows
       for each statement execute function credits.meter_statement(%2$L);
     create or replace trigger credits_meter_update after update on %1$s
       referencing old table as old_rows new table as new_rows
       for each statement execute function credits.meter_statement(%2$L);
     create or replace trigger credits_meter_delete after delete on %1$s referencing old table as old_rows
       for each statement execute function credits.meter_statement(%2$L);
     create or replace trigger credits_meter_truncate after truncate on %1$s
       for each statement execute function credits.meter_truncate(%2$L)', p_relation, p_meter_id);
  if v_relation.relkind = 'p' and not v_relation.relispartition and not exists (
    select 1 from pg_catalog.pg_trigger g
    where g.tgrelid = p_relation and g.tgname = 'credits_meter_new_partition') then
    execute format(
      'create trigger credits_meter_new_partition after insert or update or delete on %s
       for each row execute function credits.meter_row_of_new_partition(%L)', p_relation, p_meter_id);
  elsif v_relation.relkind = 'r' and v_relation.relispartition then
    execute format('alter table %s disable trigger credits_meter_new_partition', p_relation);
  end if;
end
$$;
comment on function credits.put_meter_triggers(regclass, uuid) is
  'Puts the triggers that charge on a metered table, one of its partitions or one of its children.';
revoke all on function credits.put_meter_triggers(regclass, uuid) from public, anon, authenticated, service_role;

create function credits.count_existing_rows(p_meter_id uuid)
returns bigint
language plpgsql
volatile
security definer
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
as $$
declare
  v_table_id regclass;
  v_changes credits.metered_change[];
  v_counted bigint := 0;
begin
  -- A limit counts what exists, also what was there before it was metered.
  select m.table_id into v_table_id
  from credits.meters m join credits.credit_types t on t.id = m.credit_type
  where m.id = p_meter_id and t.kind = 'limit';
  if not found then
    return 0;
  end if;
  for v_changes in execute format(
    'select array_agg(row(null, null, null, r.owner, r.key, r.amount)::credits.metered_change)
     from (select %s from %s t) r
     where not exists (
       select 1 from credits.metered_rows m
       where m.account_id = r.owner and m.meter_id = %L and m.row_key = r.key and m.deleted_at is null)
     group by r.owner order by r.owner', credits.metered_columns(v_table_id), v_table_id, p_meter_id)
  loop
    v_counted := v_counted + credits.meter_changes(p_meter_id, v_changes, p_forced => true);
  end loop;
  return v_counted;
end
$$;
comment on function credits.count_existing_rows(uuid) is
  'Charges for the rows of a metered table that have no charge, however many they are, where they count towards a limit. Answers how many.';
revoke all on function credits.count_existing_rows(uuid) from public, anon, authenticated, service_role;

-- schemas/metering/unmeter_table.sql

create function credits.unmeter_table(p_table text, p_gives_back boolean default true)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_table_id regclass := credits.named_table(p_table);
  v_meter credits.meters;
  v_trigger record;
  v_account_id uuid;
  v_keys text[];
  v_rows bigint := 0;
begin
  select * into v_meter from credits.meters m where m.table_id = v_table_id;
  if not found then
    return 0;
  end if;
  -- Those of partitions and children go with their table's, or are their own.
  for v_trigger in
    select g.tgrelid::regclass as relation, g.tgname as name
    from credits.table_family(v_table_id) f
    join pg_catalog.pg_trigger g on g.tgrelid = f and g.tgname like 'credits\_meter\_%' and g.tgparentid = 0
  loop
    execute format('drop trigger %I on %s', v_trigger.name, v_trigger.relation);
  end loop;
  if p_gives_back then
    for v_account_id, v_keys in
      select r.account_id, array_agg(r.row_key) from credits.metered_rows r
      where r.meter_id = v_meter.id and r.deleted_at is null
      group by r.account_id order by r.account_id
    loop
      v_rows := v_rows + cardinality(v_keys);
      perform credits.give_rows_back(v_account_id, v_meter.id, v_keys);
      perform credits.give_deleted_rows_back(v_account_id);
    end loop;
  end if;
  delete from credits.metered_rows r where r.meter_id = v_meter.id;
  delete from credits.meters m where m.id = v_meter.id;
  return v_rows;
end
$$;
comment on function credits.unmeter_table(text, boolean) is
  'Stops metering a table. What its rows were charged is given back, unless p_gives_back is false or the table was metered as used up by being created: then it stays spent. Answers for how many rows it was given back. Works for a table that was dropped, by the name that it had.';
revoke all on function credits.unmeter_table(text, boolean) from public, anon, authenticated, service_role;

create function credits.return_dropped_tables()
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
set lock_timeout = '1ms'
as $$
declare
  v_account_id uuid;
  v_rows bigint := 0;
begin
  for v_account_id in
    select distinct r.account_id from credits.metered_rows r
    join credits.meters m on m.id = r.meter_id
    where r.deleted_at is not null or not credits.table_exists(m.table_id)
    order by r.account_id
    limit 100
  loop
    begin
      v_rows := v_rows + credits.give_deleted_rows_back(v_account_id);
    exception when others then
      -- A busy account has its turn with its own next operation, or with the next run.
      raise warning 'credits: rows of account % are given back later: % (%)', v_account_id, sqlerrm, sqlstate;
    end;
  end loop;
  return v_rows;
end
$$;
comment on function credits.return_dropped_tables() is
  'Gives back what is still charged for rows that were deleted, alone or with their table, for up to a hundred accounts. Answers for how many rows.';
revoke all on function credits.return_dropped_tables() from public, anon, authenticated, service_role;

-- schemas/billing/billing_prices.sql

-- Money in, credits out. A payment provider's events come in as neutral facts (apply_billing_event)
-- and are kept as such: what a subscription was at an instant, which invoice was paid, what was
-- refunded. Effects are worked out from all facts that are known, so that doubles and the order of
-- arrival do not matter. No provider's word is needed beyond this chapter.

create table credits.billing_prices (
  price_id text not null,
  livemode boolean not null,
  plan_id text,
  pack_id text,
  billing_interval text,
  currency text not null,
  unit_amount bigint,
  valid_from timestamptz not null,
  valid_to timestamptz,
  constraint billing_prices_pkey primary key (price_id),
  constraint billing_prices_sell_a_plan_or_a_pack check ((plan_id is null) <> (pack_id is null)),
  constraint billing_prices_plans_are_by_month_or_year
    check ((plan_id is not null) = (billing_interval is not null)
      and coalesce(billing_interval in ('month', 'year'), true)),
  constraint billing_prices_currency_is_iso_4217 check (currency ~ '^[a-z]{3}$'),
  constraint billing_prices_amount_is_not_negative check (unit_amount >= 0),
  constraint billing_prices_end_after_they_begin check (valid_to >= valid_from)
);
create unique index billing_prices_plan_key on credits.billing_prices
  (livemode, plan_id, billing_interval, currency) where plan_id is not null and valid_to is null;
create unique index billing_prices_pack_key on credits.billing_prices (livemode, pack_id, currency)
  where pack_id is not null and valid_to is null;
comment on table credits.billing_prices is
  'What a provider''s price buys. A row stays for ever: who subscribed at an old price renews at '
  'it.';
comment on column credits.billing_prices.unit_amount is
  'In the smallest unit of the currency, tax excluded; null where it was not said.';
comment on column credits.billing_prices.valid_to is
  'Since when it is no longer sold; null while it is.';
alter table credits.billing_prices enable row level security;
revoke all on table credits.billing_prices from public, anon, authenticated, service_role;

create table public.credit_packs (
  id text not null,
  name text not null,
  credit_type text not null,
  credits bigint not null,
  price_cents bigint not null,
  currency text not null default 'usd',
  expires_after interval default interval '12 months',
  rank integer not null default 0,
  constraint credit_packs_pkey primary key (id),
  constraint credit_packs_credit_type_fkey foreign key (credit_type)
    references credits.credit_types (id),
  constraint credit_packs_id_is_short check (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
  constraint credit_packs_have_whole_credits check (credits between 1 and 9007199254740992),
  constraint credit_packs_price_is_not_negative check (price_cents >= 0),
  constraint credit_packs_currency_is_iso_4217 check (currency ~ '^[a-z]{3}$'),
  constraint credit_packs_expire_later check (expires_after > interval '0')
);
comment on table public.credit_packs is
  'Credits that are sold beside the plans. World-readable: a pricing page reads it.';
comment on column public.credit_packs.price_cents is
  'Price in the smallest unit of the currency, tax excluded.';
comment on column public.credit_packs.expires_after is
  'How long its credits live from the payment on; null for ever.';
comment on column public.credit_packs.rank is 'Order from the smallest pack to the largest.';
alter table public.credit_packs enable row level security;
revoke all on table public.credit_packs from public, anon, authenticated, service_role;
grant select on table public.credit_packs to anon, authenticated, service_role;
create policy "Everybody may read the packs" on public.credit_packs
  for select to anon, authenticated using (true);

-- The guide names no packs and no prices: these are a starting point, change the rows to yours.
insert into public.credit_packs (id, name, credit_type, credits, price_cents, rank) values
  ('message_100', '100 messages', 'message', 100, 1500, 10),
  ('message_500', '500 messages', 'message', 500, 6000, 20),
  ('integration_5000', '5,000 integration credits', 'integration', 5000, 1000, 30);

create function credits.price_of_pack(p_pack_id text, p_currency text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select b.price_id from credits.billing_prices b
    where b.pack_id = p_pack_id and b.currency = p_currency and b.valid_to is null
    order by b.livemode desc limit 1);
end
$$;
comment on function credits.price_of_pack(text, text) is
  'The provider''s price at which a pack is sold now; null while none is registered.';
revoke all on function credits.price_of_pack(text, text)
  from public, anon, authenticated, service_role;

-- schemas/billing/billing_inbox.sql

-- What a provider has said. The rows are found by the provider's ids and belong to no account until
-- a mapping says so.

create table credits.billing_inbox (
  event_id text not null,
  type text not null,
  happened_at timestamptz not null,
  livemode boolean not null,
  api_version text,
  facts jsonb not null,
  body jsonb,
  outcome text not null,
  note text,
  waits_for text[] not null default '{}',
  effects jsonb not null default '[]',
  tries integer not null default 0,
  received_at timestamptz not null,
  settled_at timestamptz,
  constraint billing_inbox_pkey primary key (event_id),
  constraint billing_inbox_outcome_is_known
    check (outcome in ('applied', 'ignored', 'waiting', 'needs_attention')),
  constraint billing_inbox_waits_for_something check ((outcome = 'waiting') = (waits_for <> '{}'))
);
create index billing_inbox_open_idx on credits.billing_inbox (outcome, received_at)
  where outcome in ('waiting', 'needs_attention');
create index billing_inbox_waits_for_idx on credits.billing_inbox using gin (waits_for)
  where outcome = 'waiting';
comment on table credits.billing_inbox is
  'Every event of a payment provider, by its id: bookkeeping alone. What acts once is the '
  'business object.';
comment on column credits.billing_inbox.waits_for is
  'What is missing: customer:…, session:…, payment:…, invoice:… or fetch:….';
comment on column credits.billing_inbox.body is
  'As it was received; erased after billing_body_retention.';
alter table credits.billing_inbox enable row level security;
revoke all on table credits.billing_inbox from public, anon, authenticated, service_role;

create table credits.billing_customers (
  customer_id text not null,
  account_id uuid not null,
  livemode boolean not null,
  is_default boolean not null default true,
  card_changed_at timestamptz,
  linked_at timestamptz not null,
  deleted_at timestamptz,
  constraint billing_customers_pkey primary key (customer_id),
  constraint billing_customers_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
create index billing_customers_account_id_idx on credits.billing_customers (account_id);
comment on table credits.billing_customers is
  'Which account a provider''s customer is. An account may have several: races, merges by hand.';
comment on column credits.billing_customers.is_default is
  'The one that new purchases of the account are made with.';
comment on column credits.billing_customers.deleted_at is
  'When the provider''s customer was deleted: what it had bought stays.';
alter table credits.billing_customers enable row level security;
revoke all on table credits.billing_customers from public, anon, authenticated, service_role;

create table credits.billing_snapshots (
  subscription_id text not null,
  happened_at timestamptz not null,
  rank integer not null,
  digest text not null,
  event_id text not null,
  customer_id text not null,
  status text not null,
  items jsonb not null,
  period_start timestamptz,
  period_end timestamptz,
  anchor_at timestamptz,
  started_at timestamptz,
  cancel_at timestamptz,
  ended_at timestamptz,
  trial_ends_at timestamptz,
  is_collecting boolean not null,
  keeps_paid boolean not null,
  constraint billing_snapshots_pkey primary key (subscription_id, happened_at, rank, digest),
  constraint billing_snapshots_rank_is_known check (rank between 0 and 2)
);
create index billing_snapshots_customer_id_idx on credits.billing_snapshots (customer_id);
comment on table credits.billing_snapshots is
  'What a provider''s subscription was at an instant. All of them are kept, in the order of '
  'happened_at, rank, period_end, event_id.';
comment on column credits.billing_snapshots.rank is
  'Of equal times: 0 incomplete, 1 living, 2 ended. What has ended never lives again.';
comment on column credits.billing_snapshots.event_id is
  'The greatest id of the events that said so.';
comment on column credits.billing_snapshots.keeps_paid is
  'What the setting on_cancel was when it was heard of.';
alter table credits.billing_snapshots enable row level security;
revoke all on table credits.billing_snapshots from public, anon, authenticated, service_role;

create table credits.billing_invoices (
  invoice_id text not null,
  customer_id text,
  subscription_id text,
  paid_at timestamptz not null,
  reason text,
  currency text not null,
  total bigint not null,
  net_total bigint not null,
  proration_at timestamptz,
  constraint billing_invoices_pkey primary key (invoice_id)
);
create index billing_invoices_subscription_id_idx on credits.billing_invoices (subscription_id);
create index billing_invoices_customer_id_idx on credits.billing_invoices (customer_id);
comment on table credits.billing_invoices is
  'Invoices that were paid. No amount decides anything here; that it was paid does.';
comment on column credits.billing_invoices.net_total is
  'Tax excluded, in the smallest unit of the currency.';
comment on column credits.billing_invoices.proration_at is
  'From when on a change within a period was charged.';
alter table credits.billing_invoices enable row level security;
revoke all on table credits.billing_invoices from public, anon, authenticated, service_role;

create table credits.billing_invoice_lines (
  invoice_id text not null,
  line_id text not null,
  price_id text,
  quantity bigint not null,
  amount bigint not null,
  is_proration boolean not null,
  period_start timestamptz,
  period_end timestamptz,
  constraint billing_invoice_lines_pkey primary key (invoice_id, line_id)
);
comment on table credits.billing_invoice_lines is
  'What a paid invoice was for. The period is that of the service.';
alter table credits.billing_invoice_lines enable row level security;
revoke all on table credits.billing_invoice_lines from public, anon, authenticated, service_role;

create table credits.billing_failures (
  invoice_id text not null,
  state text not null,
  attempt integer not null,
  customer_id text,
  subscription_id text,
  happened_at timestamptz not null,
  reason text,
  constraint billing_failures_pkey primary key (invoice_id, state, attempt),
  constraint billing_failures_state_is_known
    check (state in ('failed', 'action_required', 'not_finalized', 'voided', 'uncollectible'))
);
create index billing_failures_subscription_id_idx on credits.billing_failures (subscription_id);
comment on table credits.billing_failures is
  'Attempts to collect an invoice, or a payment of its own (then invoice_id is the payment''s), '
  'that did not succeed.';
alter table credits.billing_failures enable row level security;
revoke all on table credits.billing_failures from public, anon, authenticated, service_role;

-- schemas/billing/billing_orders.sql

create table credits.billing_orders (
  account_id uuid not null
    constraint billing_orders_account_id_fkey references credits.accounts (account_id),
  id uuid not null,
  kind text not null,
  user_id uuid not null,
  pack_id text,
  plan_id text,
  billing_interval text,
  quantity integer not null,
  price_id text,
  credit_type text,
  credits bigint,
  expires_after interval,
  currency text not null,
  unit_amount bigint,
  state text not null default 'open',
  session_id text,
  invoice_id text,
  paid_at timestamptz,
  paid_amount bigint,
  paid_net bigint,
  grant_id uuid,
  voided bigint not null default 0,
  target bigint not null default 0,
  is_disputed boolean not null default false,
  note text,
  created_at timestamptz not null,
  constraint billing_orders_pkey primary key (account_id, id),
  constraint billing_orders_kind_is_known check (kind in ('pack', 'plan', 'auto_top_up')),
  constraint billing_orders_state_is_known
    check (state in ('open', 'pending', 'paid', 'failed', 'expired', 'mismatch')),
  constraint billing_orders_buy_a_plan_or_a_pack check ((kind = 'plan') = (plan_id is not null)
    and (kind = 'plan') = (pack_id is null) and (kind = 'plan') = (credits is null)),
  constraint billing_orders_quantity_is_positive check (quantity between 1 and 1000000),
  constraint billing_orders_paid_ones_have_a_time check ((state = 'paid') = (paid_at is not null)),
  constraint billing_orders_only_paid_ones_have_a_grant check (grant_id is null or state = 'paid'),
  constraint billing_orders_voids_are_a_part check (voided between 0 and coalesce(credits, 0)
    and target between 0 and coalesce(credits, 0))
);
create index billing_orders_id_idx on credits.billing_orders (id);
create index billing_orders_open_idx on credits.billing_orders (account_id, kind, created_at);
create index billing_orders_user_id_idx on credits.billing_orders (user_id);
comment on table credits.billing_orders is
  'What an account is about to buy, written before the provider is asked: what was bought, and '
  'for how much, is read here alone.';
comment on column credits.billing_orders.credits is 'Of all packs of the order together.';
comment on column credits.billing_orders.paid_net is 'What was paid, tax excluded.';
comment on column credits.billing_orders.voided is
  'Credits of its grant that were taken back by refunds and lost disputes.';
comment on column credits.billing_orders.target is
  'Credits that refunds and lost disputes take back in all: voided, and what had been spent as a '
  'debt.';
alter table credits.billing_orders enable row level security;
revoke all on table credits.billing_orders from public, anon, authenticated, service_role;

create table credits.billing_references (
  reference_id text not null,
  account_id uuid not null,
  order_id uuid not null,
  constraint billing_references_pkey primary key (reference_id),
  constraint billing_references_order_fkey foreign key (account_id, order_id)
    references credits.billing_orders (account_id, id)
);
create index billing_references_order_idx on credits.billing_references (account_id, order_id);
comment on table credits.billing_references is
  'Which order a provider''s checkout session or invoice belongs to.';
alter table credits.billing_references enable row level security;
revoke all on table credits.billing_references from public, anon, authenticated, service_role;

create table credits.billing_payments (
  payment_id text not null,
  account_id uuid,
  order_id uuid,
  invoice_id text,
  linked_at timestamptz,
  constraint billing_payments_pkey primary key (payment_id),
  constraint billing_payments_of_an_order_or_an_invoice
    check ((account_id is null) = (order_id is null) and (order_id is null or invoice_id is null))
);
create index billing_payments_order_idx on credits.billing_payments (account_id, order_id);
create index billing_payments_invoice_id_idx on credits.billing_payments (invoice_id);
comment on table credits.billing_payments is
  'What a provider''s payment, or its charge, paid: an order or an invoice. A row without either '
  'is known from a refund or a dispute alone.';
alter table credits.billing_payments enable row level security;
revoke all on table credits.billing_payments from public, anon, authenticated, service_role;

create table credits.billing_refunds (
  refund_id text not null,
  payment_id text not null,
  amount bigint not null,
  currency text,
  status text not null,
  rank integer not null,
  happened_at timestamptz not null,
  constraint billing_refunds_pkey primary key (refund_id),
  constraint billing_refunds_amount_is_not_negative check (amount >= 0)
);
create index billing_refunds_payment_id_idx on credits.billing_refunds (payment_id);
comment on table credits.billing_refunds is 'What was given back of a payment, tax included.';
comment on column credits.billing_refunds.rank is
  '1 on its way, 2 done, 3 failed or taken back: the greatest counts.';
alter table credits.billing_refunds enable row level security;
revoke all on table credits.billing_refunds from public, anon, authenticated, service_role;

create table credits.billing_credit_notes (
  credit_note_id text not null,
  invoice_id text not null,
  total bigint not null,
  net_total bigint not null,
  refund_ids text[] not null,
  is_voided boolean not null,
  happened_at timestamptz not null,
  constraint billing_credit_notes_pkey primary key (credit_note_id)
);
create index billing_credit_notes_refund_ids_idx
  on credits.billing_credit_notes using gin (refund_ids);
comment on table credits.billing_credit_notes is
  'Says of refunds how much of them is tax. One that refunds nothing has no effect on credits.';
alter table credits.billing_credit_notes enable row level security;
revoke all on table credits.billing_credit_notes from public, anon, authenticated, service_role;

create table credits.billing_disputes (
  dispute_id text not null,
  payment_id text not null,
  amount bigint not null,
  currency text,
  status text not null,
  rank integer not null,
  kind text not null,
  happened_at timestamptz not null,
  constraint billing_disputes_pkey primary key (dispute_id)
);
create index billing_disputes_payment_id_idx on credits.billing_disputes (payment_id);
comment on table credits.billing_disputes is
  'What a buyer''s bank has called into question, and early warnings of it.';
comment on column credits.billing_disputes.rank is
  '0 a warning or prevented, 1 open, 2 won, 3 lost: the greatest counts.';
alter table credits.billing_disputes enable row level security;
revoke all on table credits.billing_disputes from public, anon, authenticated, service_role;

create table credits.billing_plan_voids (
  account_id uuid not null,
  credit_type text not null,
  grant_id uuid not null,
  invoice_id text not null,
  share numeric not null,
  constraint billing_plan_voids_pkey primary key (account_id, credit_type, grant_id, invoice_id),
  constraint billing_plan_voids_grant_fkey foreign key (account_id, grant_id)
    references public.credit_grants (account_id, id),
  constraint billing_plan_voids_share_is_a_part check (share between 0 and 1)
);
comment on table credits.billing_plan_voids is
  'Which share of what was left of a period''s allowance was taken back when its invoice was '
  'refunded.';
alter table credits.billing_plan_voids enable row level security;
revoke all on table credits.billing_plan_voids from public, anon, authenticated, service_role;

create table credits.auto_top_ups (
  account_id uuid not null
    constraint auto_top_ups_account_id_fkey references credits.accounts (account_id),
  credit_type text not null,
  user_id uuid not null,
  threshold bigint not null,
  pack_id text not null,
  monthly_cap integer not null,
  is_enabled boolean not null,
  state text not null default 'ready',
  order_id uuid,
  stopped_at timestamptz,
  note text,
  constraint auto_top_ups_pkey primary key (account_id, credit_type),
  constraint auto_top_ups_order_fkey foreign key (account_id, order_id)
    references credits.billing_orders (account_id, id),
  constraint auto_top_ups_state_is_known check (state in ('ready', 'in_flight', 'stopped')),
  constraint auto_top_ups_one_order_is_in_flight
    check (state <> 'in_flight' or order_id is not null),
  constraint auto_top_ups_stopped_since_then check ((state = 'stopped') = (stopped_at is not null)),
  constraint auto_top_ups_threshold_is_positive check (threshold between 1 and 9007199254740992),
  constraint auto_top_ups_cap_is_positive check (monthly_cap between 1 and 1000000)
);
comment on table credits.auto_top_ups is
  'Which pack an account buys by itself, and below how many credits. At most one purchase is on '
  'its way.';
comment on column credits.auto_top_ups.monthly_cap is
  'How many packs in a calendar month (UTC), at most.';
comment on column credits.auto_top_ups.state is
  'ready; in_flight while an order is unpaid; stopped by a decline, until the card changes or 24 '
  'hours have passed.';
alter table credits.auto_top_ups enable row level security;
revoke all on table credits.auto_top_ups from public, anon, authenticated, service_role;

-- schemas/billing/attach_billing_session.sql

-- edge: result=BillingOrder callers=service_role repeatable
--   Say which checkout session, or which invoice, the provider has made for an order.
--
--   What had happened to it already takes effect. An order may have several sessions, one after the
--   other.
--
--   Raises:
--       InvalidArgument: there is no such order, or the session belongs to another one.
create function public.attach_billing_session(p_order_id uuid, p_session_id text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  perform credits.check_reference('p_session_id', p_session_id);
  select o.account_id into v_account_id from credits.billing_orders o where o.id = p_order_id;
  if not found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_order_id', 'value', p_order_id),
      'There is no such order.');
  end if;
  perform credits.attach_reference(v_account_id, p_order_id, p_session_id);
  return credits.respond(credits.order_answer(v_account_id, p_order_id));
end
$$;
comment on function public.attach_billing_session(uuid, text) is
  'Says which checkout session, or which invoice, the provider has made for an order. What had '
  'happened to it already takes effect.';
revoke all on function public.attach_billing_session(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.attach_billing_session(uuid, text) to service_role;

create function credits.attach_reference(
  p_account_id uuid, p_order_id uuid, p_reference_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.billing_references (reference_id, account_id, order_id)
  values (p_reference_id, p_account_id, p_order_id)
  on conflict (reference_id) do nothing;
  if not exists (
    select 1 from credits.billing_references r
    where r.reference_id = p_reference_id and r.account_id = p_account_id
      and r.order_id = p_order_id) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_session_id', 'value', p_reference_id),
      'This session belongs to another order.');
  end if;
  update credits.billing_orders o set
    session_id = case when o.kind = 'auto_top_up' then o.session_id else p_reference_id end,
    invoice_id = case when o.kind = 'auto_top_up' then p_reference_id else o.invoice_id end
  where o.account_id = p_account_id and o.id = p_order_id and o.state in ('open', 'pending');
end
$$;
comment on function credits.attach_reference(uuid, uuid, text) is
  'Maps a session or an invoice to an order. Raises invalid_argument for one of another order.';
revoke all on function credits.attach_reference(uuid, uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/billing/auto_top_up.sql

-- The automatic top-up. That a balance has fallen below its threshold is found in the statement
-- that made it fall, and the order is written in the same transaction: the worker that asks the
-- provider for the money reads it (list_billing_events), and a spend that is rolled back buys
-- nothing.

create function credits.packs_this_month(
  p_account_id uuid, p_credit_type text, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(o.quantity), 0) from credits.billing_orders o
    where o.account_id = p_account_id and o.kind = 'auto_top_up'
      and o.credit_type = p_credit_type and o.state in ('open', 'pending', 'paid')
      and o.created_at >= date_trunc('month', p_at, 'UTC'));
end
$$;
comment on function credits.packs_this_month(uuid, text, timestamptz) is
  'How many packs were bought automatically in the calendar month (UTC), or are on their way.';
revoke all on function credits.packs_this_month(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.may_top_up(p_account_id uuid, p_auto credits.auto_top_ups, p_at timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_auto.is_enabled
    and (p_auto.state = 'ready'
      or p_auto.state = 'stopped' and p_auto.stopped_at <= p_at - interval '24 hours')
    and (credits.spell_at(p_account_id, p_at)).past_due_since is null
    and exists (
      select 1 from credits.accounts a where a.account_id = p_account_id and a.status = 'active')
    and exists (
      select 1 from credits.billing_customers c
      where c.account_id = p_account_id and c.deleted_at is null);
end
$$;
comment on function credits.may_top_up(uuid, credits.auto_top_ups, timestamptz) is
  'Whether nothing stands in the way of an automatic purchase: none is on its way, nothing is '
  'owed, no decline of less than a day ago, and somebody to charge.';
revoke all on function credits.may_top_up(uuid, credits.auto_top_ups, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.begin_top_up(
  p_account_id uuid, p_credit_type text, p_available bigint, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_auto credits.auto_top_ups;
  v_order credits.billing_orders;
  v_pack_credits bigint;
begin
  select * into v_auto from credits.auto_top_ups a
  where a.account_id = p_account_id and a.credit_type = p_credit_type for no key update;
  if not found or not credits.may_top_up(p_account_id, v_auto, p_at) then
    return;
  end if;
  select k.credits into v_pack_credits from public.credit_packs k where k.id = v_auto.pack_id;
  -- A pack that is no longer sold stops no spend.
  if not found then
    return;
  end if;
  v_order.quantity := least(v_auto.monthly_cap
      - credits.packs_this_month(p_account_id, p_credit_type, p_at),
    div(v_auto.threshold - p_available + v_pack_credits - 1, v_pack_credits), 1000);
  if v_order.quantity < 1 then
    return;
  end if;
  v_order.account_id := p_account_id;
  v_order.user_id := v_auto.user_id;
  v_order.kind := 'auto_top_up';
  v_order := credits.order_of_pack(v_order, v_auto.pack_id);
  v_order.id := gen_random_uuid();
  perform credits.insert_order(p_account_id, v_order, p_at);
  update credits.auto_top_ups a set state = 'in_flight', order_id = v_order.id, stopped_at = null,
    note = null
  where a.account_id = p_account_id and a.credit_type = p_credit_type;
end
$$;
comment on function credits.begin_top_up(uuid, text, bigint, timestamptz) is
  'Orders whole packs that lift a balance to its threshold, as far as the month''s cap goes. The '
  'locked balance has p_available left.';
revoke all on function credits.begin_top_up(uuid, text, bigint, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.notice_low_balance()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.begin_top_up(new.account_id, new.credit_type,
    new.balance - new.withheld - new.reserved, new.settled_at);
  return null;
end
$$;
comment on function credits.notice_low_balance() is
  'Finds that a balance has fallen below the threshold of its automatic top-up.';
revoke all on function credits.notice_low_balance()
  from public, anon, authenticated, service_role;
create trigger balances_notice_low after update on credits.balances
  for each row when (new.top_up_below is not null and new.allowance is not null
    and new.balance - new.withheld - new.reserved < new.top_up_below)
  execute function credits.notice_low_balance();

create function credits.stop_top_up(
  p_account_id uuid, p_order_id uuid, p_at timestamptz, p_note text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update credits.auto_top_ups a set state = 'stopped', stopped_at = p_at, note = p_note
  where a.account_id = p_account_id and a.order_id = p_order_id and a.state = 'in_flight';
  return found;
end
$$;
comment on function credits.stop_top_up(uuid, uuid, timestamptz, text) is
  'Stops automatic purchases after a decline. Says whether they were running.';
revoke all on function credits.stop_top_up(uuid, uuid, timestamptz, text)
  from public, anon, authenticated, service_role;

create function credits.rearm_top_ups(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
begin
  perform 1 from credits.lock_account(p_account_id);
  update credits.auto_top_ups a set state = 'ready', stopped_at = null, note = null
  where a.account_id = p_account_id and a.state = 'stopped';
  for v_balance in select * from credits.lock_account(p_account_id) loop
    if credits.available(v_balance) < v_balance.top_up_below then
      perform credits.begin_top_up(p_account_id, v_balance.credit_type,
        credits.available(v_balance), v_balance.settled_at);
    end if;
  end loop;
end
$$;
comment on function credits.rearm_top_ups(uuid) is
  'Lets automatic purchases go on after the card has changed, and makes those that are due.';
revoke all on function credits.rearm_top_ups(uuid) from public, anon, authenticated, service_role;

create function credits.switch_top_ups_off(p_account_id uuid, p_note text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform 1 from credits.lock_account(p_account_id);
  update credits.auto_top_ups a set is_enabled = false, note = p_note
  where a.account_id = p_account_id and a.is_enabled;
  update credits.balances b set top_up_below = null
  where b.account_id = p_account_id and b.top_up_below is not null;
end
$$;
comment on function credits.switch_top_ups_off(uuid, text) is
  'Ends automatic purchases until they are set again: a payment was disputed.';
revoke all on function credits.switch_top_ups_off(uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/billing/create_billing_order.sql

-- edge: result=BillingOrder callers=service_role keyed
--   Write down what an account is about to buy, before the payment provider is asked for a page.
--
--   ``pack_id`` times ``quantity``, or a ``plan_id`` by the ``interval`` (month or year). Amounts
--   are in the smallest unit of ``currency``, tax excluded.
--
--   Raises:
--       InvalidArgument: no such pack or plan, or no price of it.
--       Forbidden: the member of a workspace is neither an owner nor an admin.
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound.
create function public.create_billing_order(
  p_user_id uuid, p_pack_id text default null, p_quantity integer default 1,
  p_idempotency_key text default null, p_workspace_id uuid default null,
  p_plan_id text default null, p_interval text default 'month')
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_order credits.billing_orders;
begin
  perform credits.check_request(1, null, p_idempotency_key, null);
  if p_quantity is null or p_quantity not between 1 and 1000 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_quantity', 'value', p_quantity),
      'The quantity is 1 to 1000.');
  end if;
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  perform credits.check_buyer(v_account_id, p_user_id);
  v_order.account_id := v_account_id;
  v_order.user_id := p_user_id;
  v_order.quantity := p_quantity;
  v_order := case when p_plan_id is null then credits.order_of_pack(v_order, p_pack_id)
    else credits.order_of_plan(v_order, p_pack_id, p_plan_id, p_interval) end;
  return credits.respond(credits.create_order(v_account_id, v_order, p_idempotency_key));
end
$$;
comment on function public.create_billing_order(uuid, text, integer, text, uuid, text, text) is
  'Writes down what an account is about to buy, before the provider is asked: p_quantity packs, '
  'or a plan by the month or year. Answers order_id, credits and amounts.';
revoke all on function public.create_billing_order(uuid, text, integer, text, uuid, text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.create_billing_order(uuid, text, integer, text, uuid, text, text)
  to service_role;

create function credits.check_buyer(p_account_id uuid, p_user_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if credits.only_actor(p_account_id, p_user_id) is not null then
    perform credits.raise_error('forbidden',
      jsonb_build_object('user_id', p_user_id, 'workspace_id', p_account_id),
      'Only an owner or an admin buys for a workspace.');
  end if;
end
$$;
comment on function credits.check_buyer(uuid, uuid) is
  'Raises forbidden unless the person may buy for the account.';
revoke all on function credits.check_buyer(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.order_of_pack(p_order credits.billing_orders, p_pack_id text)
returns credits.billing_orders
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders := p_order;
  v_pack public.credit_packs;
begin
  select * into v_pack from public.credit_packs k where k.id = p_pack_id;
  if not found then
    perform credits.refuse_pack(p_pack_id);
  end if;
  if v_pack.credits > 9007199254740992 / v_order.quantity then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_quantity', 'value', v_order.quantity),
      'That is more than an account can hold.');
  end if;
  v_order.kind := coalesce(v_order.kind, 'pack');
  v_order.pack_id := v_pack.id;
  v_order.credit_type := v_pack.credit_type;
  v_order.credits := v_pack.credits * v_order.quantity;
  v_order.expires_after := v_pack.expires_after;
  v_order.currency := v_pack.currency;
  v_order.unit_amount := v_pack.price_cents;
  v_order.price_id := credits.price_of_pack(v_pack.id, v_pack.currency);
  v_order.unit_amount := coalesce(
    (select b.unit_amount from credits.billing_prices b where b.price_id = v_order.price_id),
    v_pack.price_cents);
  return v_order;
end
$$;
comment on function credits.order_of_pack(credits.billing_orders, text) is
  'An order of packs, at what they are sold for now.';
revoke all on function credits.order_of_pack(credits.billing_orders, text)
  from public, anon, authenticated, service_role;

create function credits.order_of_plan(
  p_order credits.billing_orders, p_pack_id text, p_plan_id text, p_interval text)
returns credits.billing_orders
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders := p_order;
begin
  if p_pack_id is not null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_pack_id"}',
      'An order buys either a plan or packs.');
  end if;
  if not credits.is_paid_plan(p_plan_id) then
    perform credits.refuse_plan(p_plan_id);
  end if;
  if p_interval is null or p_interval not in ('month', 'year') then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_interval', 'value', p_interval),
      'A plan is paid by the month or by the year.');
  end if;
  select b.price_id, b.currency, b.unit_amount
    into v_order.price_id, v_order.currency, v_order.unit_amount
  from credits.billing_prices b join public.plans p on p.id = b.plan_id
  where b.plan_id = p_plan_id and b.billing_interval = p_interval and b.valid_to is null
  order by b.currency = p.currency desc, b.livemode desc, b.currency limit 1;
  if not found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_interval', 'value', p_interval),
      'This plan has no such price; list_plans lists them.');
  end if;
  v_order.kind := 'plan';
  v_order.plan_id := p_plan_id;
  v_order.billing_interval := p_interval;
  return v_order;
end
$$;
comment on function credits.order_of_plan(credits.billing_orders, text, text, text) is
  'An order of a plan, at its price by the month or the year.';
revoke all on function credits.order_of_plan(credits.billing_orders, text, text, text)
  from public, anon, authenticated, service_role;

create function credits.create_order(
  p_account_id uuid, p_order credits.billing_orders, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_id uuid := gen_random_uuid();
  v_order credits.billing_orders := p_order;
  v_answer jsonb;
  v_request jsonb := jsonb_build_object('function', 'create_billing_order',
    'user_id', p_order.user_id, 'pack_id', p_order.pack_id, 'plan_id', p_order.plan_id,
    'interval', p_order.billing_interval, 'quantity', p_order.quantity);
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  v_order.id := v_id;
  perform credits.insert_order(p_account_id, v_order, v_now);
  v_answer := credits.order_answer(p_account_id, v_id);
  perform credits.remember(p_account_id, p_idempotency_key, v_id, v_request, v_answer, v_now);
  return v_answer;
end
$$;
comment on function credits.create_order(uuid, credits.billing_orders, text) is
  'Writes an order down, once under its key.';
revoke all on function credits.create_order(uuid, credits.billing_orders, text)
  from public, anon, authenticated, service_role;

create function credits.insert_order(
  p_account_id uuid, p_order credits.billing_orders, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.billing_orders (account_id, id, kind, user_id, pack_id, plan_id,
    billing_interval, quantity, price_id, credit_type, credits, expires_after, currency,
    unit_amount, created_at)
  values (p_account_id, p_order.id, p_order.kind, p_order.user_id, p_order.pack_id,
    p_order.plan_id, p_order.billing_interval, p_order.quantity, p_order.price_id,
    p_order.credit_type, p_order.credits, p_order.expires_after, p_order.currency,
    p_order.unit_amount, p_at);
end
$$;
comment on function credits.insert_order(uuid, credits.billing_orders, timestamptz) is
  'Adds the row of an order.';
revoke all on function credits.insert_order(uuid, credits.billing_orders, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.order_answer(p_account_id uuid, p_order_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('success', true, 'code', 'ok', 'replayed', false, 'order_id', o.id,
      'account_id', o.account_id, 'kind', o.kind, 'state', o.state, 'pack_id', o.pack_id,
      'plan_id', o.plan_id, 'interval', o.billing_interval, 'quantity', o.quantity,
      'credit_type', o.credit_type, 'credits', o.credits, 'currency', o.currency,
      'unit_amount', o.unit_amount, 'amount', o.unit_amount * o.quantity, 'price_id', o.price_id,
      'session_id', o.session_id, 'invoice_id', o.invoice_id, 'grant_id', o.grant_id,
      'paid_at', o.paid_at, 'created_at', o.created_at, 'note', o.note)
    from credits.billing_orders o where o.account_id = p_account_id and o.id = p_order_id);
end
$$;
comment on function credits.order_answer(uuid, uuid) is 'An order, as it is answered.';
revoke all on function credits.order_answer(uuid, uuid)
  from public, anon, authenticated, service_role;

-- edge: result=BillingOrder callers=service_role repeatable
--   What became of an order of an account: open, pending, paid, failed, expired or mismatch.
--
--   Raises:
--       InvalidArgument: the account has no such order.
--       AccountNotFound.
create function public.get_billing_order(
  p_user_id uuid, p_order_id uuid, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_answer jsonb := credits.order_answer(
    credits.paying_account(p_user_id, p_workspace_id), p_order_id);
begin
  if v_answer is null then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_order_id', 'value', p_order_id),
      'This account has no such order.');
  end if;
  return credits.respond(v_answer);
end
$$;
comment on function public.get_billing_order(uuid, uuid, uuid) is
  'What became of an order of an account: its state is open, pending, paid, failed, expired or '
  'mismatch.';
revoke all on function public.get_billing_order(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_billing_order(uuid, uuid, uuid) to service_role;

-- schemas/billing/link_billing_customer.sql

-- edge: result=BillingCustomer callers=service_role repeatable
--   Say which account a provider's customer is. Events that waited for it take effect.
--
--   An account may have several customers; the last one that was linked is used for new purchases.
--
--   Raises:
--       InvalidArgument: the customer belongs to another account, or to the other mode.
--       AccountNotFound.
create function public.link_billing_customer(
  p_user_id uuid, p_customer_id text, p_livemode boolean default false,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_is_new boolean;
begin
  perform credits.check_reference('p_customer_id', p_customer_id);
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  v_is_new := credits.link_customer(v_account_id, p_customer_id, coalesce(p_livemode, false));
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'account_id', v_account_id, 'customer_id', p_customer_id,
    'livemode', coalesce(p_livemode, false), 'replayed', not v_is_new));
end
$$;
comment on function public.link_billing_customer(uuid, text, boolean, uuid) is
  'Says which account a provider''s customer is. Events that waited for it take effect. An '
  'account may have several; the last one is used for new purchases.';
revoke all on function public.link_billing_customer(uuid, text, boolean, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.link_billing_customer(uuid, text, boolean, uuid) to service_role;

create function credits.link_customer(
  p_account_id uuid, p_customer_id text, p_livemode boolean)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_is_new boolean;
begin
  insert into credits.billing_customers (customer_id, account_id, livemode, linked_at)
  values (p_customer_id, p_account_id, p_livemode, v_now)
  on conflict (customer_id) do nothing;
  v_is_new := found;
  if not exists (
    select 1 from credits.billing_customers c
    where c.customer_id = p_customer_id and c.account_id = p_account_id
      and c.livemode = p_livemode) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_customer_id', 'value', p_customer_id),
      'This customer belongs to another account, or to the other mode.');
  end if;
  if v_is_new then
    update credits.billing_customers c set is_default = false
    where c.account_id = p_account_id and c.livemode = p_livemode
      and c.customer_id <> p_customer_id and c.is_default;
  end if;
  return v_is_new;
end
$$;
comment on function credits.link_customer(uuid, text, boolean) is
  'Maps a customer to an account. Says whether that was new; raises invalid_argument for a '
  'customer of another one.';
revoke all on function credits.link_customer(uuid, text, boolean)
  from public, anon, authenticated, service_role;

create function credits.account_of_customer(p_customer_id text)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select c.account_id from credits.billing_customers c where c.customer_id = p_customer_id);
end
$$;
comment on function credits.account_of_customer(text) is
  'The account of a provider''s customer; null while it is mapped to none.';
revoke all on function credits.account_of_customer(text)
  from public, anon, authenticated, service_role;

-- schemas/billing/list_billing_prices.sql

create type credits.billing_price_row as (
  price_id text,
  plan_id text,
  pack_id text,
  billing_interval text,
  currency text,
  unit_amount bigint,
  livemode boolean,
  is_current boolean,
  valid_from timestamptz,
  valid_to timestamptz
);
comment on type credits.billing_price_row is 'A price as it is shown.';

create function credits.billing_price_list(p_price_id text default null)
returns setof credits.billing_price_row
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select b.price_id, b.plan_id, b.pack_id, b.billing_interval, b.currency, b.unit_amount,
    b.livemode, b.valid_to is null, b.valid_from, b.valid_to
  from credits.billing_prices b
  where p_price_id is null or b.price_id = p_price_id
  order by b.plan_id, b.pack_id, b.billing_interval, b.valid_from, b.price_id;
end
$$;
comment on function credits.billing_price_list(text) is 'All prices, or one of them.';
revoke all on function credits.billing_price_list(text)
  from public, anon, authenticated, service_role;

-- edge: result=BillingCatalog callers=service_role repeatable
--   Every price that was registered, those of before included, and the packs with their credits.
create function public.list_billing_prices()
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return jsonb_build_object('success', true, 'code', 'ok',
    'prices', coalesce((
      select jsonb_agg(to_jsonb(l)) from credits.billing_price_list() l), '[]'),
    'packs', coalesce((
      select jsonb_agg(to_jsonb(k) - 'expires_after'
        || jsonb_build_object('expires_after', k.expires_after::text) order by k.rank, k.id)
      from public.credit_packs k), '[]'));
end
$$;
comment on function public.list_billing_prices() is
  'Every price that was registered, those of before included, and the packs with their credits.';
revoke all on function public.list_billing_prices() from public, anon, authenticated, service_role;
grant execute on function public.list_billing_prices() to service_role;

create function credits.plan_prices(p_plan_id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Where prices of both modes are registered, those that take real money are the ones on sale.
  return (
    select coalesce(jsonb_agg(jsonb_build_object('interval', r.billing_interval,
      'currency', r.currency, 'unit_amount', r.unit_amount, 'price_id', r.price_id)
      order by r.billing_interval, r.currency), '[]')
    from (
      select distinct on (a.billing_interval, a.currency) a.billing_interval, a.currency,
        a.unit_amount, a.price_id
      from (
        select b.billing_interval, b.currency, coalesce(b.unit_amount,
            case when b.billing_interval = 'month' then p.price_cents end) as unit_amount,
          b.price_id, b.livemode::integer as preference
        from credits.billing_prices b join public.plans p on p.id = b.plan_id
        where b.plan_id = p_plan_id and b.valid_to is null
        union all
        select 'month', p.currency, p.price_cents, null, -1
        from public.plans p where p.id = p_plan_id and p.price_cents > 0) a
      order by a.billing_interval, a.currency, a.preference desc) r);
end
$$;
comment on function credits.plan_prices(text) is
  'What a plan costs by the month and by the year, for a pricing page.';
revoke all on function credits.plan_prices(text) from public, anon, authenticated, service_role;

-- schemas/billing/register_billing_price.sql

-- edge: result=BillingPrice callers=service_role repeatable
--   Say what a provider's price buys: a plan by the month or the year, or a pack.
--
--   ``unit_amount`` is in the smallest unit of ``currency``, tax excluded. The price that was sold
--   before stays known, for those who subscribed at it. A price is never changed: another one takes
--   its place.
--
--   Raises:
--       InvalidArgument: no such plan or pack, or the price is known as another one.
create function public.register_billing_price(
  p_price_id text, p_plan_id text default null, p_pack_id text default null,
  p_interval text default 'month', p_currency text default 'usd',
  p_unit_amount bigint default null, p_livemode boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_price credits.billing_prices;
  v_is_known boolean;
begin
  v_price.price_id := credits.check_reference('p_price_id', p_price_id);
  v_price.plan_id := p_plan_id;
  v_price.pack_id := p_pack_id;
  v_price.billing_interval := case when p_plan_id is not null then p_interval end;
  v_price.currency := lower(p_currency);
  v_price.unit_amount := p_unit_amount;
  v_price.livemode := coalesce(p_livemode, false);
  perform credits.check_price(v_price);
  v_is_known := credits.is_registered(v_price);
  if not v_is_known then
    perform credits.add_price(v_price);
  end if;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'replayed', v_is_known)
    || (select to_jsonb(l) from credits.billing_price_list(p_price_id) l));
end
$$;
comment on function public.register_billing_price(text, text, text, text, text, bigint, boolean) is
  'Says what a provider''s price buys: a plan by p_interval (month or year), or a pack. The '
  'price that was sold before stays known, for those who subscribed at it. A price is never '
  'changed.';
revoke all on function public.register_billing_price(
  text, text, text, text, text, bigint, boolean) from public, anon, authenticated, service_role;
grant execute on function public.register_billing_price(
  text, text, text, text, text, bigint, boolean) to service_role;

create function credits.check_reference(p_argument text, p_value text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_value is null or p_value = '' or length(p_value) > 255 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', p_argument, 'value', left(p_value, 300)),
      'It is an id of the payment provider: 1 to 255 characters.');
  end if;
  return p_value;
end
$$;
comment on function credits.check_reference(text, text) is
  'An id of a payment provider. Raises invalid_argument for what cannot be one.';
revoke all on function credits.check_reference(text, text)
  from public, anon, authenticated, service_role;

create function credits.check_price(p_price credits.billing_prices)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text;
  v_hint text;
begin
  if (p_price.plan_id is null) = (p_price.pack_id is null) then
    v_argument := case when p_price.plan_id is null then 'p_plan_id' else 'p_pack_id' end;
    v_hint := 'A price buys either a plan or a pack.';
  elsif p_price.plan_id is not null
        and not exists (select 1 from public.plans p where p.id = p_price.plan_id) then
    perform credits.refuse_plan(p_price.plan_id);
  elsif p_price.pack_id is not null
        and not exists (select 1 from public.credit_packs k where k.id = p_price.pack_id) then
    perform credits.refuse_pack(p_price.pack_id);
  elsif p_price.plan_id is not null
        and coalesce(p_price.billing_interval, '') not in ('month', 'year') then
    v_argument := 'p_interval';
    v_hint := 'A plan is paid by the month or by the year.';
  elsif not coalesce(p_price.currency ~ '^[a-z]{3}$', false) then
    v_argument := 'p_currency';
    v_hint := 'A currency is its ISO 4217 code, such as usd.';
  elsif p_price.unit_amount not between 0 and 9007199254740992 then
    v_argument := 'p_unit_amount';
    v_hint := 'A price is a whole number in the smallest unit of its currency, from 0.';
  end if;
  if v_argument is not null then
    perform credits.raise_error(
      'invalid_argument', jsonb_build_object('argument', v_argument), v_hint);
  end if;
end
$$;
comment on function credits.check_price(credits.billing_prices) is
  'Raises invalid_argument for what no price can be.';
revoke all on function credits.check_price(credits.billing_prices)
  from public, anon, authenticated, service_role;

create function credits.refuse_pack(p_pack_id text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  perform credits.raise_error('invalid_argument', jsonb_build_object(
    'argument', 'p_pack_id', 'value', p_pack_id, 'known', (
      select jsonb_agg(k.id order by k.rank, k.id) from public.credit_packs k)),
    'There is no such pack; credit_packs has them.');
end
$$;
comment on function credits.refuse_pack(text) is
  'Raises invalid_argument with the packs there are.';
revoke all on function credits.refuse_pack(text) from public, anon, authenticated, service_role;

create function credits.is_registered(p_price credits.billing_prices)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_known credits.billing_prices;
begin
  select * into v_known from credits.billing_prices b where b.price_id = p_price.price_id;
  if not found then
    return false;
  end if;
  if (v_known.plan_id, v_known.pack_id, v_known.billing_interval, v_known.currency,
      v_known.livemode, coalesce(p_price.unit_amount, v_known.unit_amount))
     is distinct from (p_price.plan_id, p_price.pack_id, p_price.billing_interval,
      p_price.currency, p_price.livemode, v_known.unit_amount) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_price_id', 'value', p_price.price_id),
      'This price is registered as another one. A price never changes: make a new one.');
  end if;
  return true;
end
$$;
comment on function credits.is_registered(credits.billing_prices) is
  'Whether a price is known as what it is said to be. Raises invalid_argument if as something '
  'else.';
revoke all on function credits.is_registered(credits.billing_prices)
  from public, anon, authenticated, service_role;

create function credits.add_price(p_price credits.billing_prices)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  update credits.billing_prices b set valid_to = greatest(v_now, b.valid_from)
  where b.valid_to is null and b.livemode = p_price.livemode and b.currency = p_price.currency
    and b.plan_id is not distinct from p_price.plan_id
    and b.pack_id is not distinct from p_price.pack_id
    and b.billing_interval is not distinct from p_price.billing_interval;
  insert into credits.billing_prices (price_id, livemode, plan_id, pack_id, billing_interval,
    currency, unit_amount, valid_from)
  values (p_price.price_id, p_price.livemode, p_price.plan_id, p_price.pack_id,
    p_price.billing_interval, p_price.currency, p_price.unit_amount, v_now);
end
$$;
comment on function credits.add_price(credits.billing_prices) is
  'Registers a price, and ends the one that it follows.';
revoke all on function credits.add_price(credits.billing_prices)
  from public, anon, authenticated, service_role;

-- schemas/billing/set_auto_top_up.sql

-- edge: result=AutoTopUp callers=service_role repeatable
--   Buy packs automatically when an account has fewer than ``threshold`` credits of a type left.
--
--   As many whole packs as lift it to the threshold, ``monthly_cap`` packs a month at most. It
--   rests while the plan is past due, and after a decline until the card changes or a day is over.
--
--   Raises:
--       InvalidArgument: no such pack of this type, or a threshold or cap that cannot be.
--       UnknownCreditType, AccountNotFound.
create function public.set_auto_top_up(
  p_user_id uuid, p_credit_type text, p_threshold bigint, p_pack_id text, p_monthly_cap integer,
  p_enabled boolean default true, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(
    p_user_id, p_workspace_id, coalesce(p_credit_type, ''));
  v_argument text;
begin
  if not exists (
    select 1 from public.credit_packs k
    where k.id = p_pack_id and k.credit_type = p_credit_type) then
    perform credits.refuse_pack(p_pack_id);
  end if;
  v_argument := case
    when p_threshold is null or p_threshold not between 1 and 9007199254740992 then 'p_threshold'
    when p_monthly_cap is null or p_monthly_cap not between 1 and 1000000 then 'p_monthly_cap'
    when p_enabled is null then 'p_enabled' end;
  if v_argument is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', v_argument),
      'The threshold is credits, the cap packs a month, each from 1; enabled is true or false.');
  end if;
  perform credits.keep_auto_top_up(v_account_id, row(v_account_id, p_credit_type, p_user_id,
    p_threshold, p_pack_id, p_monthly_cap, p_enabled, 'ready', null, null,
    null)::credits.auto_top_ups);
  return credits.respond(credits.auto_top_up_answer(v_account_id, p_credit_type));
end
$$;
comment on function public.set_auto_top_up(uuid, text, bigint, text, integer, boolean, uuid) is
  'Buys packs automatically when an account has fewer than p_threshold credits of a type left: '
  'as many whole packs as lift it to the threshold, p_monthly_cap packs a month at most.';
revoke all on function public.set_auto_top_up(uuid, text, bigint, text, integer, boolean, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.set_auto_top_up(uuid, text, bigint, text, integer, boolean, uuid)
  to service_role;

create function credits.keep_auto_top_up(p_account_id uuid, p_auto credits.auto_top_ups)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform 1 from credits.lock_balance(p_account_id, p_auto.credit_type);
  -- A purchase that is on its way goes on. To switch it on again by hand ends a stop.
  insert into credits.auto_top_ups as a (
    account_id, credit_type, user_id, threshold, pack_id, monthly_cap, is_enabled)
  values (p_account_id, p_auto.credit_type, p_auto.user_id, p_auto.threshold, p_auto.pack_id,
    p_auto.monthly_cap, p_auto.is_enabled)
  on conflict (account_id, credit_type) do update set
    user_id = excluded.user_id, threshold = excluded.threshold, pack_id = excluded.pack_id,
    monthly_cap = excluded.monthly_cap, is_enabled = excluded.is_enabled, note = null,
    state = case when a.state = 'in_flight' then a.state else 'ready' end, stopped_at = null;
  update credits.balances b set
    top_up_below = case when p_auto.is_enabled then p_auto.threshold end
  where b.account_id = p_account_id and b.credit_type = p_auto.credit_type;
end
$$;
comment on function credits.keep_auto_top_up(uuid, credits.auto_top_ups) is
  'Writes the settings of an automatic top-up, and looks at once whether it is due.';
revoke all on function credits.keep_auto_top_up(uuid, credits.auto_top_ups)
  from public, anon, authenticated, service_role;

create function credits.auto_top_up_answer(p_account_id uuid, p_credit_type text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('success', true, 'code', 'ok', 'account_id', a.account_id,
      'credit_type', a.credit_type, 'threshold', a.threshold, 'pack_id', a.pack_id,
      'monthly_cap', a.monthly_cap, 'enabled', a.is_enabled, 'state', a.state,
      'order_id', case when a.state = 'in_flight' then a.order_id end,
      'stopped_at', a.stopped_at, 'note', a.note)
    from credits.auto_top_ups a
    where a.account_id = p_account_id and a.credit_type = p_credit_type);
end
$$;
comment on function credits.auto_top_up_answer(uuid, text) is
  'The settings of an automatic top-up, and how it stands.';
revoke all on function credits.auto_top_up_answer(uuid, text)
  from public, anon, authenticated, service_role;

-- schemas/certainty/explain_balance.sql

create function credits.read_balance_story(
  p_account_id uuid, p_credit_type text, p_since timestamptz, p_until timestamptz, p_now timestamptz,
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
      case when p_only_actor is null or t.user_id = p_only_actor or t.user_id is null then t.description end as description, t.user_id, t.created_at, g.source
    from public.credit_transactions t
    left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
    where t.account_id = p_account_id and t.credit_type = p_credit_type and t.created_at >= p_since and t.created_at < p_until
  ), attempts as (
    select u.status, count(*) as times from public.usage u
    where u.account_id = p_account_id and u.credit_type = p_credit_type and u.created_at >= p_since and u.created_at < p_until
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
    'grants', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.amount desc, x.source, x.description), '[]') from (
        select n.source, n.description, sum(n.amount) as amount, count(*) as times, min(n.created_at) as first_at, max(n.created_at) as last_at
        from entries n where n.kind = 'grant' group by n.source, n.description
        order by sum(n.amount) desc, n.source, n.description limit 20) x),
    'spends', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.amount desc, x.description), '[]') from (
        select n.description, -sum(n.amount) as amount, count(distinct n.operation_id) as times, min(n.created_at) as first_at, max(n.created_at) as last_at
        from entries n where n.kind in ('consume', 'capture') group by n.description order by sum(n.amount), n.description limit 20) x),
    'losses', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.amount desc, x.last_at, x.kind, x.source), '[]') from (
        select n.kind, n.source, n.description, -sum(n.amount) as amount, count(*) as times, min(n.created_at) as first_at, max(n.created_at) as last_at
        from entries n where n.kind in ('expire', 'void') group by n.kind, n.source, n.description
        order by sum(n.amount), n.description limit 20) x),
    'largest', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.amount desc, x.created_at), '[]') from (
        select n.operation_id, min(n.description) as description, -sum(n.amount) as amount, min(n.created_at) as created_at,
          (array_agg(n.user_id))[1] as user_id
        from entries n
        where n.kind in ('consume', 'capture') and (p_only_actor is null or n.user_id = p_only_actor)
        group by n.operation_id order by sum(n.amount), min(n.created_at) limit 5) x),
    'holds', (
      select coalesce(jsonb_agg(jsonb_build_object('reservation_id', r.id, 'amount', r.amount + r.extra - r.captured,
        'description', r.description,
        'created_at', r.created_at, 'expires_at', r.expires_at) order by r.expires_at), '[]')
      from public.credit_reservations r
      where r.account_id = p_account_id and r.credit_type = p_credit_type and r.status = 'open' and r.expires_at > p_now
        and (p_only_actor is null or r.user_id = p_only_actor)),
    'frozen', (
      select coalesce(sum(g.remaining), 0) from public.credit_grants g
      where g.account_id = p_account_id and g.credit_type = p_credit_type and g.is_open and g.frozen_at is not null))
  from entries e
$$;
comment on function credits.read_balance_story(uuid, text, timestamptz, timestamptz, timestamptz, uuid) is
  'What came into a balance and went out of it between two instants, with the 20 largest reasons of each kind; opening + granted + refunded - spent + spent_unlimited - expired - voided = closing, where spent_unlimited is what of it was of no grant.';
revoke all on function credits.read_balance_story(uuid, text, timestamptz, timestamptz, timestamptz, uuid)
  from public, anon, authenticated, service_role;

-- edge: result=BalanceStory callers=service_role repeatable
--   Where the credits of one type went, from the start of the period until now unless said
--   otherwise (UTC).
--
--   Raises:
--       InvalidArgument: ``until`` is not after ``since``.
--       AccountNotFound, UnknownCreditType.
create function public.explain_balance(
  p_user_id uuid, p_credit_type text, p_since timestamptz default null, p_until timestamptz default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, ''));
  -- What has fallen due is booked first, so that the ledger tells of it.
  v_balance credits.balances := credits.lock_balance(v_account_id, p_credit_type);
  v_since timestamptz := coalesce(p_since, v_balance.period_start, '-infinity');
  v_until timestamptz := coalesce(p_until, 'infinity');
begin
  if v_since >= v_until then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_until', 'since', v_since, 'until', v_until),
      'The end of the time looked at comes after its start.');
  end if;
  return jsonb_build_object(
    'success', true, 'code', 'ok', 'account_id', v_account_id, 'credit_type', p_credit_type,
    'since', nullif(v_since, '-infinity'), 'until', nullif(v_until, 'infinity'), 'now', v_balance.settled_at,
    'period_end', v_balance.period_end, 'unlimited', v_balance.allowance is null, 'allowance', v_balance.allowance,
    'balance', v_balance.balance, 'reserved', v_balance.reserved + v_balance.reserved_unlimited,
    'available', v_balance.balance - v_balance.withheld - v_balance.reserved)
    || credits.read_balance_story(v_account_id, p_credit_type, v_since, v_until, v_balance.settled_at,
      credits.only_actor(v_account_id, p_user_id));
end
$$;
comment on function public.explain_balance(uuid, text, timestamptz, timestamptz, uuid) is
  'Where the credits of one type went from p_since (null: the start of the period) to p_until (null: now): opening + granted + refunded - spent + spent_unlimited - expired - voided = closing, with what they were granted and spent for, holds, and how often it was denied.';
revoke all on function public.explain_balance(uuid, text, timestamptz, timestamptz, uuid) from public, anon, authenticated, service_role;
grant execute on function public.explain_balance(uuid, text, timestamptz, timestamptz, uuid) to service_role;

-- schemas/certainty/explain_operation.sql

create function credits.read_operation(p_user_id uuid, p_operation_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.reading_user(p_user_id);
  v_account_id uuid := credits.paying_account(v_user_id, p_workspace_id);
  v_only_actor uuid := credits.only_actor(v_account_id, v_user_id);
  v_answer jsonb;
begin
  select jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', p_operation_id, 'account_id', v_account_id,
    'user_id', o.user_id, 'kind', o.kind, 'credit_type', o.credit_type, 'amount', o.amount,
    'price', jsonb_build_object('credit_type', o.credit_type, 'credits', o.amount)
      || coalesce(credits.price_of_operation(v_account_id, p_operation_id), '{}'),
    'status', o.status,
    'description', o.description, 'metadata', o.metadata, 'created_at', o.created_at,
    -- What a denial asked for and what there was, when it was denied.
    'required', case when o.kind = 'denial' then o.metadata -> 'required' end,
    'available', case when o.kind = 'denial' then o.metadata -> 'available' end,
    'entries', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'version', t.version, 'credit_type', t.credit_type, 'kind', t.kind, 'grant_id', t.grant_id,
        'source', g.source, 'priority', g.priority,
        'expires_at', g.expires_at, 'amount', t.amount,
        'balance_before', t.balance_after - t.amount,
        'balance_after', t.balance_after, 'created_at', t.created_at) order by t.credit_type,
          t.version), '[]')
      from public.credit_transactions t
      left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
      where t.account_id = v_account_id and t.operation_id = p_operation_id),
    -- What it belongs to: a refund to the spend that it gives back.
    'related_operation_id', (
      select t.related_operation_id from public.credit_transactions t
      where t.account_id = v_account_id and t.operation_id = p_operation_id
        and t.related_operation_id is not null
      order by t.credit_type, t.version limit 1),
    'refunded', (
      select coalesce(sum(t.amount), 0) from public.credit_transactions t
      where t.account_id = v_account_id and t.related_operation_id = p_operation_id
        and t.kind = 'refund'),
    'refunds', (
      select coalesce(jsonb_agg(jsonb_build_object('operation_id', f.operation_id,
        'amount', f.amount, 'created_at', f.created_at)
        order by f.created_at), '[]')
      from (select t.operation_id, sum(t.amount) as amount, min(t.created_at) as created_at
        from public.credit_transactions t
        where t.account_id = v_account_id and t.related_operation_id = p_operation_id
          and t.kind = 'refund'
        group by t.operation_id) f),
    'related', (
      select coalesce(jsonb_agg(jsonb_build_object('operation_id', t.operation_id, 'kind', t.kind,
        'amount', t.amount,
        'grant_id', t.grant_id, 'description', t.description) order by t.credit_type, t.version),
          '[]')
      from public.credit_transactions t
      where t.account_id = v_account_id and t.related_operation_id = p_operation_id
        and t.kind <> 'refund'),
    'reservation', (
      select jsonb_build_object('reservation_id', r.id,
        'status', case when r.status = 'open' and r.expires_at <= n.at then 'expired'
          else r.status end,
        'amount', r.amount, 'captured', r.captured, 'released', r.released,
        'shortfall', r.shortfall,
        'expires_at', r.expires_at, 'reason', r.close_reason)
      from public.credit_reservations r
      where r.account_id = v_account_id and r.operation_id = p_operation_id))
    into v_answer
  from (
    -- The operation is known by its ledger rows, else by its hold, else by the attempt that was
    -- denied, else by its key.
    select min(t.user_id::text)::uuid as user_id, min(t.kind)::text as kind,
      min(t.credit_type) as credit_type,
      abs(sum(t.amount)) as amount, 'booked' as status, min(t.description) as description,
      (array_agg(t.metadata order by t.credit_type, t.version))[1] as metadata,
      min(t.created_at) as created_at, 1 as rank
    from public.credit_transactions t
    where t.account_id = v_account_id and t.operation_id = p_operation_id
      -- Credits of two types are no sum. What moved of the others is in the entries.
      and t.credit_type = (
        select min(f.credit_type) from public.credit_transactions f
        where f.account_id = v_account_id and f.operation_id = p_operation_id)
    having count(*) > 0
    union all
    select r.user_id, 'reserve', r.credit_type, r.amount, r.status, r.description, r.metadata,
      r.created_at, 2
    from public.credit_reservations r
    where r.account_id = v_account_id and r.operation_id = p_operation_id
    union all
    select u.user_id, case u.status when 'allowed' then 'consume' else 'denial' end, u.credit_type, 0,
      case u.status when 'allowed' then 'booked' else u.status end, u.description, u.metadata,
      u.created_at, 3
    from public.usage u
    where u.account_id = v_account_id and u.operation_id = p_operation_id
    union all
    select f.user_id, 'refund', f.credit_type, 0, 'booked', null, '{}', f.created_at, 3
    from credits.priced_refunds f
    where f.account_id = v_account_id and f.refund_id = p_operation_id
    union all
    -- A change of the plan moves no credits of its own.
    select (k.request ->> 'user_id')::uuid, k.request ->> 'function', null, 0, 'booked',
      concat_ws(', ', k.request ->> 'plan_id', k.request ->> 'effective'), '{}', k.created_at, 4
    from credits.idempotency_keys k
    where k.account_id = v_account_id and k.operation_id = p_operation_id
    order by rank limit 1
  ) o
  left join lateral (
    select greatest(coalesce(b.test_now, statement_timestamp()), b.settled_at) as at
    from credits.balances b where b.account_id = v_account_id
      and b.credit_type = o.credit_type) n on true;
  if v_answer is null
     or (v_only_actor is not null
       and v_answer ->> 'user_id' is distinct from v_only_actor::text) then
    perform credits.raise_error('operation_not_found', jsonb_build_object('operation_id',
      p_operation_id));
  end if;
  return v_answer;
end
$$;
comment on function credits.read_operation(uuid, uuid, uuid) is
  'What explain_operation answers, after asking whether the caller may read it.';
revoke all on function credits.read_operation(uuid, uuid, uuid) from public, anon, authenticated,
  service_role;
grant execute on function credits.read_operation(uuid, uuid, uuid) to authenticated, service_role;

create function credits.price_of_operation(p_account_id uuid, p_operation_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_price jsonb;
begin
  -- All of it in credits, as a person adds it up: cost is what was taken plus what was paid before, less what stays paid.
  select jsonb_build_object('book', o.book, 'operation', o.operation, 'quantities', o.quantities,
    'lines', o.lines, 'price_version', o.price_version,
    'cost', credits.credits_text(o.cost_nano), 'unpaid', credits.credits_text(o.unpaid_nano),
    'whole', o.whole, 'remainder_before', credits.credits_text(o.prepaid_before),
    'remainder', credits.credits_text(o.prepaid_after),
    'refunded', credits.credits_text((
      select coalesce(sum(f.cost_nano), 0) from credits.priced_refunds f
      where f.account_id = p_account_id and f.operation_id = p_operation_id)))
    into v_price
  from credits.priced_operations o
  where o.account_id = p_account_id and o.operation_id = p_operation_id;
  if found then
    return v_price;
  end if;
  select jsonb_build_object('refunds_operation_id', f.operation_id,
    'cost', credits.credits_text(f.cost_nano), 'whole', f.whole,
    'remainder_before', credits.credits_text(f.prepaid_before),
    'remainder', credits.credits_text(f.prepaid_after))
    into v_price
  from credits.priced_refunds f
  where f.account_id = p_account_id and f.refund_id = p_operation_id;
  return v_price;
end
$$;
comment on function credits.price_of_operation(uuid, uuid) is
  'The receipt of a priced operation or of a refund of one: quantities, prices, cost, and the '
  'remainder before and after. Null for others.';
revoke all on function credits.price_of_operation(uuid, uuid)
  from public, anon, authenticated, service_role;

-- edge: result=Operation callers=authenticated,service_role repeatable required=operation_id
--   Which grants an operation touched, its price, the balance before and after.
--
--   Raises:
--       OperationNotFound: the account has no such operation.
--       AccountNotFound.
create function public.explain_operation(
  p_user_id uuid default null, p_operation_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.read_operation(p_user_id, p_operation_id, p_workspace_id);
comment on function public.explain_operation(uuid, uuid, uuid) is
  'What an operation did: each grant it touched, with its source and priority, the balance before '
  'and after, its refunds and its hold; of a denial what it required and what was available. A '
  'signed-in user may leave p_user_id out. Raises operation_not_found.';
revoke all on function public.explain_operation(uuid, uuid, uuid) from public, anon, authenticated,
  service_role;
grant execute on function public.explain_operation(uuid, uuid, uuid) to authenticated, service_role;

-- schemas/certainty/find_operation.sql

-- edge: result=FoundOperation callers=service_role repeatable slow
--   Whose operation it is, out of all accounts. For support: it reads the whole ledger.
--
--   Raises:
--       OperationNotFound: no account has such an operation.
create function public.find_operation(p_operation_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_found record;
begin
  select o.account_id, o.user_id into v_found
  from (
    (select t.account_id, t.user_id from public.credit_transactions t
      where t.operation_id = p_operation_id limit 1)
    union all
    (select r.account_id, r.user_id from public.credit_reservations r
      where r.operation_id = p_operation_id limit 1)
    union all
    (select u.account_id, u.user_id from public.usage u where u.operation_id = p_operation_id
      and u.account_id is not null limit 1)
    union all
    (select k.account_id, (k.request ->> 'user_id')::uuid from credits.idempotency_keys k
      where k.operation_id = p_operation_id limit 1)
  ) o
  limit 1;
  if v_found is null then
    perform credits.raise_error('operation_not_found', jsonb_build_object('operation_id',
      p_operation_id),
      'There is no such operation on any account.');
  end if;
  return (
    select jsonb_build_object('success', true, 'code', 'ok', 'operation_id', p_operation_id,
      'account_id', v_found.account_id, 'user_id', case a.kind when 'person' then a.account_id
        else v_found.user_id end,
      'workspace_id', case a.kind when 'workspace' then a.account_id end)
    from credits.accounts a where a.account_id = v_found.account_id);
end
$$;
comment on function public.find_operation(uuid) is
  'Whose operation this is: user_id and workspace_id for explain_operation. It looks through all '
  'accounts, for support only. Raises operation_not_found.';
revoke all on function public.find_operation(uuid) from public, anon, authenticated, service_role;
grant execute on function public.find_operation(uuid) to service_role;

-- schemas/certainty/ledger_digest.sql

create function credits.digest_ledger(p_account_id uuid, p_after jsonb, p_ends jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- A stretch never changes once it is full, so a history of millions of rows is read in parts, and
  -- so is what it is compared with.
  v_stretch constant integer := 10000;
  v_rows constant integer := 50000;
  v_entries constant integer := 5000;
  v_after_account_id uuid := coalesce((p_after ->> 'account_id')::uuid,
    '00000000-0000-0000-0000-000000000000');
  v_after_credit_type text := coalesce(p_after ->> 'credit_type', '');
  v_after_version bigint := coalesce((p_after ->> 'version')::bigint, 0);
  v_answer jsonb;
begin
  with stretches as (
    (select row_number() over (order by b.account_id, b.credit_type, s.first) as nth, b.account_id,
      b.credit_type, s.first,
      least(s.first + v_stretch - 1, b.version) as last
    from credits.balances b cross join lateral generate_series(1, b.version, v_stretch) as s(first)
    where p_ends is null and (p_account_id is null or b.account_id = p_account_id)
      and (b.account_id, b.credit_type) >= (v_after_account_id, v_after_credit_type)
      and ((b.account_id, b.credit_type) > (v_after_account_id, v_after_credit_type)
        or s.first > v_after_version)
    order by b.account_id, b.credit_type, s.first
    limit v_entries)
    union all
    select e.nth, (e.value ->> 'account_id')::uuid, e.value ->> 'credit_type',
      ((e.value ->> 'version')::bigint - 1) / v_stretch * v_stretch + 1,
      (e.value ->> 'version')::bigint
    from jsonb_array_elements(p_ends) with ordinality e(value, nth)
  ), page as (
    select s.*, sum(s.last - s.first + 1) over (order by s.nth)
      - (s.last - s.first + 1) as rows_before from stretches s
  ), digests as (
    select p.nth, p.account_id, p.credit_type, p.last as version, d.rows, d.sha256
    from page p
    cross join lateral (
      -- The binary form of a record says for each value its type, its length, and whether it is
      -- null: nothing runs together.
      select count(*) as rows, encode(sha256(coalesce(string_agg(pg_catalog.record_send(row(
        t.version, t.operation_id, t.grant_id, t.user_id, t.kind::text, t.amount, t.balance_after,
        t.related_operation_id,
        t.created_at)), '' order by t.version), '')), 'hex') as sha256
      from public.credit_transactions t
      where t.account_id = p.account_id and t.credit_type = p.credit_type
        and t.version between p.first and p.last) d
    where p.rows_before < v_rows
  )
  select jsonb_build_object(
    'entries', coalesce(jsonb_agg(jsonb_build_object('account_id', d.account_id,
      'credit_type', d.credit_type,
      'version', d.version, 'rows', d.rows, 'sha256', d.sha256) order by d.nth), '[]'),
    'is_last', count(*) < v_entries and count(*) = (select count(*) from stretches)) into v_answer
  from digests d;
  return v_answer;
end
$$;
comment on function credits.digest_ledger(uuid, jsonb, jsonb) is
  'One page of digests: of at most 5000 stretches of the ledger, and about 50000 rows.';
revoke all on function credits.digest_ledger(uuid, jsonb, jsonb) from public, anon, authenticated,
  service_role;

-- edge: result=LedgerDigest callers=service_role repeatable reads=after:ledger_end,ends:ledger_ends slow
--   Digests of the ledger, of one account or of all: history whose digest is the same was not
--   changed.
--
--   One page; ask again with its last entry as ``after`` until ``is_last``. With ``ends`` (at most
--   5,000), the digests up to these versions instead, in their order, as many as fit into a page.
--
--   Raises:
--       InvalidArgument: too many ``ends``, or a version below 1.
create function public.ledger_digest(
  p_user_id uuid default null, p_after jsonb default null, p_ends jsonb default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_wrong jsonb;
begin
  -- They come as JSON, so that PostgREST hands them on, and are looked at here, so that a slip is
  -- told in words.
  if jsonb_typeof(p_ends) <> 'array' or jsonb_array_length(p_ends) > 5000 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_ends"}',
      'Pass an array of at most 5000 ends.');
  end if;
  select e.value into v_wrong
  from (select p_after where p_after is not null union all select n.value
    from jsonb_array_elements(p_ends) n) as e(value)
  where not coalesce(e.value ->> 'account_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    and e.value ->> 'credit_type' <> ''
    and jsonb_typeof(e.value -> 'version') = 'number'
      and e.value ->> 'version' ~ '^[1-9][0-9]{0,15}$', false)
  limit 1;
  if found then
    perform credits.raise_error('invalid_argument', jsonb_build_object(
      'argument', case when v_wrong = p_after then 'p_after' else 'p_ends' end, 'value', v_wrong),
      'An end has an account_id (uuid), a credit_type and a version (a whole number from 1 on).');
  end if;
  return credits.digest_ledger(coalesce(p_workspace_id, p_user_id), p_after, p_ends);
end
$$;
comment on function public.ledger_digest(uuid, jsonb, jsonb, uuid) is
  'A SHA-256 over each stretch of 10000 versions of the ledger, per account and credit type, '
  'without what may be forgotten (description, metadata): what is the same later was not changed. '
  'Answers entries with account_id, credit_type, version (the last one covered), rows and sha256, '
  'page by page: repeat with p_after, the last entry, until is_last. With p_ends, entries of '
  'account_id, credit_type and version, it answers the digests up to these versions instead, as '
  'many as fit into a page.';
revoke all on function public.ledger_digest(uuid, jsonb, jsonb, uuid) from public, anon,
  authenticated, service_role;
grant execute on function public.ledger_digest(uuid, jsonb, jsonb, uuid) to service_role;

-- schemas/certainty/verify_accounts.sql

create function credits.verify_accounts(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with broken as materialized (
    -- Free credits are held by an account of that person.
    select h.account_id, 'holds the free credits of an identity that it has never had' as problem
    from credits.identity_holders h
    where (p_account_id is null or h.account_id = p_account_id) and not exists (
      select 1 from credits.account_identities i where i.account_id = h.account_id and i.identity = h.identity)
    union all
    select i.account_id, 'has free credits of an identity that no account holds'
    from credits.account_identities i
    join credits.accounts a on a.account_id = i.account_id and a.status <> 'closed' and a.free_credits = 'own'
    where (p_account_id is null or i.account_id = p_account_id)
      and not exists (select 1 from credits.identity_holders h where h.identity = i.identity)
    union all
    select r.account_id, 'is closed and holds credits'
    from public.credit_reservations r
    join credits.accounts a on a.account_id = r.account_id and a.closed_at < r.expires_at
    where r.status = 'open' and (p_account_id is null or r.account_id = p_account_id)
      and not exists (select 1 from credits.forgotten_accounts f where f.account_id = r.account_id)
  )
  select (select count(*) from credits.accounts a where p_account_id is null or a.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.problem from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_accounts(uuid) is
  'Rule 5: the free credits of a person are held by an account of that person, and an account that was closed holds nothing.';
revoke all on function credits.verify_accounts(uuid) from public, anon, authenticated, service_role;

-- schemas/certainty/verify_allowances.sql

create function credits.verify_allowances(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with grants as (
    select g.account_id, g.credit_type, g.id, g.period_start, g.expires_at, g.amount, g.voided_at, b.granted, b.period_end,
      b.test_now is not null as is_test,
      g.voided_at is null and b.period_start = g.period_start as is_running,
      -- One at a time. News of a period that began before what is booked ends that at the moment of the news, which may be
      -- the moment that it was booked at.
      g.voided_at is null and g.expires_at > g.created_at as has_lived,
      greatest(g.period_start, g.created_at) + interval '1 hour' as other_ended_by,
      lag(g.expires_at) over (
        partition by g.account_id, g.credit_type, g.voided_at is null and g.expires_at > g.created_at
        order by g.created_at, g.period_start, g.id) as before_ended
    from public.credit_grants g
    join credits.balances b on b.account_id = g.account_id and b.credit_type = g.credit_type
    where g.period_start is not null and b.kind = 'credit' and (p_account_id is null or g.account_id = p_account_id)
  ), figures as (
    select l.plan_id, l.credit_type, l.version, l.allowance, v.made_at
    from credits.plan_version_limits l
    join credits.plan_versions v on v.plan_id = l.plan_id and v.version = l.version
  ), bounds as (
    -- The largest allowance of the plans that the account was on, by all that was ever known of it, in a version that there
    -- was by then. The versions are dated by the real clock, a test account by its own.
    select g.account_id, g.id, coalesce(max(f.allowance * s.quantity), 0) as largest
    from grants g
    join credits.subscription_spells s on s.account_id = g.account_id
      and (s.started_at < g.expires_at or s.started_at = g.period_start
        -- News of another period cut it short at the instant of an upgrade, on a clock that stood still.
        or s.started_at = g.expires_at and g.is_test and exists (
          select 1 from grants o
          where o.account_id = g.account_id and o.credit_type = g.credit_type
            and o.period_start < g.expires_at and o.expires_at > g.expires_at)
        -- One that began and ended at the instant that cut the period short.
        or s.started_at = g.expires_at and exists (
          select 1 from credits.subscription_spells n
          where n.account_id = s.account_id and n.n = s.n + 1 and n.started_at = s.started_at))
      and not exists (
        select 1 from credits.subscription_spells n
        where n.account_id = s.account_id and n.n = s.n + 1 and n.revision = s.revision and n.started_at < g.period_start)
    join figures f on f.plan_id = s.plan_id and f.credit_type = g.credit_type
      and (g.is_test or f.version = 1 or f.made_at < g.expires_at)
    group by g.account_id, g.id
  ), voided as (
    select t.account_id, t.grant_id, -sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind = 'void' and (t.account_id, t.grant_id) in (
      select g.account_id, g.id from grants g
      left join bounds o on o.account_id = g.account_id and o.id = g.id
      where g.amount > coalesce(o.largest, 0) or g.is_running and g.amount > g.granted)
    group by t.account_id, t.grant_id
  ), broken as materialized (
    select g.account_id, g.credit_type, g.period_start from grants g
    left join bounds o on o.account_id = g.account_id and o.id = g.id
    left join voided v on v.account_id = g.account_id and v.grant_id = g.id
    where g.amount - coalesce(v.amount, 0) > coalesce(o.largest, 0)
      or g.is_running and (g.amount - coalesce(v.amount, 0) > g.granted or g.expires_at <> g.period_end)
      or g.has_lived and g.before_ended > g.other_ended_by
    union all
    select b.account_id, b.credit_type, b.period_start from credits.balances b
    left join credits.subscription_spells s on s.account_id = b.account_id and s.n = 1 and s.replaced_at is null
      and not exists (
        select 1 from credits.subscription_spells n where n.account_id = s.account_id and n.n = 2 and n.replaced_at is null)
    left join credits.plan_version_limits l on l.plan_id = b.plan_id and l.version = b.plan_version
      and l.credit_type = b.credit_type
    where (p_account_id is null or b.account_id = p_account_id) and b.due_at > b.settled_at
      -- Most accounts have one spell, and what it gives. The others are asked what is due, which is nothing.
      and case when coalesce(b.plan_id = s.plan_id and s.is_earning and b.allowance = l.allowance and b.granted = l.allowance
        and b.restarted_at is null and b.period_start >= s.started_at and b.anchored_by = s.anchored_by, false)
        then false else not credits.is_booked(b) end
    union all
    select b.account_id, b.credit_type, b.period_start from credits.balances b
    where (p_account_id is null or b.account_id = p_account_id) and b.plan_id is not null and not exists (
      select 1 from credits.plan_versions v where v.plan_id = b.plan_id and v.version = b.plan_version)
  )
  select (select count(*) from public.credit_grants x
      where x.period_start is not null and x.voided_at is null and (p_account_id is null or x.account_id = p_account_id)),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.period_start from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_allowances(uuid) is
  'Rule 5: one allowance per account, type and period, and no more of it than the plans that the account was on gave for its seats, also in periods gone by; the allowance in force is the plan''s.';
revoke all on function credits.verify_allowances(uuid) from public, anon, authenticated, service_role;

create function credits.is_booked(p_balance credits.balances)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  d credits.due := credits.due_at(p_balance.account_id, p_balance, p_balance.settled_at);
begin
  return not d.is_new_period and d.issued = 0 and d.withdrawn = 0 and d.plan_id = p_balance.plan_id
    and d.allowance is not distinct from p_balance.allowance and d.period_end = p_balance.period_end
    and p_balance.granted = d.entitled and p_balance.overdrawn = 0;
end
$$;
comment on function credits.is_booked(credits.balances) is
  'Whether a balance stands where its subscription puts it. Its due_at is later than its settled_at.';
revoke all on function credits.is_booked(credits.balances) from public, anon, authenticated, service_role;

-- schemas/certainty/verify_balances.sql

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
      select x.account_id, x.credit_type, max(x.version) as version,
        max(x.version) filter (where x.balance_after is not null) as counted_version
      from public.credit_transactions x
      where p_account_id is null or x.account_id = p_account_id
      group by x.account_id, x.credit_type) n
    left join public.credit_transactions t
      on t.account_id = n.account_id and t.credit_type = n.credit_type and t.version = n.counted_version
  ), unlimited as (
    select t.account_id, t.credit_type, -sum(t.amount) as spent
    from public.credit_transactions t
    where t.grant_id is null and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.credit_type
  ), grants as (
    select g.account_id, g.credit_type, sum(g.remaining) as remaining, sum(g.held) as held,
      sum(g.remaining - g.held) filter (where g.frozen_at is not null or g.starts_at > b.settled_at) as withheld,
      sum(g.remaining - g.held) filter (where g.source = 'plan') as plan_free,
      coalesce(sum(g.spent + g.held) filter (where g.source = 'plan'), 0) as plan_taken, sum(g.spent) as spent,
      least(min(g.expires_at) filter (where g.is_open and g.expires_at > b.settled_at),
        min(g.starts_at) filter (where g.is_open and g.starts_at > b.settled_at)) as due_at,
      bool_and(g.is_open = (g.remaining > 0) and (g.source = 'plan' or g.source = 'trial' and g.period_start is not null) = (g.period_start is not null)
        and (g.frozen_at is null) = (g.frozen_reason is null) and (g.voided_at is null) = (g.void_reason is null)
        and coalesce(g.expires_at >= g.starts_at, true)
        and greatest(g.created_at, g.frozen_at, g.voided_at) <= b.settled_at
        -- What has ended holds nothing but what live holds have pinned.
        and (g.remaining = g.held or g.voided_at is null and coalesce(g.expires_at > b.settled_at, true))
        and case when b.kind = 'limit' then g.expires_at is null and coalesce(g.period_start = 'epoch', true)
          when g.source = 'plan' then g.period_start = g.starts_at and g.expires_at is not null else true end
        and exists (select 1 from credits.grant_sources o where o.id = g.source)) as are_sane
    from public.credit_grants g
    join credits.balances b on b.account_id = g.account_id and b.credit_type = g.credit_type
    where p_account_id is null or g.account_id = p_account_id
    group by g.account_id, g.credit_type
  ), holds as (
    select r.account_id, r.credit_type, sum(r.amount + r.extra - r.captured - r.unlimited + r.unlimited_captured) as reserved,
      sum(r.unlimited - r.unlimited_captured) as unlimited, min(r.expires_at) as due_at
    from public.credit_reservations r
    where r.status = 'open' and (p_account_id is null or r.account_id = p_account_id)
    group by r.account_id, r.credit_type
  ), owners as (
    -- What a balance copies from its account, so that a spend needs no second row.
    select a.account_id, a.status, a.test_now, case a.kind when 'person' then a.account_id end as user_id,
      s.user_id is not distinct from case a.kind when 'person' then a.account_id end
        and (f.account_id is null or a.status = 'closed') as are_sane
    from credits.accounts a
    join credits.subscriptions s on s.account_id = a.account_id
    left join credits.forgotten_accounts f on f.account_id = a.account_id
    where p_account_id is null or a.account_id = p_account_id
  ), compared as (
    select coalesce(b.account_id, l.account_id) as account_id, coalesce(b.credit_type, l.credit_type) as credit_type,
      b.account_id is not null and b.version = coalesce(l.version, 0) and b.balance = coalesce(l.balance_after, 0)
        and b.balance = coalesce(g.remaining, 0) and b.withheld = coalesce(g.withheld, 0)
        and b.reserved = coalesce(g.held, 0) and b.reserved = coalesce(h.reserved, 0)
        and b.reserved_unlimited = coalesce(h.unlimited, 0) and coalesce(g.are_sane, true)
        and o.are_sane and b.user_id is not distinct from o.user_id and b.account_status = o.status
        and b.test_now is not distinct from o.test_now
        and b.kind = (select t.kind from credits.credit_types t where t.id = b.credit_type)
        -- Until due_at this row is taken for the truth, so nothing may fall due before.
        and b.due_at <= least(g.due_at, h.due_at, b.period_end, (
            select min(x.started_at) from credits.subscription_spells x
            where x.account_id = b.account_id and x.replaced_at is null and x.started_at > b.settled_at), 'infinity')
        and (not b.is_floating or b.due_at = '-infinity')
        and case b.kind
          when 'credit' then b.settled_at >= b.period_start and b.settled_at < b.period_end and b.used_since <= b.settled_at
            and coalesce(b.restarted_at between b.period_start and b.settled_at, true)
          else b.period_start is null and b.period_end is null and b.used = coalesce(g.spent, 0) + coalesce(u.spent, 0)
            and (b.allowance is null or coalesce(g.plan_free, 0) = greatest(0,
              b.allowance - coalesce(g.plan_taken, 0) - coalesce(u.spent, 0) - b.reserved_unlimited)) end as ok
    from (select * from credits.balances x where p_account_id is null or x.account_id = p_account_id) b
    full join last l on l.account_id = b.account_id and l.credit_type = b.credit_type
    left join grants g on g.account_id = b.account_id and g.credit_type = b.credit_type
    left join unlimited u on u.account_id = b.account_id and u.credit_type = b.credit_type
    left join holds h on h.account_id = b.account_id and h.credit_type = b.credit_type
    left join owners o on o.account_id = b.account_id
  ), broken as materialized (
    select c.account_id, c.credit_type from compared c where c.ok is not true
  )
  select (select count(*) from credits.balances x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_balances(uuid) is
  'Rule 2: a balance is what its grants hold and what its last ledger row says, less what is withheld and what live holds pin; it is on its guard for all that falls due, and copies its account truly.';
revoke all on function credits.verify_balances(uuid) from public, anon, authenticated, service_role;

-- schemas/certainty/verify_books.sql

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
    select 5, 'every account is on the plan that its history says', v.* from credits.verify_plans(p_account_id) v
    where coalesce(p_rule, 5) = 5
    union all
    select 5, 'free credits are held once per person', v.* from credits.verify_accounts(p_account_id) v
    where coalesce(p_rule, 5) = 5
    union all
    select 7, 'everything granted is spent, lapsed or left', v.* from credits.verify_conservation(p_account_id) v
    where coalesce(p_rule, 7) = 7
    union all
    select 8, 'only the service role moves credits, nobody changes the ledger', v.* from credits.verify_privileges() v
    -- Who may do what is a matter of the whole database, and of no account.
    where coalesce(p_rule, 8) = 8 and p_account_id is null
    union all
    select 9, 'priced operations cost what was taken, to the billionth', v.*
    from credits.verify_prices(p_account_id) v
    where coalesce(p_rule, 9) = 9
    union all
    select 10, 'nothing is spendable that is not paid for', v.* from credits.verify_coverage(p_account_id) v
    where coalesce(p_rule, 10) = 10
    union all
    select 10, 'every debt is what it was set to, less what was paid', v.* from credits.verify_debts(p_account_id) v
    where coalesce(p_rule, 10) = 10
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

-- edge: result=Verification callers=service_role repeatable slow
--   Check the always-true rules, or the one with this number (1 to 11), for one account or for all.
--
--   Raises:
--       InvalidArgument: another ``rule``.
--       AccountNotFound: there is no such account.
create function public.verify_books(
  p_user_id uuid default null, p_workspace_id uuid default null, p_rule integer default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
begin
  if p_rule not between 1 and 11 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_rule', 'value', p_rule),
      'The rules are numbered 1 to 11.');
  end if;
  -- Nothing is wrong with an account that does not exist, which is what a mistyped id would be told. One that was lost from
  -- the books, but not without a trace, is looked at.
  if v_account_id is not null
     and not exists (select 1 from credits.accounts a where a.account_id = v_account_id)
     and not exists (select 1 from credits.balances b where b.account_id = v_account_id)
     and not exists (select 1 from public.credit_transactions t where t.account_id = v_account_id)
     and not exists (select 1 from auth.users u where u.id = v_account_id) then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id, 'workspace_id', p_workspace_id));
  end if;
  return credits.verify_all(v_account_id, p_rule);
end
$$;
comment on function public.verify_books(uuid, uuid, integer) is
  'Checks the always-true rules of the books, or the one with number p_rule, for one account or for all, in one snapshot. Answers checks with rule, name, ok, checked and the first violations. Raises account_not_found.';
revoke all on function public.verify_books(uuid, uuid, integer) from public, anon, authenticated, service_role;
grant execute on function public.verify_books(uuid, uuid, integer) to service_role;

-- schemas/certainty/verify_chain.sql

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
        -- What is unlimited is of no grant and has no balance: the chain passes over it.
        and (t.grant_id is null) = (t.balance_after is null)
        and coalesce(t.balance_after = sum(t.amount)
          filter (where t.grant_id is not null) over chain, t.grant_id is null)
        and t.created_at >= coalesce(lag(t.created_at) over chain, t.created_at)
        and coalesce(t.balance_after >= 0, t.kind in ('consume', 'capture', 'refund'))
        and (t.kind in ('grant', 'refund')) = (t.amount > 0) and t.amount <> 0 as ok
    from public.credit_transactions t
    where p_account_id is null or t.account_id = p_account_id
    window chain as (partition by t.account_id, t.credit_type order by t.version)
  ), broken as materialized (
    select c.account_id, c.credit_type, c.version from rows c where c.ok is not true
  )
  select (select count(*) from public.credit_transactions x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.version from broken c order by c.account_id
        limit 10) b), '[]');
end
$$;
comment on function credits.verify_chain(uuid) is
  'Rule 2: versions run 1 to n without a gap, each balance_after follows from the one before, '
  'times never step back, signs follow from kinds. A row of no grant has no balance: it is an '
  'unlimited spend or its refund.';
revoke all on function credits.verify_chain(uuid) from public, anon, authenticated, service_role;

-- schemas/certainty/verify_checklist.sql

create function credits.rehearse_checklist()
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_user uuid := gen_random_uuid();
  v_seen jsonb := jsonb '[]';
  v_message jsonb;
  v_project jsonb;
  v_denied jsonb;
  v_warned jsonb;
  v_reset jsonb;
  v_limit bigint;
  v_count integer := 0;
begin
  -- A standby, or a backup that is only to be looked at.
  if current_setting('transaction_read_only')::boolean then
    return (select jsonb_agg(jsonb_build_object('line', l, 'ok', null, 'seen',
      'not tried, this session may only read'))
      from generate_series(1, 10) l);
  end if;
  begin
    insert into auth.users (id) values (v_user);
    select to_jsonb(n) into v_message from public.credit_balances n where n.user_id = v_user
      and n.credit_type = 'message';
    select to_jsonb(n) into v_project from public.credit_balances n where n.user_id = v_user
      and n.credit_type = 'project';
    v_seen := v_seen || jsonb_build_object('line', 1, 'ok', v_message is not null,
      'seen', format('%s tables, %s functions', (
        select count(*) from pg_catalog.pg_class c where c.relnamespace in ('public'::regnamespace,
          'credits'::regnamespace)
          and c.relkind = 'r' and c.relname ~ '^(plans|plan_|subscriptions|credit_|usage|workspace|accounts|balances)'), (
        select count(*) from pg_catalog.pg_proc p where p.pronamespace = 'credits'::regnamespace)));
    v_seen := v_seen || jsonb_build_object('line', 2,
      'ok', v_message ->> 'remaining' = (
          select l.allowance::text from public.plan_limits l join public.plans p on p.id = l.plan_id
          where p.is_default and l.credit_type = 'message')
        and v_project ->> 'remaining' = (
          select l.allowance::text from public.plan_limits l join public.plans p on p.id = l.plan_id
          where p.is_default and l.credit_type = 'project'),
      'seen', format('a new user has %s message credits and %s projects', v_message ->> 'remaining',
        v_project ->> 'remaining'));

    -- A generation takes a message credit and a project, a chat message takes a message credit.
    v_limit := (v_project ->> 'remaining')::bigint;
    loop
      v_count := v_count + 1;
      v_denied := public.consume_credits_batch(v_user,
        '[{"credit_type": "message"}, {"credit_type": "project"}]');
      exit when v_denied ->> 'code' <> 'ok' or v_count > v_limit;
    end loop;
    v_seen := v_seen || jsonb_build_object('line', 4, 'ok', v_denied ->> 'code' = 'limit_reached'
      and v_count = v_limit + 1,
      'seen', format('generation %s: %s', v_count, v_denied ->> 'message'));
    select b.value into v_warned
      from jsonb_array_elements(public.get_credit_summary(v_user) -> 'balances') b
    where b.value ->> 'credit_type' = 'project';
    v_seen := v_seen || jsonb_build_object('line', 7,
      'ok', (v_warned ->> 'allowance')::bigint = v_limit
        and (v_warned ->> 'used')::bigint = v_limit,
      'seen', format('the summary says %s of %s projects', v_warned ->> 'used',
        v_warned ->> 'allowance'));

    v_warned := null;
    loop
      v_denied := public.consume_credits(v_user, 'message', 1, 'checklist');
      exit when v_denied ->> 'code' <> 'ok' or (v_denied ->> 'used')::bigint > 1000000;
      if v_warned is null then
        select b.value into v_warned
          from jsonb_array_elements(public.get_credit_summary(v_user) -> 'balances') b
        where b.value ->> 'credit_type' = 'message' and b.value ->> 'warning' = 'low';
      end if;
    end loop;
    v_seen := v_seen || jsonb_build_object('line', 5,
      'ok', v_denied ->> 'code' = 'insufficient_credits'
        and v_denied ->> 'used' = v_message ->> 'remaining',
      'seen', format('after %s messages: %s', v_denied ->> 'used', v_denied ->> 'message'));
    v_seen := v_seen || jsonb_build_object('line', 8,
      'ok', coalesce(v_denied #>> '{details,upgrade_url}', '') <> '',
      'seen', format('the denial links to %s', v_denied #>> '{details,upgrade_url}'));
    v_seen := v_seen || jsonb_build_object('line', 9,
      'ok', coalesce((v_warned ->> 'percent_used')::integer between 80 and 99, false),
      'seen', format('the warning came at %s %%', v_warned ->> 'percent_used'));
    v_denied := public.consume_credits_batch(v_user,
      '[{"credit_type": "message"}, {"credit_type": "project"}]');
    v_seen := v_seen || jsonb_build_object('line', 3,
      'ok', v_denied ->> 'code' in ('insufficient_credits', 'limit_reached'),
      'seen', format('the next generation: %s', v_denied ->> 'message'));
    v_seen := v_seen || jsonb_build_object('line', 6, 'ok', null, 'seen', null);

    perform public.reset_monthly_credits(v_user);
    select to_jsonb(n) into v_reset from public.credit_balances n where n.user_id = v_user
      and n.credit_type = 'message';
    v_seen := v_seen || jsonb_build_object('line', 10,
      'ok', v_reset ->> 'remaining' = v_message ->> 'remaining'
        and v_reset ->> 'period_end' = v_message ->> 'period_end',
      'seen', format('%s message credits again, in the same period', v_reset ->> 'remaining'));
    raise exception using errcode = 'PTRBK', message = 'rehearsal over';
  exception when sqlstate 'PTRBK' then
    -- The probe user and all it did are gone; what was seen is in the variable.
    perform set_config('response.status', '200', true);
  end;
  return v_seen;
end
$$;
comment on function credits.rehearse_checklist() is
  'Plays the guide''s checklist with a probe user inside a subtransaction that is rolled back, and '
  'answers what was seen.';
revoke all on function credits.rehearse_checklist() from public, anon, authenticated, service_role;

-- edge: result=Checklist callers=service_role repeatable slow
--   Try the guide's checklist with a probe user of whom nothing stays.
create function public.verify_checklist()
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'success', bool_and((s.value ->> 'ok')::boolean) is not false, 'code', 'ok',
    'checks', jsonb_agg(jsonb_build_object('line', l.line, 'name', l.name,
      'ok', (s.value ->> 'ok')::boolean,
      'seen', s.value ->> 'seen') order by l.line))
  from (values
    (1, 'Database schema applied successfully'),
    (2, 'New users get the default free plan'),
    (3, 'Generation blocked after credit exhaustion'),
    (4, 'Generation blocked after the project limit'),
    (5, 'Chat blocked after credit exhaustion'),
    (6, 'Usage dashboard shows correct information'),
    (7, 'Project limits displayed for free users'),
    (8, 'Error messages include upgrade links'),
    (9, 'Credit warnings appear at 80% usage'),
    (10, 'Monthly reset function works correctly')
  ) as l(line, name)
  left join jsonb_array_elements(credits.rehearse_checklist()) as s(value)
    on (s.value ->> 'line')::integer = l.line
$$;
comment on function public.verify_checklist() is
  'Tries the ten lines of the guide''s checklist on this database with a probe user of whom '
  'nothing stays. ok is null where a line needs the web app, which the caller checks, and where '
  'the session may only read.';
revoke all on function public.verify_checklist() from public, anon, authenticated, service_role;
grant execute on function public.verify_checklist() to service_role;

-- schemas/certainty/verify_conservation.sql

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
      -coalesce(sum(t.amount) filter (where t.kind <> 'grant' and t.grant_id is not null),
        0) as gone,
      -coalesce(sum(t.amount) filter (where t.kind in ('consume', 'capture')
        and t.created_at >= b.used_since), 0) as spent,
      -- Whether a spend at the very instant of a restart counts, only its place in the ledger could
      -- tell.
      coalesce(bool_or(t.created_at = b.used_since and t.kind in ('consume', 'capture')),
        false) as is_unclear
    from public.credit_transactions t
    left join credits.balances b on b.account_id = t.account_id and b.credit_type = t.credit_type
    where p_account_id is null or t.account_id = p_account_id
    group by t.account_id, t.credit_type
  ), refunds as (
    -- A refund counts against the period that its spend counted in.
    select f.account_id, f.credit_type, sum(f.amount) as amount
    from public.credit_transactions f
    join credits.balances b on b.account_id = f.account_id and b.credit_type = f.credit_type
    where f.kind = 'refund' and f.created_at >= b.used_since
      and (p_account_id is null or f.account_id = p_account_id)
      and exists (select 1 from public.credit_transactions t
        where t.account_id = f.account_id and t.operation_id = f.related_operation_id
          and t.created_at >= b.used_since)
    group by f.account_id, f.credit_type
  ), compared as (
    select s.account_id, s.credit_type, s.granted = s.gone + b.balance
        and (b.kind = 'limit' or s.is_unclear or b.used = s.spent - coalesce(f.amount, 0)) as ok
    from sums s
    left join credits.balances b on b.account_id = s.account_id and b.credit_type = s.credit_type
    left join refunds f on f.account_id = s.account_id and f.credit_type = s.credit_type
  ), broken as materialized (
    select c.account_id, c.credit_type from compared c where c.ok is not true
  )
  select (select count(*) from credits.balances x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_conservation(uuid) is
  'Rule 7: everything granted is spent, expired, voided or left; what counts as used is what was '
  'spent since, less refunds.';
revoke all on function credits.verify_conservation(uuid) from public, anon, authenticated,
  service_role;

-- schemas/certainty/verify_debts.sql

create function credits.verify_debts(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with payments as (
    select p.account_id, p.credit_type, p.source, sum(p.amount) as paid,
      bool_and(exists (
        select 1 from public.credit_transactions t
        where t.account_id = p.account_id and t.operation_id = p.operation_id
          and t.credit_type = p.credit_type and t.amount = -p.amount
          and t.kind = case when p.amount > 0 then 'void' else 'grant' end::credits.entry_kind
          and (p.amount < 0 or t.grant_id = p.grant_id))) as is_on_the_ledger
    from credits.debt_payments p
    where p_account_id is null or p.account_id = p_account_id
    group by p.account_id, p.credit_type, p.source
  ), compared as (
    select coalesce(d.account_id, p.account_id) as account_id,
      coalesce(d.credit_type, p.credit_type) as credit_type, coalesce(d.source, p.source) as source,
      d.paid between 0 and d.amount and d.paid = coalesce(p.paid, 0)
        and coalesce(p.is_on_the_ledger, true) as ok
    from (
      select x.account_id, x.credit_type, x.source, x.amount, x.paid from credits.debts x
      where p_account_id is null or x.account_id = p_account_id) d
    full join payments p
      on p.account_id = d.account_id and p.credit_type = d.credit_type and p.source = d.source
  )
  select count(*), coalesce((
    select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.source from compared c
      where c.ok is not true order by c.account_id, c.source limit 10) b), '[]')
  from compared;
end
$$;
comment on function credits.verify_debts(uuid) is
  'Rule 10: what an account owes is never negative, and what was paid of it is what grants paid on '
  'the ledger, less what came back.';
revoke all on function credits.verify_debts(uuid)
  from public, anon, authenticated, service_role;

-- schemas/certainty/verify_grants.sql

-- The always-true rules. Each function looks at one account, or at all of them when p_account_id is null, and answers how
-- much it has looked at and the first ten violations. All are stable, so one call sees one snapshot.
-- What is broken is materialized before ten of it are taken: else the planner takes a plan that finds ten rows soon, and there are
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
    select t.account_id, t.grant_id, t.credit_type, sum(t.amount) as remaining, bool_or(case when t.kind = 'void' then not exists (
        -- What took a part relates to what issued the grant, which goes on.
        select 1 from public.credit_transactions i
        where i.account_id = t.account_id and i.operation_id = t.related_operation_id
          and i.grant_id = t.grant_id and i.kind = 'grant') end) as is_voided,
      min(t.created_at) as since, max(t.created_at) filter (where t.kind = 'expire') as expired_at,
      coalesce(sum(t.amount) filter (where t.kind = 'grant'), 0) as amount,
      -coalesce(sum(t.amount) filter (where t.kind in ('consume', 'capture', 'refund')), 0) as spent,
      -coalesce(sum(t.amount) filter (where t.kind in ('expire', 'void')), 0) as lapsed
    from public.credit_transactions t
    where t.grant_id is not null and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.grant_id, t.credit_type
  ), pinned as (
    select s.account_id, s.grant_id, sum(s.amount - s.captured) as held
    from credits.reservation_slices s
    join public.credit_reservations r on r.account_id = s.account_id and r.id = s.reservation_id and r.status = 'open'
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.grant_id
  ), compared as (
    select coalesce(g.account_id, e.account_id) as account_id, coalesce(g.id, e.grant_id) as grant_id,
      g.id is not null and e.grant_id is not null and g.remaining = e.remaining and g.amount = e.amount
        and g.spent = e.spent and g.lapsed = e.lapsed and g.held = coalesce(p.held, 0)
        and e.since = g.created_at and case when g.voided_at is null then e.is_voided is not true else coalesce(e.expired_at <= g.voided_at, true) end
        and (g.paid_amount is null) = (g.currency is null)
        and g.remaining between 0 and g.amount and g.held between 0 and g.remaining as ok
    from (select * from public.credit_grants x where p_account_id is null or x.account_id = p_account_id) g
    full join entries e on e.account_id = g.account_id and e.grant_id = g.id and e.credit_type = g.credit_type
    left join pinned p on p.account_id = g.account_id and p.grant_id = g.id
  ), broken as materialized (
    select c.account_id, c.grant_id from compared c where c.ok is not true
  )
  select (select count(*) from public.credit_grants x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.grant_id from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_grants(uuid) is
  'Rule 1: what a grant has issued, spent, lapsed and left is what its ledger rows say, and what it holds is what live holds have pinned.';
revoke all on function credits.verify_grants(uuid) from public, anon, authenticated, service_role;

-- schemas/certainty/verify_holds.sql

create function credits.verify_holds(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with captures as (
    -- A part has an operation of its own, related to the hold's.
    select t.account_id, coalesce(t.related_operation_id, t.operation_id) as operation_id, t.grant_id, t.credit_type,
      -sum(t.amount) as amount, min(t.created_at) as since, max(t.created_at) as until,
      min(t.created_at) filter (where t.related_operation_id is null) as whole_at
    from public.credit_transactions t
    where t.kind = 'capture' and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, coalesce(t.related_operation_id, t.operation_id), t.grant_id, t.credit_type
  ), holds as (
    select r.account_id, r.id, r.credit_type, r.operation_id, r.amount + r.extra as amount, r.unlimited,
      r.unlimited_captured, r.captured, r.status, r.created_at, coalesce(r.closed_at, 'infinity') as closed_at,
      b.account_id is not null
        and case r.status when 'open' then r.released = 0 and r.captured <= r.amount + r.extra
          else r.captured + r.released = r.amount + r.extra end
        and (r.captured > 0 or r.extra + r.shortfall = 0)
        and (r.shortfall = 0 or r.captured = r.amount + r.extra)
        -- It answers for the last part.
        and coalesce((r.answer ->> 'captured')::bigint <= r.captured and (r.answer ->> 'shortfall')::bigint <= r.shortfall
          and (r.answer ->> 'released')::bigint = case when r.status = 'captured'
            -- One that the remainder has paid for goes back, and answers so.
            or r.status = 'released' and r.answer ? 'cost' and r.answer ->> 'held' = '0'
            then r.released else 0 end, true)
        and r.expires_at > r.created_at and r.expires_at <= coalesce(r.extended_at, r.created_at) + interval '24 hours'
        and coalesce(r.extended_at between r.created_at and b.settled_at and r.extended_at < r.expires_at, true)
        and case r.status when 'open' then r.expires_at > b.settled_at and b.due_at <= r.expires_at
          when 'expired' then r.closed_at = r.expires_at
          else r.status in ('captured', 'released') and r.closed_at >= r.created_at and r.closed_at < r.expires_at end
        and (r.status <> 'captured' or r.captured > 0) as is_sane
    from public.credit_reservations r
    left join credits.balances b on b.account_id = r.account_id and b.credit_type = r.credit_type
    where p_account_id is null or r.account_id = p_account_id
  ), slices as (
    -- A capture spends what its hold has pinned: no more from a grant than the slice of it, while the hold was open.
    select s.account_id, s.reservation_id, sum(s.amount) as amount, coalesce(sum(c.amount), 0) as captured,
      bool_and(coalesce(g.credit_type = h.credit_type and s.captured <= s.amount and s.captured = coalesce(c.amount, 0)
        and (c.amount is null or c.credit_type = h.credit_type and c.since >= h.created_at and c.until <= h.closed_at
          and (c.whole_at is null or c.whole_at = h.closed_at and h.status = 'captured')), false)) as are_sane
    from credits.reservation_slices s
    left join holds h on h.account_id = s.account_id and h.id = s.reservation_id
    left join public.credit_grants g on g.account_id = s.account_id and g.id = s.grant_id
    left join captures c on c.account_id = s.account_id and c.operation_id = h.operation_id and c.grant_id = s.grant_id
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.reservation_id
  ), unlimited as (
    -- Of no grant, so no slice has it.
    select h.account_id, h.id as reservation_id, h.unlimited as amount, coalesce(c.amount, 0) as captured,
      h.unlimited_captured = coalesce(c.amount, 0) and coalesce(c.amount <= h.unlimited and c.credit_type = h.credit_type
        and c.since >= h.created_at and c.until <= h.closed_at and (c.whole_at is null or c.whole_at = h.closed_at and h.status = 'captured'),
        true) as is_sane
    from holds h
    left join captures c on c.account_id = h.account_id and c.operation_id = h.operation_id and c.grant_id is null
    where h.unlimited + h.unlimited_captured > 0 or c.amount is not null
  ), broken as materialized (
    select coalesce(h.account_id, s.account_id) as account_id, coalesce(h.id, s.reservation_id) as reservation_id
    from holds h
    full join slices s on s.account_id = h.account_id and s.reservation_id = h.id
    left join unlimited u on u.account_id = h.account_id and u.reservation_id = h.id
    where (h.is_sane and coalesce(s.are_sane, u.amount > 0) and coalesce(u.is_sane, true)
      and h.amount = coalesce(s.amount, 0) + coalesce(u.amount, 0)
      and h.captured = coalesce(s.captured, 0) + coalesce(u.captured, 0)) is not true
    union all
    select c.account_id, h.id from captures c
    left join holds h on h.account_id = c.account_id and h.operation_id = c.operation_id
    left join credits.reservation_slices s
      on s.account_id = c.account_id and s.reservation_id = h.id and s.grant_id = c.grant_id
    where s.amount is null and (c.grant_id is not null or h.id is null)
  )
  select (select count(*) from public.credit_reservations x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.reservation_id from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_holds(uuid) is
  'Rule 4: captured and returned is what was held, grant by grant, by the time the hold was closed; no hold outlives its expiry.';
revoke all on function credits.verify_holds(uuid) from public, anon, authenticated, service_role;

-- schemas/certainty/verify_keys.sql

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
    select k.account_id, k.idempotency_key, k.operation_id,
      case when k.answer is null and k.request is null then 'consume_credits' else k.request ->> 'function' end as function,
      case when k.answer is not null then
          (k.answer ->> 'success')::boolean and k.answer ->> 'operation_id' = k.operation_id::text
            and num_nulls(k.request, k.created_at) = 0
            and num_nonnulls(k.remaining, k.allowance, k.used, k.reserved, k.period_end) = 0
        else k.used > 0 and (k.remaining is null) = (k.allowance is null)
          and coalesce(least(k.remaining, k.allowance, k.reserved - 1) >= 0, true) and num_nonnulls(k.request, k.created_at) = 0 end as answered
    from credits.idempotency_keys k
    where p_account_id is null or k.account_id = p_account_id
  ), broken as materialized (
    select k.account_id, k.idempotency_key from keys k where k.answered is not true or k.function is null
    union all
    select k.account_id, k.idempotency_key from keys k
    where k.function is distinct from 'change_plan'
      and not exists (select 1 from public.credit_transactions t where t.account_id = k.account_id and t.operation_id = k.operation_id)
      and not exists (select 1 from public.credit_reservations r where r.account_id = k.account_id and r.operation_id = k.operation_id)
      -- What the remainder has paid for, or given back into it, has no row in the ledger.
      and not exists (select 1 from credits.priced_operations o
        where o.account_id = k.account_id and o.operation_id = k.operation_id)
      and not exists (select 1 from credits.priced_refunds f
        where f.account_id = k.account_id and f.refund_id = k.operation_id)
    union all
    -- A hold and its capture are one operation, and may have a key each.
    select k.account_id, max(k.idempotency_key) from keys k group by k.account_id, k.operation_id, k.function having count(*) > 1
  )
  select (select count(*) from credits.idempotency_keys x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.idempotency_key from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_keys(uuid) is 'Rule 3: each idempotency key stands for one operation that took effect.';
revoke all on function credits.verify_keys(uuid) from public, anon, authenticated, service_role;

-- schemas/certainty/verify_operations.sql

create function credits.verify_operations(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- By chance enough: nobody knows it before the call. random() would make this volatile.
  v_seed bigint := pg_catalog.hashtextextended(statement_timestamp()::text,
    pg_backend_pid()::bigint);
  -- A project with a usage table of its own may have rows of its own there, whatever their ids.
  v_is_ours boolean := exists (
    select 1 from pg_catalog.pg_attribute a
    where a.attrelid = 'public.usage'::regclass and a.attname = 'operation_id' and a.attnotnull);
begin
  return query
  -- To sort or hash every operation is what takes longest of all. So each amount is multiplied by
  -- two numbers that its operation and type are drawn by chance, and added up per account: sums
  -- that agree, twice, belong to operations that agree (the odds are 2^-62). Only accounts where
  -- they do not are looked at operation by operation. Halves of 31 bits keep the products within
  -- bigint.
  with weighed as (
    select t.account_id, -t.amount as amount,
      pg_catalog.uuid_hash_extended(t.operation_id,
        v_seed) # pg_catalog.hashtextextended(t.credit_type, v_seed) as draw
    from public.credit_transactions t
    where t.kind in ('consume', 'capture') and (p_account_id is null or t.account_id = p_account_id)
    union all
    select u.account_id, -u.credits_used::bigint,
      pg_catalog.uuid_hash_extended(u.operation_id,
        v_seed) # pg_catalog.hashtextextended(u.credit_type, v_seed)
    from public.usage u
    where u.status = 'allowed' and u.operation_id is not null
      and (p_account_id is null or u.account_id = p_account_id)
  ), suspects as (
    select w.account_id from weighed w group by w.account_id
    having sum(w.amount % 2147483648 * (w.draw & 2147483647))
      + sum(w.amount / 2147483648 * (w.draw & 2147483647)) * 2147483648 <> 0
      or sum(w.amount % 2147483648 * (w.draw >> 32 & 2147483647))
        + sum(w.amount / 2147483648 * (w.draw >> 32 & 2147483647)) * 2147483648 <> 0
  ), spends as (
    select t.account_id, t.operation_id, t.credit_type, -sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind in ('consume', 'capture') and t.account_id in (select s.account_id from suspects s)
    group by t.account_id, t.operation_id, t.credit_type
  ), attempts as (
    select u.account_id, u.operation_id, u.credit_type, sum(u.credits_used) as amount
    from public.usage u
    where u.status = 'allowed' and u.operation_id is not null and u.credits_used <> 0
      and u.account_id in (select s.account_id from suspects s)
    group by u.account_id, u.operation_id, u.credit_type
  ), refunds as (
    -- Into the very grants that a spend came from.
    select t.account_id, t.related_operation_id as operation_id, t.grant_id, sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind = 'refund' and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.related_operation_id, t.grant_id
  ), broken as materialized (
    -- The log of attempts may be cleared, so a spend without one is none of these; what is there
    -- has to agree.
    select a.account_id, a.operation_id from attempts a
    left join spends s on s.account_id = a.account_id and s.operation_id = a.operation_id
      and s.credit_type = a.credit_type
    where s.amount <> a.amount or s.amount is null and (v_is_ours
      or exists (select 1 from spends o where o.account_id = a.account_id
        and o.operation_id = a.operation_id))
    union all
    select u.account_id, u.operation_id from public.usage u
    where v_is_ours and (p_account_id is null or u.account_id = p_account_id)
      and case u.status
        when 'allowed' then u.credits_used > 0 or u.credits_used = 0 and exists (
          select 1 from credits.priced_operations o
          where o.account_id = u.account_id and o.operation_id = u.operation_id and o.whole = 0)
        when 'denied' then u.credits_used = 0 else false end is not true
    union all
    select f.account_id, f.operation_id from refunds f
    left join public.credit_transactions t
      on t.account_id = f.account_id and t.operation_id = f.operation_id
        and t.grant_id is not distinct from f.grant_id
      and t.kind in ('consume', 'capture')
    group by f.account_id, f.operation_id, f.grant_id, f.amount
    having f.amount > coalesce(-sum(t.amount), 0)
    union all
    select m.account_id, m.operation_id
    from (
      select r.account_id, r.operation_id, sum(r.amount) as amount
      from credits.metered_rows r
      where p_account_id is null or r.account_id = p_account_id
      group by r.account_id, r.operation_id
    ) m
    where m.amount > coalesce((
      select -sum(t.amount) from public.credit_transactions t
      where t.account_id = m.account_id and t.operation_id = m.operation_id and t.kind = 'consume'),
        0)
  )
  select (select count(*) from public.credit_transactions x
      where x.kind in ('consume', 'capture') and (p_account_id is null
        or x.account_id = p_account_id)),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.operation_id from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_operations(uuid) is
  'Rule 3: the rows of a spend add up to what usage says it was, its refunds never exceed it in '
  'any grant, and a metered row was charged for.';
revoke all on function credits.verify_operations(uuid) from public, anon, authenticated,
  service_role;

-- schemas/certainty/verify_plans.sql

create function credits.verify_plans(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with events as (
    select e.account_id, max(e.n) as last,
      bool_and((e.kind = 'opened') = (e.n = 1)) and count(*) = max(e.n) and min(e.n) = 1 as ok
    from credits.subscription_events e
    where p_account_id is null or e.account_id = p_account_id
    group by e.account_id
  ), spells as (
    select s.account_id, count(*) as spells, min(s.plan_id) as plan_id, min(s.started_at) as started_at
    from credits.subscription_spells s
    where s.replaced_at is null and (p_account_id is null or s.account_id = p_account_id)
    group by s.account_id
  ), broken as materialized (
    select b.account_id, e.last as event, null::text as plan_id
    from credits.subscriptions b
    left join events e on e.account_id = b.account_id
    left join spells s on s.account_id = b.account_id
    where (p_account_id is null or b.account_id = p_account_id)
      and (e.ok is not true or s.account_id is null
        -- Most accounts have only been opened. The others are folded anew.
        or not (e.last = 1 and s.spells = 1 and exists (
          select 1 from credits.subscription_events o
          where o.account_id = b.account_id and o.n = 1 and o.plan_id = s.plan_id and o.happened_at = s.started_at))
        and not credits.is_folded(b.account_id))
    union all
    select null, null, p.id from public.plans p
    where p_account_id is null and (
      exists (select 1 from public.plan_limits l where l.plan_id = p.id)
        and credits.version_is_on_sale(p.id, credits.latest_version(p.id)) is not true
      or (select count(*) <> max(v.version) from credits.plan_versions v where v.plan_id = p.id))
    union all
    select null, null, l.plan_id from credits.plan_version_limits l
    where p_account_id is null and not exists (
      select 1 from credits.plan_versions v where v.plan_id = l.plan_id and v.version = l.version)
    union all
    select b.account_id, b.pinned_version, b.pinned_plan_id from credits.subscriptions b
    where (p_account_id is null or b.account_id = p_account_id) and b.pinned_plan_id is not null and not exists (
      select 1 from credits.plan_versions v where v.plan_id = b.pinned_plan_id and v.version = b.pinned_version)
  )
  select (select count(*) from credits.subscriptions x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.event, c.plan_id from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_plans(uuid) is
  'Rule 5: every subscription is what its events come to, without a gap; the versions of each plan count from 1, and the newest has the figures on sale.';
revoke all on function credits.verify_plans(uuid) from public, anon, authenticated, service_role;

create function credits.is_folded(p_account_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_spells credits.subscription_spells[] := credits.fold_subscription(p_account_id);
begin
  return (
    select count(*) = cardinality(v_spells) and bool_and(credits.is_same_spell(s, v_spells[s.n]))
    from credits.subscription_spells s where s.account_id = p_account_id and s.replaced_at is null);
end
$$;
comment on function credits.is_folded(uuid) is 'Whether the spells of an account are what its events come to.';
revoke all on function credits.is_folded(uuid) from public, anon, authenticated, service_role;

create function credits.verify_coverage(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with spendable as (
    select g.account_id, g.credit_type, g.period_start, b.settled_at
    from credits.balances b
    join public.credit_grants g on g.account_id = b.account_id and g.credit_type = b.credit_type
      and g.period_start = b.period_start
    where b.kind = 'credit' and b.due_at > b.settled_at and g.is_open and g.voided_at is null and g.frozen_at is null
      and (p_account_id is null or b.account_id = p_account_id)
  ), broken as materialized (
    -- What is owed for past its grace, or paused, is frozen.
    select p.account_id, p.credit_type, p.period_start from spendable p
    where case when exists (
        select 1 from credits.subscription_spells s
        where s.account_id = p.account_id and s.replaced_at is null and s.is_frozen)
      then (credits.spell_at(p.account_id, p.settled_at)).is_frozen end
    union all
    -- Beyond what is covered there is one period, no more.
    select p.account_id, p.credit_type, p.period_start from spendable p
    join credits.subscriptions u on u.account_id = p.account_id and u.is_managed and p.period_start >= u.covered_until
    where exists (
      select 1 from public.credit_grants g join public.plans n on n.id = g.plan_id and n.price_cents > 0
      where g.account_id = p.account_id and g.credit_type = p.credit_type and g.period_start >= u.covered_until
        and g.period_start < p.period_start and g.amount > 0)
      and credits.is_paid_plan((credits.spell_at(p.account_id, p.settled_at)).plan_id)
  )
  select (select count(*) from spendable),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.period_start from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_coverage(uuid) is
  'Rule 10: nothing is spendable of a period that is owed for past its grace, nor of a second period beyond what a provider was paid for.';
revoke all on function credits.verify_coverage(uuid) from public, anon, authenticated, service_role;

-- schemas/certainty/verify_prices.sql

create function credits.verify_prices(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with posted as (
    -- What the ledger took for priced operations, and gave back of them.
    select t.account_id, t.credit_type, o.operation_id,
      -coalesce(sum(t.amount) filter (where t.kind <> 'refund'), 0) as whole,
      coalesce(sum(t.amount) filter (where t.kind = 'refund'), 0) as returned
    from credits.priced_operations o
    join public.credit_transactions t on t.account_id = o.account_id
      and (t.operation_id = o.operation_id and t.kind in ('consume', 'capture')
        or t.related_operation_id = o.operation_id and t.kind = 'refund')
    where p_account_id is null or o.account_id = p_account_id
    group by t.account_id, t.credit_type, o.operation_id
  ), sums as (
    select s.account_id, s.credit_type, sum(s.nano) as nano from (
      select o.account_id, o.credit_type, -o.cost_nano::numeric as nano
      from credits.priced_operations o
      union all
      select f.account_id, f.credit_type, f.cost_nano from credits.priced_refunds f
      union all
      select p.account_id, p.credit_type, (p.whole - p.returned) * 1000000000 from posted p
    ) s
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.credit_type
  ), broken as materialized (
    -- Σ cost − refunds = 1e9 × whole − remainder, per account and type.
    select b.account_id, b.credit_type, null::uuid as operation_id
    from credits.balances b
    full join sums s on s.account_id = b.account_id and s.credit_type = b.credit_type
    where coalesce(s.nano, 0) <> coalesce(b.prepaid_nano, 0)
      and (p_account_id is null or b.account_id = p_account_id)
    union all
    select o.account_id, o.credit_type, o.operation_id
    from credits.priced_operations o
    left join posted p on p.account_id = o.account_id and p.credit_type = o.credit_type
      and p.operation_id = o.operation_id
    where (p_account_id is null or o.account_id = p_account_id)
      and (o.whole <> coalesce(p.whole, 0) or o.returned <> coalesce(p.returned, 0)
        or o.prepaid_before + o.whole * 1000000000::numeric - o.cost_nano <> o.prepaid_after
        or not credits.receipt_adds_up(o)
        or o.cost_nano < (select coalesce(sum(f.cost_nano), 0) from credits.priced_refunds f
          where f.account_id = o.account_id and f.operation_id = o.operation_id)
        or not exists (select 1 from credits.operation_costs c
          where c.account_id = o.account_id and c.operation_id = o.operation_id)
        or o.reservation_id is not null and not exists (select 1 from credits.priced_holds h
          where h.account_id = o.account_id and h.reservation_id = o.reservation_id))
    union all
    select h.account_id, null, h.reservation_id
    from credits.priced_holds h
    left join public.credit_reservations r on r.account_id = h.account_id
      and r.id = h.reservation_id
    where (p_account_id is null or h.account_id = p_account_id)
      and r.amount is distinct from greatest(1, credits.whole_credits(h.cost_nano))
    union all
    select f.account_id, f.credit_type, f.refund_id
    from credits.priced_refunds f
    where (p_account_id is null or f.account_id = p_account_id)
      and (f.prepaid_before + f.cost_nano - f.whole * 1000000000::numeric <> f.prepaid_after
        or f.whole <> (select coalesce(sum(t.amount), 0) from public.credit_transactions t
          where t.account_id = f.account_id and t.operation_id = f.refund_id and t.kind = 'refund'))
  )
  select (select count(*) from credits.priced_operations o
      where p_account_id is null or o.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.operation_id from broken c
      order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_prices(uuid) is
  'Rule 9: what priced operations cost, less what was given back, is the whole credits that the '
  'ledger took for them, less the remainder, to the billionth; each costs what its lines '
  'add up to.';
revoke all on function credits.verify_prices(uuid) from public, anon, authenticated, service_role;

create function credits.receipt_adds_up(p_operation credits.priced_operations)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_operation.cost_nano + p_operation.unpaid_nano
      = credits.cost_of_lines(p_operation.lines)
    and (
      select jsonb_object_agg(l.dimension, l.quantity) = p_operation.quantities
        and max(l.version) = p_operation.price_version
        and bool_and(p.book is not null and (l.pattern = p_operation.operation
          or starts_with(p_operation.operation, rtrim(l.pattern, '*'))))
      from jsonb_to_recordset(p_operation.lines) l (dimension text, quantity numeric, pattern text,
        version bigint)
      left join credits.prices p on p.book = p_operation.book and p.operation = l.pattern
        and p.dimension = l.dimension and p.version = l.version);
end
$$;
comment on function credits.receipt_adds_up(credits.priced_operations) is
  'Whether the lines of a receipt are its quantities at prices of its book, and add up to its '
  'cost.';
revoke all on function credits.receipt_adds_up(credits.priced_operations)
  from public, anon, authenticated, service_role;

-- schemas/certainty/verify_privileges.sql

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
    ('public.credit_invitations',
      'Owners and admins may read the invitations of their workspaces', 'authenticated')
$$;
comment on function credits.expected_policies() is
  'Every row level security policy of this system: each lets a role read, by account unless everybody may.';
revoke all on function credits.expected_policies() from public, anon, authenticated, service_role;

create function credits.relations_for_everybody()
returns setof name
language sql
immutable
security invoker
set search_path = ''
as $$
  values ('plans'::name), ('plan_limits'), ('credit_types'), ('credit_packs'), ('credit_price_books'),
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
    ('credits.prices', 'prices_are_never_truncated'),
    ('public.credit_balances', 'credit_balances_are_never_written'),
    ('public.plans', 'plans_keep_subscribed'),
    ('public.plans', 'plans_keep_subscribed_id'),
    ('public.plan_limits', 'plan_limits_make_version'),
    ('public.plan_limits', 'plan_limits_make_versions'),
    ('public.subscriptions', 'subscriptions_are_never_written'),
    ('credits.plan_versions', 'plan_versions_are_kept'),
    ('credits.plan_versions', 'plan_versions_are_not_truncated'),
    ('credits.plan_version_limits', 'plan_version_limits_are_kept'),
    ('credits.plan_version_limits', 'plan_version_limits_are_not_truncated'),
    ('credits.subscription_events', 'subscription_events_are_kept'),
    ('public.credit_workspaces', 'credit_workspaces_open_account'),
    ('public.credit_workspaces', 'credit_workspaces_follow_deleted'),
    ('public.credit_workspace_members', 'credit_workspace_members_release_holds'),
    ('public.credit_workspace_members', 'credit_workspace_members_change_topic'),
    ('public.credit_workspace_members', 'credit_workspace_members_pass_ownership_on'),
    ('auth.users', 'credits_open_account'),
    ('auth.users', 'credits_close_account'),
    ('auth.users', 'credits_follow_user')
$$;
comment on function credits.expected_triggers() is 'The triggers that keep the books, and keep them from being changed.';
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
    select c.oid, c.oid::regclass::text as name, c.relname, c.relkind, c.relrowsecurity, c.relowner, c.relacl,
      n.nspname = 'public' as is_public
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'm', 'p', 'f') and (
      n.nspname = 'credits' or n.nspname = 'public' and c.relname in (select credits.public_relations()))
  ), functions as (
    select p.oid, p.oid::regprocedure::text as name, n.nspname = 'public' as is_public, p.proname, p.proconfig, p.prosecdef,
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
    where n.nspname = 'credits' or n.nspname = 'public' and p.proname in (select credits.public_functions())
  ), compared as (
    select o.name || ' may be written by ' || r.name as what, not (
      has_table_privilege(r.name, o.oid, 'insert, update, delete, truncate, references, trigger')
      or has_any_column_privilege(r.name, o.oid, 'insert, update, references')) as ok
    from ours o cross join roles r
    union all
    select format('%s %s read by %s', o.name, case when x.should then 'cannot be' else 'may be' end, r.name),
      (has_table_privilege(r.name, o.oid, 'select')) = x.should and (x.should or not has_any_column_privilege(r.name, o.oid, 'select'))
    from ours o cross join roles r cross join lateral (
      -- The schema credits is closed to all of them; what the view and the policies read in it is granted all the same.
      select case r.name
        when 'anon' then o.relname in (select credits.relations_for_everybody())
        else o.is_public or o.relname in (select credits.relations_for_everybody())
          or o.relname in ('balances', 'settings', 'subscriptions') end as should) x
    union all
    select format('%s may be used by %s', o.name, coalesce(x.grantee::regrole::text, 'anybody')), x.privilege_type = 'SELECT'
    from ours o cross join lateral aclexplode(o.relacl) x
    where x.grantee <> o.relowner and (x.grantee = 0 or x.grantee::regrole::name not in (select r.name from roles r))
    union all
    select o.name || ' has no row level security', o.relrowsecurity or o.relkind = 'v'
    from ours o
    union all
    select 'the policy "' || coalesce(e.policy, y.polname) || '" on ' || coalesce(e.relation, y.relation)
        || case when e.policy is null then ' is not of this system' when y.polname is null then ' is missing' else ' was changed' end,
      y.is_sane and y.roles = e.roles
    from credits.expected_policies() e
    full join (
      select p.polname, n.nspname || '.' || c.relname as relation, (
          select string_agg(a.rolname, ', ' order by a.rolname) from pg_catalog.pg_roles a where a.oid = any (p.polroles)) as roles,
        p.polcmd = 'r' and p.polpermissive and p.polwithcheck is null
          and regexp_replace(pg_catalog.pg_get_expr(p.polqual, p.polrelid), '\s+', '', 'g') = case
            when c.relname in (select credits.relations_for_everybody())
              or c.relname = 'settings' then 'true'
            when c.relname in ('credit_transactions', 'credit_reservations') then
              '((account_id=ANY(credits.readable_ids()))AND((user_id=account_id)OR(user_id=credits.reader_id())'
              'OR(account_id=ANY(credits.overseen_ids()))))'
            when c.relname = 'credit_notifications' then
              '((account_id=ANY(credits.readable_ids()))AND(user_id=credits.reader_id()))'
            when c.relname = 'credit_invitations' then
              '((account_id=ANY(credits.readable_ids()))AND(account_id=ANY(credits.overseen_ids())))'
            else '(account_id=ANY(credits.readable_ids()))' end as is_sane
      from pg_catalog.pg_policy p
      join ours o on o.oid = p.polrelid
      join pg_catalog.pg_class c on c.oid = p.polrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    ) y on y.relation = e.relation and y.polname = e.policy
    union all
    select format('%s %s called by %s', f.name, case when x.should then 'cannot be' else 'may be' end, r.name),
      has_function_privilege(r.name, f.oid, 'execute') = x.should
    from functions f cross join roles r cross join lateral (
      select case when f.is_public then r.name = 'service_role' or exists (
          select 1 from credits.public_callers() k where k.function = f.proname and k.role = r.name)
        else f.serves_readers and r.name <> 'anon' or f.proname in ('readable_ids', 'overseen_ids', 'reader_id') and r.name = 'authenticated' end as should) x
    union all
    select f.name || ' may be called by anybody', false
    from functions f cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) x where x.grantee = 0
    union all
    select format('%s runs with the rights of its %s', f.name, case when f.prosecdef then 'owner' else 'caller' end),
      f.prosecdef <> f.reads_for_users
    from functions f where f.is_public
    union all
    select 'the function public.' || e.name || case when count(f.oid) = 0 then ' is missing' else ' is there twice' end, count(f.oid) = 1
    from credits.public_functions() as e(name) left join functions f on f.is_public and f.proname = e.name
    group by e.name
    union all
    select f.name || ' has no fixed search_path', coalesce('search_path=""' = any (f.proconfig), false)
    from functions f where f.prokind <> 'a'
    union all
    select 'the schema credits is open to ' || r.name,
      not has_schema_privilege(r.name, 'credits', 'usage') and not has_schema_privilege(r.name, 'credits', 'create')
    from roles r
    union all
    select a.rolname || ' sees past row level security', not a.rolsuper and (a.rolname = 'service_role' or not a.rolbypassrls)
    from pg_catalog.pg_roles a join roles r on r.name = a.rolname
    union all
    select x.name || ' belongs to ' || x.owner::regrole::text, x.owner = n.nspowner
    from (select o.name, o.relowner as owner from ours o union all select f.name, f.proowner from functions f) x
    join pg_catalog.pg_namespace n on n.nspname = 'credits'
    union all
    select format('%s may act as %s, who owns the books', r.name, n.nspowner::regrole::text), not pg_has_role(r.name, n.nspowner, 'member')
    from roles r join pg_catalog.pg_namespace n on n.nspname = 'credits'
    union all
    select format('the trigger %s on %s is missing or disabled', w.trigger, w.relation), exists (
      select 1 from pg_catalog.pg_trigger g
      where g.tgrelid = to_regclass(w.relation) and g.tgname = w.trigger and g.tgenabled in ('O', 'A'))
    from credits.expected_triggers() w
  )
  select count(*), coalesce(jsonb_agg(c.what) filter (where c.ok is not true and c.nth <= 10), '[]')
  from (select c.*, row_number() over (partition by c.ok is not true order by c.what) as nth from compared c) c
$$;
comment on function credits.verify_privileges() is
  'Rule 8: who may do what is exactly as it was made. Nobody may write a table, only the service role may move credits, users read their own rows, and the ledger''s guards stand.';
revoke all on function credits.verify_privileges() from public, anon, authenticated, service_role;

-- schemas/doctor/api_roles.sql

-- Whose requests the API runs, and how to try something as one of them.

create function credits.api_roles()
returns table (name name)
language sql
stable
security invoker
set search_path = ''
as $$
  select r.rolname from pg_catalog.pg_roles r
  where r.rolname in ('anon', 'authenticated')
    or not r.rolsuper and r.rolname !~ '^(pg_|supabase_)' and r.rolname not in ('authenticator', 'service_role', 'postgres')
      and to_regrole('authenticator') is not null
      and pg_has_role('authenticator', r.oid, 'member')
$$;
comment on function credits.api_roles() is
  'Whose requests PostgREST runs, but for the service role: anon, authenticated, and roles of the project''s own.';
revoke all on function credits.api_roles() from public, anon, authenticated, service_role;

create function credits.call_as_user(p_role text, p_statement text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select format('begin; %sset local role %I; select set_config(''request.jwt.claims'', ''{"sub": "<id of some user>"}'', true); %s; rollback;',
    -- A role of one's own is one that its maker may hand out, and not yet act as.
    case when p_role in ('anon', 'authenticated') then '' else format('grant %I to current_user; ', p_role) end, p_role, p_statement)
$$;
comment on function credits.call_as_user(text, text) is
  'A script for the SQL editor that does something the way the API would, and takes it back.';
revoke all on function credits.call_as_user(text, text) from public, anon, authenticated, service_role;

-- schemas/doctor/diagnose.sql

-- edge: result=Diagnosis callers=service_role repeatable slow
--   Inspect the credit system: what was changed, who may do what, how it runs.
create function public.diagnose()
returns jsonb
language sql
stable
security definer
set search_path = ''
-- Many small queries over estimates of many rows: compiling them takes ten times longer than running them.
set jit = off
as $$
  with findings as (
    select f.*, array_position('{critical, high, medium, low, info}', f.severity) as rank
    from (
      select i.* from credits.diagnose_installation() i
      union all
      select o.* from credits.diagnose_operation() o
    ) f
  )
  select jsonb_build_object(
    'success', coalesce(min(f.rank), 5) > 2,
    'code', case when coalesce(min(f.rank), 5) > 2 then 'ok' else 'findings' end,
    'server_version', current_setting('server_version'),
    'findings', coalesce(jsonb_agg(jsonb_build_object(
      'code', f.code, 'severity', f.severity, 'object', f.object, 'meaning', f.meaning, 'how_to_try', f.how_to_try,
      'how_to_mend', f.how_to_mend) order by f.rank, f.code, f.object), '[]'))
  from findings f
$$;
comment on function public.diagnose() is
  'Inspects the credit system here: what is not as it was made, who may do what, how it runs. '
  'Answers findings with code, severity, object, meaning, how_to_try and how_to_mend; success is '
  'false when one is critical or high. Changes nothing. The project''s own code is read by '
  '`sonas doctor`.';
revoke all on function public.diagnose() from public, anon, authenticated, service_role;
grant execute on function public.diagnose() to service_role;

-- schemas/doctor/diagnose_drift.sql

create function credits.make_again(p_object text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  -- The definition of a function is too long to be shown. Made anew it has to be closed again, and a view has triggers.
  select format('do $mend$ declare d text; begin for d in select i.definition from credits.installed_objects i where i.object in (%1$L, %2$L) or i.object like %3$L order by i.object <> %1$L loop execute d; end loop; end $mend$;',
    p_object, 'privileges on ' || regexp_replace(p_object, '^view ', 'table '), 'trigger % on ' || regexp_replace(p_object, '^[a-z]+ ', ''))
$$;
comment on function credits.make_again(text) is 'The statement that makes a function or view again as it was installed.';
revoke all on function credits.make_again(text) from public, anon, authenticated, service_role;

create function credits.drop_of(p_object text, p_kind text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select case p_kind
    when 'constraint' then regexp_replace(p_object, '^constraint (.*) on ([^ ]*)$', 'alter table \2 drop constraint \1;')
    when 'column' then regexp_replace(p_object, '^column (.*)\.("[^"]*"|[^.]*)$', 'alter table \1 drop column \2;')
    else 'drop ' || p_object || ';' end
$$;
comment on function credits.drop_of(text, text) is 'The statement that takes an object of own_objects away.';
revoke all on function credits.drop_of(text, text) from public, anon, authenticated, service_role;

create function credits.diagnose_drift()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with guards(object, severity, meaning) as (values
    ('trigger credit_transactions_are_append_only on public.credit_transactions', 'critical', 'The ledger can be changed by whoever owns it.'),
    ('trigger credit_transactions_are_never_truncated on public.credit_transactions', 'critical', 'The ledger can be emptied by whoever owns it.'),
    ('trigger credits_open_account on auth.users', 'medium', 'A new user has no account until the first call, and no balance to show until then.'),
    ('trigger credits_close_account on auth.users', 'medium', 'The account of a deleted user stays open.'),
    ('trigger credits_follow_user on auth.users', 'medium',
      'The account of a user whom Auth deletes softly stays open, and anonymous users who sign up get no free credits.'),
    ('trigger plan_limits_make_version on public.plan_limits', 'high', 'A changed figure makes no version of the plan, and reaches no account.')
  ), compared as materialized (
    select coalesce(i.object, o.object) as object, coalesce(i.kind, o.kind) as kind, i.definition as installed, o.definition as found,
      -- Another major version may write the same definition in other words.
      i.server_major = current_setting('server_version_num')::integer / 10000 as is_comparable,
      format('select i.definition as installed, o.definition as found from credits.installed_objects i full join credits.own_objects() o using (object) where object = %L;',
        coalesce(i.object, o.object)) as how_to_try,
      coalesce(substring(coalesce(i.object, o.object) from '^(?:column|default of column) (.*)\.[^.]*$'),
        substring(coalesce(i.object, o.object) from '^(?:constraint|trigger|policy) .* on ([^ ]*)$')) as of_table
    from credits.installed_objects i full join credits.own_objects() o on o.object = i.object
  )
  select 'guard_is_missing', coalesce(g.severity, 'high'), c.object, coalesce(g.meaning, 'What it sees to is no longer seen to.'), c.how_to_try,
    case when c.found is null then c.installed
      else regexp_replace(c.object, '^trigger (.*) on ([^ ]*)$', 'alter table \2 enable trigger \1;') end
  from compared c left join guards g on g.object = c.object
  where c.kind = 'trigger' and c.installed is not null and to_regclass(c.of_table) is not null
    and (c.found is null or c.found ~ ' (disable|enable replica) trigger ' and c.installed !~ ' (disable|enable replica) trigger ')

  union all
  select 'index_is_missing', 'medium', substring(c.object from '^index (.*)$'), 'The index is gone: what it is for reads the whole table.', c.how_to_try, c.installed
  from compared c where c.kind = 'index' and c.found is null

  union all
  select 'index_is_missing', 'medium', i.indexrelid::regclass::text, 'The index is not valid: what it is for reads the whole table.',
    format('select indisvalid from pg_index where indexrelid = %L::regclass;', i.indexrelid::regclass),
    format('reindex index concurrently %s;', i.indexrelid::regclass)
  from pg_catalog.pg_index i join credits.own_relations() r on r.oid = i.indrelid
  where not i.indisvalid and not r.is_usage

  union all
  select 'object_is_missing', case when c.kind in ('table', 'column') then 'critical' else 'high' end, c.object,
    'It is gone. Calls that need it fail, or what it kept out gets in.', c.how_to_try,
    case c.kind when 'table' then 'Restore it from a backup: docs/runbook.md says how.' when 'column' then 'Restore it from a backup: docs/runbook.md says how.'
      when 'constraint' then c.installed when 'policy' then c.installed when 'type' then c.installed else credits.make_again(c.object) end
  from compared c
  where c.found is null and c.kind not in ('trigger', 'index', 'privileges', 'default', 'sequence')
    and (c.of_table is null or to_regclass(c.of_table) is not null)

  union all
  select case c.kind when 'privileges' then 'privileges_were_changed' else 'object_was_changed' end,
    case when c.kind in ('index', 'default', 'type') then 'medium' else 'high' end,
    regexp_replace(c.object, '^privileges on (table |function |sequence )?', ''),
    case when c.kind in ('function', 'view') then 'It is no longer what the migrations made: it may do something else than the documentation says.'
      when c.kind = 'privileges' then format('Who may do what is no longer as it was installed. Now: %s', c.found)
      else format('It is no longer what the migrations made. Now: %s', c.found) end,
    c.how_to_try,
    case when c.kind in ('function', 'view') then credits.make_again(c.object)
      when c.kind in ('trigger', 'constraint', 'policy', 'index') then credits.drop_of(c.object, c.kind) || ' ' || c.installed
      when c.installed is null then c.found
      when c.kind = 'type' then 'Labels that were added stay; no function uses them.'
      else c.installed end
  from compared c
  where c.found is distinct from c.installed and (c.is_comparable and c.found is not null and c.installed is not null
      -- A privilege on a column alone, where none was.
      or c.kind = 'privileges' and c.installed is null and c.object like 'privileges on column %')
    and not (c.kind = 'trigger' and c.found ~ ' (disable|enable replica) trigger ')
    -- Told of already: search_path_is_open.
    and not (c.kind = 'function' and c.found !~ 'SET search_path TO ''''')

  union all
  select 'object_was_added', 'low', c.object,
    case when c.kind in ('trigger', 'constraint') then 'It is not the credit system''s. It runs inside its operations, and where it fails they fail.'
      when c.kind = 'policy' then 'It is not the credit system''s. It decides which rows users see.'
      else 'It is not the credit system''s, and no migration knows it.' end,
    c.how_to_try, credits.drop_of(c.object, c.kind) || '  -- unless it is yours and meant to be there'
  from compared c
  where c.installed is null and c.kind not in ('privileges', 'default', 'index', 'sequence')
    -- What stands in public is looked at by name: function_is_overloaded, policy_widens_reading.
    and not (c.kind = 'function' and c.object like 'function public.%')
    and not (c.kind = 'policy' and c.found ~ ' as permissive ')
    and (c.of_table is null or c.of_table = 'auth.users' or exists (
      select from credits.installed_objects i where i.object in ('table ' || c.of_table, 'view ' || c.of_table)))
$$;
comment on function credits.diagnose_drift() is
  'What is gone, changed or added since the migrations ran.';
revoke all on function credits.diagnose_drift() from public, anon, authenticated, service_role;

create function credits.diagnose_installation()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with privileges as materialized (select p.* from credits.diagnose_privileges() p)
  select p.* from privileges p
  union all
  select s.* from credits.diagnose_surroundings() s
  union all
  -- That privileges differ is said of what nothing plainer is said of.
  select d.* from credits.diagnose_drift() d
  where d.code <> 'privileges_were_changed' or regexp_replace(d.object, '^column (.*)\.[^.]*$', '\1') not in (select p.object from privileges p)
$$;
comment on function credits.diagnose_installation() is
  'What of the credit system is no longer as its migrations made it.';
revoke all on function credits.diagnose_installation() from public, anon, authenticated, service_role;

-- schemas/doctor/diagnose_installation.sql

create function credits.diagnose_privileges()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with roles(name) as (
    select r.name from credits.api_roles() r union all values ('service_role'::name)),
  tables as (
    select o.oid, o.name, c.relname, c.relkind, c.relrowsecurity, c.relnamespace
    from credits.own_relations() o join pg_catalog.pg_class c on c.oid = o.oid
    where o.kind in ('table', 'view') and not o.is_usage
  ), functions as (
    select o.oid, o.name, p.proname, p.proconfig, p.prokind, p.pronamespace = 'public'::regnamespace as is_edge
    from credits.own_functions() o join pg_catalog.pg_proc p on p.oid = o.oid
  )
  select 'table_may_be_written', 'critical', t.name,
    format('%s may %s it, past every rule of the credit system.', r.name, string_agg(e.event, ', ' order by e.event)),
    format('select has_table_privilege(%L, %L, %L);', r.name, t.name, min(e.event)),
    format('revoke insert, update, delete, truncate on table %s from public, %I;', t.name, r.name)
  from tables t cross join roles r cross join (values ('insert'), ('update'), ('delete'), ('truncate')) as e(event)
  where has_table_privilege(r.name, t.oid, e.event)
    or e.event in ('insert', 'update') and has_any_column_privilege(r.name, t.oid, e.event)
  group by t.name, r.name

  union all
  select 'table_cannot_be_read', 'medium', t.name,
    format('%s may not read it, so the app shows nothing where it should show %s.', r.name, t.relname),
    format('select has_table_privilege(%L, %L, ''select'');', r.name, t.name),
    format('grant select on table %s to %I;', t.name, r.name)
  from tables t cross join roles r
  where t.relnamespace = 'public'::regnamespace
    and r.name in ('anon', 'authenticated', 'service_role') and (r.name <> 'anon' or t.relname in ('plans', 'plan_limits')) and not has_table_privilege(r.name, t.oid, 'select')

  union all
  select 'row_security_is_off', 'critical', t.name,
    'Row level security is off: a user who may read it reads everybody''s rows.',
    format('select relrowsecurity from pg_class where oid = %L::regclass;', t.name),
    format('alter table %s enable row level security;', t.name)
  from tables t where t.relkind <> 'v' and not t.relrowsecurity

  union all
  select 'policy_widens_reading', 'high', y.polrelid::regclass::text,
    format('The policy %I is not the system''s, and shows users more than their own rows: %s.', y.polname,
      coalesce(pg_catalog.pg_get_expr(y.polqual, y.polrelid), 'true')),
    credits.call_as_user('authenticated', format('select * from %s limit 5', y.polrelid::regclass)),
    format('drop policy %I on %s;', y.polname, y.polrelid::regclass)
  from pg_catalog.pg_policy y join tables t on t.oid = y.polrelid
  where y.polpermissive and t.relname not in ('plans', 'plan_limits', 'credit_types', 'settings')
    and not exists (select from credits.installed_objects i where i.object = format('policy %I on %s', y.polname, t.name))
    and (coalesce(pg_catalog.pg_get_expr(y.polqual, y.polrelid), 'true') !~ 'readable_ids|auth\.uid'
      or pg_catalog.pg_get_expr(y.polqual, y.polrelid) ~* '\mor\M|\mtrue\M')

  union all
  select 'function_may_be_called', 'critical', f.name,
    format('%s may call it over the API, and it is for the service role alone: credits can be moved by anybody who has the public key.', r.name),
    format('select has_function_privilege(%L, %L, ''execute'');', r.name, f.name),
    format('revoke execute on function %s from public, %I;', f.name, r.name)
  from functions f cross join roles r
  where f.is_edge and has_function_privilege(r.name, f.oid, 'execute')
    and r.name <> 'service_role' and not exists (
      select 1 from credits.public_callers() k where k.function = f.proname and k.role = r.name)

  union all
  select 'function_cannot_be_called', 'high', f.name,
    format('%s may not call it, so calls from the app fail with "permission denied".', r.name),
    format('select has_function_privilege(%L, %L, ''execute'');', r.name, f.name),
    format('grant execute on function %s to %I;', f.name, r.name)
  from functions f cross join roles r
  where f.is_edge and not has_function_privilege(r.name, f.oid, 'execute')
    and (r.name = 'service_role' or exists (
      select 1 from credits.public_callers() k where k.function = f.proname and k.role = r.name))

  union all
  select 'function_is_overloaded', 'high', 'public.' || quote_ident(f.proname),
    'There are several functions of this name: PostgREST cannot tell which of them a call means.',
    format('select oid::regprocedure from pg_proc where proname = %L;', f.proname),
    'Drop or rename the one that is not of the credit system.'
  from functions f where f.is_edge group by f.proname having count(*) > 1

  union all
  select 'search_path_is_open', 'high', f.name,
    'Its search_path is no longer fixed: names in it may be looked up where a caller wants them to be.',
    format('select proconfig from pg_proc where oid = %L::regprocedure;', f.name),
    format('alter function %s set search_path = '''';', f.name)
  from functions f where f.prokind <> 'a' and not coalesce('search_path=""' = any (f.proconfig), false)

  union all
  select 'core_is_open', 'critical', 'schema credits',
    format('%s may use the schema, and with it what policies and views are granted in it.', r.name),
    format('select has_schema_privilege(%L, ''credits'', ''usage'');', r.name),
    format('revoke all on schema credits from public, %I;', r.name)
  from roles r where has_schema_privilege(r.name, 'credits', 'usage')

  union all
  select 'core_is_exposed', 'critical', 'schema credits',
    'The API serves the schema: its tables and functions are one wrong grant away from everybody.',
    'curl "$SUPABASE_URL/rest/v1/accounts" -H "Accept-Profile: credits" -H "apikey: $SUPABASE_PUBLISHABLE_KEY"',
    'Take credits out of the exposed schemas (Dashboard, Settings, API; or [api] schemas in config.toml).'
  from pg_catalog.pg_db_role_setting s cross join unnest(s.setconfig) as c(setting)
  where c.setting ~ '^pgrst\.db[_-]schemas=' and c.setting ~ '[=, "'']credits[, "'']*($|,)'
$$;
comment on function credits.diagnose_privileges() is
  'What the API''s roles may do with the credit system that they should not, and what they should and may not.';
revoke all on function credits.diagnose_privileges() from public, anon, authenticated, service_role;

-- schemas/doctor/diagnose_operation.sql

create function credits.diagnose_jobs()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
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
      'It is not enabled here. Nothing depends on it: balances are right without it, and what is due is booked with the next operation.',
      'select * from pg_extension where extname = ''pg_cron'';',
      'Where reports read renewals of users who do not come by: enable pg_cron and schedule it as in the migration schedule, or run `sonas reset --all` from time to time.';
    return;
  end if;
  -- The tables belong to an extension that may not be here, so the statement is made when it runs.
  execute format($query$
    select j.jobname, j.active, d.status, d.return_message, d.start_time
    from %1$s j
    left join lateral (
      select r.status, r.return_message, r.start_time from %2$s r
      where r.jobid = j.jobid and r.status in ('succeeded', 'failed') order by r.start_time desc limit 1) d on true
    where j.command ilike '%%reset_monthly_credits%%'
    order by j.active desc limit 1 $query$, v_jobs, to_regclass('cron.job_run_details'))
    into v_name, v_is_active, v_status, v_message, v_started_at;
  if v_is_active is null then
    return query select 'job_missing', 'low', 'cron.job', 'pg_cron is enabled, but nothing books renewals with it.',
      'select jobname, schedule, command from cron.job;',
      'select cron.schedule(''sonas-renew-credits'', ''* * * * *'', ''select public.reset_monthly_credits()'');';
  elsif not v_is_active then
    return query select 'job_inactive', 'low', 'cron.job ' || coalesce(v_name, ''), 'The job that books renewals is switched off.',
      'select jobname, active from cron.job;',
      format('select cron.alter_job(jobid, active => true) from cron.job where jobname = %L;', v_name);
  elsif v_status = 'failed' then
    return query select 'job_fails', 'medium', 'cron.job ' || coalesce(v_name, ''),
      'The job that books renewals failed at its last run: ' || coalesce(v_message, 'no message'),
      'select status, return_message, start_time from cron.job_run_details order by start_time desc limit 5;',
      'Run select public.reset_monthly_credits(); as the role postgres, and mend what it says.';
  elsif coalesce(v_started_at < statement_timestamp() - interval '1 day', false) then
    return query select 'job_stands_still', 'medium', 'cron.job ' || coalesce(v_name, ''),
      format('The job that books renewals has last run %s ago.', date_trunc('hour', statement_timestamp() - v_started_at)),
      'select max(start_time) from cron.job_run_details;', 'Restart the database; pg_cron''s worker has stopped.';
  end if;
exception when insufficient_privilege then
  return query select 'job_unknown', 'info', 'cron.job', 'The role that owns the credit system may not look at pg_cron''s tables.',
    'select * from cron.job;', 'grant usage on schema cron to postgres; grant select on all tables in schema cron to postgres;';
end
$$;
comment on function credits.diagnose_jobs() is 'Whether pg_cron is there, and whether its job books renewals.';
revoke all on function credits.diagnose_jobs() from public, anon, authenticated, service_role;

create function credits.diagnose_operation()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  select j.* from credits.diagnose_jobs() j

  union all
  select 'renewals_pending', 'low', 'credits.balances',
    format('%s accounts have had something to be booked for more than two days. Their balances are shown right all the same; only the ledger lags behind.', count(distinct b.account_id)),
    'select (system_status() ->> ''due'')::bigint;', 'select reset_monthly_credits();  -- or: sonas reset --all'
  from credits.balances b
  where b.test_now is null and not b.is_floating and b.account_status <> 'closed' and b.due_at < statement_timestamp() - interval '2 days' and isfinite(b.due_at)
  having count(*) > 0

  union all
  select 'uncollected', 'medium', 'credits.uncollected',
    format(case u.kind when 'charge' then 'Work for %s %s credits was done and could not be charged, in %s cases, the last at %s.'
      else '%s %s credits were charged for what failed and could not be given back, in %s cases, the last at %s.' end,
      sum(u.amount), u.credit_type, count(*), max(u.created_at)),
    'select list_uncollected();',
    case u.kind when 'charge' then 'Look at each: charge it by hand or forgive it, then resolve_uncollected(user, id, what came of it).'
      else 'Look at each: refund_credits or grant_credits, then resolve_uncollected(user, id, what came of it).' end
  from credits.uncollected u
  where u.resolved_at is null
  group by u.kind, u.credit_type

  union all
  select 'accounts_missing', 'medium', 'auth.users',
    format('%s users have no account: something stopped the trigger when they signed up. Their first call opens it; until then they see no balance.', count(*)),
    'select u.id from auth.users u where not exists (select from credits.accounts a where a.account_id = u.id) limit 10;',
    'select get_credit_summary(u.id) from auth.users u where not exists (select from credits.accounts a where a.account_id = u.id);'
  from auth.users u
  where not exists (select from credits.accounts a where a.account_id = u.id)
  having count(*) > 0

  union all
  select 'accounts_of_one_person', 'info', 'credits.account_identities',
    format('%s people have more than one open account, the busiest of them %s. Only one of each has free credits.',
      count(*), max(i.accounts)),
    'select i.identity, count(*) from credits.account_identities i join credits.accounts a using (account_id) where a.status <> ''closed'' group by i.identity having count(*) > 1;',
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
    format('%s accounts are open whose user or workspace is gone. They spend nothing; their holds and plans still have to be ended.', count(*)),
    'select a.account_id from credits.accounts a where a.status <> ''closed'' and not credits.is_living(a.account_id) limit 10;',
    'select credits.follow_account(a.account_id) from credits.accounts a where a.status <> ''closed'' and not credits.is_living(a.account_id);'
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
    'No plan is the default, so new users get no account.', 'select id from plans where is_default;',
    'update plans set is_default = true where id = ''free'';'
  where not exists (select from public.plans p where p.is_default)
$$;
comment on function credits.diagnose_operation() is
  'How the system runs: jobs, renewals that wait, users without an account, the server''s version.';
revoke all on function credits.diagnose_operation() from public, anon, authenticated, service_role;

-- schemas/doctor/diagnose_surroundings.sql

create function credits.diagnose_surroundings()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with owner as (
    select n.nspowner as oid, quote_ident(pg_get_userbyid(n.nspowner)) as name from pg_catalog.pg_namespace n where n.nspname = 'credits'
  ), owned as (
    select case when r.kind = 'sequence' then 'sequence ' when r.kind = 'table' then 'table ' else r.kind || ' ' end || r.name as what, c.relowner as owner
    from credits.own_relations() r join pg_catalog.pg_class c on c.oid = r.oid
    where not r.is_usage
      and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i'))
    union all
    select f.kind || ' ' || f.name, p.proowner from credits.own_functions() f join pg_catalog.pg_proc p on p.oid = f.oid
    union all
    select 'type ' || y.oid::regtype, y.typowner from pg_catalog.pg_type y where y.typnamespace = 'credits'::regnamespace and y.typtype in ('e', 'd')
  )
  select 'owner_was_changed', 'high', w.what,
    format('It belongs to %s, and the rest of the credit system to %s: its owner may change it, and what runs with its owner''s rights has other ones.', pg_get_userbyid(w.owner), o.name),
    'select nspowner::regrole from pg_namespace where nspname = ''credits'';',
    -- What a role held beside its ownership is gone with it.
    format('alter %s owner to %s; ', w.what, o.name) || coalesce((
      select i.definition from credits.installed_objects i
      where i.object = 'privileges on ' || regexp_replace(regexp_replace(w.what, '^view ', 'table '), '^(aggregate|procedure) ', 'function ')), '')
  from owned w cross join owner o where w.owner <> o.oid

  union all
  select 'role_is_too_strong', 'critical', 'role ' || quote_ident(r.name),
    format('%s is a member of %s, and may act as it.', r.name, s.rolname),
    format('select pg_has_role(%L, %L, ''member'');', r.name, s.rolname),
    format('revoke %I from %I;', s.rolname, r.name)
  from credits.api_roles() r
  join pg_catalog.pg_auth_members m on m.member = r.name::regrole
  join pg_catalog.pg_roles s on s.oid = m.roleid
  where pg_has_role(s.oid, 'service_role', 'member') or pg_has_role(s.oid, (select o.oid from owner o), 'member') or s.rolsuper
    or s.rolbypassrls or s.rolname ~ '^pg_(read|write)_all_data$'

  union all
  select 'role_is_too_strong', 'critical', 'role ' || quote_ident(r.rolname),
    format('%s passes row level security: it reads every row of what it may read.', r.rolname),
    format('select rolbypassrls, rolsuper from pg_roles where rolname = %L;', r.rolname),
    format('alter role %I nosuperuser nobypassrls;', r.rolname)
  from credits.api_roles() a join pg_catalog.pg_roles r on r.rolname = a.name
  where r.rolbypassrls or r.rolsuper

  union all
  select 'schema_is_open', 'high', 'schema public',
    format('%s may create objects in it: functions and types whose names come before those that code without a fixed search_path means.', r.name),
    format('select has_schema_privilege(%L, ''public'', ''create'');', r.name),
    format('revoke create on schema public from public, %I;', r.name)
  from (select a.name from credits.api_roles() a union all values ('service_role'::name)) r where has_schema_privilege(r.name, 'public', 'create')

  union all
  select 'schema_cannot_be_used', 'high', 'schema public',
    format('%s may not use the schema, so every call of it fails with "permission denied".', r.name),
    format('select has_schema_privilege(%L, ''public'', ''usage'');', r.name),
    format('grant usage on schema public to %I;', r.name)
  from (values ('anon'), ('authenticated'), ('service_role')) as r(name) where not has_schema_privilege(r.name, 'public', 'usage')

  union all
  select distinct 'defaults_are_open', 'medium', 'schema credits',
    format('What %s creates in it from now on is open to %s by default.', d.defaclrole::regrole, g.name),
    'select * from pg_default_acl where defaclnamespace = ''credits''::regnamespace;',
    format('alter default privileges for role %s in schema credits revoke all on %s from %s;', d.defaclrole::regrole,
      case d.defaclobjtype when 'f' then 'functions' when 'S' then 'sequences' when 'T' then 'types' else 'tables' end, g.name)
  from pg_catalog.pg_default_acl d
  cross join aclexplode(d.defaclacl) x
  cross join lateral (select case x.grantee when 0 then 'public' else x.grantee::regrole::text end as name) g
  where d.defaclnamespace = 'credits'::regnamespace and x.grantee <> d.defaclrole

  union all
  select 'core_is_published', 'high', format('publication %I', p.pubname),
    'It sends the rows of ' || t.name || ' to whoever follows it. Realtime looks at policies; other followers do not.',
    format('select * from pg_publication_tables where pubname = %L and schemaname = ''credits'';', p.pubname),
    case when t.in_schema then format('alter publication %I drop tables in schema credits;', p.pubname)
      else format('alter publication %I drop table %s;', p.pubname, t.name) end
  from pg_catalog.pg_publication p
  join (
    select r.prpubid as oid, o.name, false as in_schema from pg_catalog.pg_publication_rel r join credits.own_relations() o on o.oid = r.prrelid
    where o.name like 'credits.%'
    union all
    select n.pnpubid, 'the schema credits', true from pg_catalog.pg_publication_namespace n where n.pnnspid = 'credits'::regnamespace
  ) t on t.oid = p.oid
$$;
comment on function credits.diagnose_surroundings() is
  'What around the objects of the credit system decides who reaches them: owners, roles, schemas, default privileges, publications.';
revoke all on function credits.diagnose_surroundings() from public, anon, authenticated, service_role;

-- schemas/moving/export_account.sql

create function credits.account_tables()
returns table (name text, found_by text, ordered_by text)
language sql
stable
security invoker
set search_path = ''
as $$
  select o.name,
    -- $1 is the person, $2 the accounts that they may have acted on. A usage table of the project's
    -- names no account.
    concat_ws(' or ',
      case when t.has_account then 'r.account_id = $1' end,
      case when t.has_user then case when t.has_account and not o.is_usage
        then 'r.account_id = any ($2) and ' else '' end
        || 'r.user_id = $1' end,
      -- Who asked is in the request, or for a spend in the ledger.
      case when t.has_request then 'r.account_id = any ($2) and (r.request ->> ''user_id'' = $1::text
        or r.request is null and exists (select 1 from public.credit_transactions o
          where o.account_id = r.account_id and o.operation_id = r.operation_id and o.user_id = $1))' end),
    concat_ws(', ', case when t.has_time then 'r.created_at' end, coalesce((
      select string_agg(format('r.%I', a.attname), ', '
        order by array_position(i.indkey::smallint[], a.attnum))
      from pg_catalog.pg_index i
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
      where i.indrelid = o.oid and i.indisprimary), 'to_jsonb(r)'))
  from credits.own_relations() o
  cross join lateral (
    select bool_or(a.attname = 'account_id' and a.atttypid = 'uuid'::regtype) as has_account,
      bool_or(a.attname = 'user_id' and a.atttypid = 'uuid'::regtype) as has_user,
      bool_or(a.attname = 'request' and a.atttypid = 'jsonb'::regtype) as has_request,
      bool_or(a.attname = 'created_at') as has_time
    from pg_catalog.pg_attribute a where a.attrelid = o.oid and a.attnum > 0
      and not a.attisdropped) t
  -- What a provider charged is the seller's, and says nothing about anybody.
  where o.kind = 'table' and (t.has_account or t.has_user) and o.name <> 'credits.operation_costs'
$$;
comment on function credits.account_tables() is
  'The system''s tables that have rows of somebody, how these are found and in which order they '
  'come: read from the catalog so that none is forgotten.';
revoke all on function credits.account_tables() from public, anon, authenticated, service_role;

create function credits.export_rows(p_account_id uuid, p_table text, p_offset bigint,
  p_limit integer)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
-- What a statement answers that is made when it runs, plpgsql_check cannot know.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_table record;
  v_rows jsonb;
begin
  select t.name, t.found_by, t.ordered_by into strict v_table from credits.account_tables() t
    where t.name = p_table;
  execute format(
    'select coalesce(jsonb_agg(to_jsonb(x)), ''[]'') from (
       select r.* from %s r where %s order by %s offset $3 limit $4) x',
    v_table.name, v_table.found_by, v_table.ordered_by)
    into v_rows
    using p_account_id, array(select a.account_id from credits.accounts a
      where a.kind = 'workspace'), p_offset, p_limit;
  return v_rows;
end
$$;
comment on function credits.export_rows(uuid, text, bigint, integer) is
  'The rows of somebody in one of the system''s tables, oldest first; p_limit null for all from '
  'p_offset on.';
revoke all on function credits.export_rows(uuid, text, bigint, integer) from public, anon,
  authenticated, service_role;

-- edge: result=AccountExport callers=service_role repeatable slow
--   Everything that is stored about one user, table by table, also of a closed account.
--
--   A user with very many rows does not fit into one answer: read one ``table`` after the other
--   then, ``limit`` rows from ``offset`` on, while ``more`` is True.
--
--   Raises:
--       InvalidArgument: no such table, or too much for one answer.
--       AccountNotFound.
create function public.export_account(
  p_user_id uuid, p_table text default null, p_offset bigint default null,
  p_limit integer default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_names text[] := array(select t.name from credits.account_tables() t order by t.name);
  v_name text;
  v_rows jsonb;
  v_tables jsonb := jsonb '{}';
  v_more boolean := false;
begin
  if not exists (select from credits.accounts a where a.account_id = p_user_id
    and a.kind = 'person') then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id));
  end if;
  if p_table is not null and p_table <> all (v_names) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_table',
      'value', p_table, 'known', v_names),
      'Pass one of the known tables, or none for all of them.');
  end if;
  if p_offset < 0 or p_offset is not null and p_table is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_offset"}',
      'Pass how many rows of p_table have been read.');
  end if;
  if p_limit < 1 or p_limit is not null and p_table is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_limit"}',
      'Pass how many rows of p_table to read, 1 or more.');
  end if;
  begin
    foreach v_name in array coalesce(case when p_table is not null then array[p_table] end,
      v_names) loop
      v_rows := credits.export_rows(p_user_id, v_name, coalesce(p_offset, 0), p_limit + 1);
      v_more := jsonb_array_length(v_rows) > p_limit;
      if v_more then
        v_rows := v_rows - -1;
      end if;
      v_tables := v_tables || jsonb_build_object(v_name, v_rows);
    end loop;
  exception when program_limit_exceeded then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', case
      when p_table is null then 'p_table' else 'p_limit' end),
      'It is too much for one answer. Read table by table (p_table), a number of rows at a time '
      '(p_offset, p_limit), as `sonas export` does.');
  end;
  return jsonb_build_object('success', true, 'code', 'ok', 'account_id', p_user_id,
    'exported_at', statement_timestamp(),
    'names', v_names, 'tables', v_tables, 'more', coalesce(v_more, false));
end
$$;
comment on function public.export_account(uuid, text, bigint, integer) is
  'Everything that the credit system has stored about one user, table by table: the rows of their '
  'account, and what they did in workspaces. Also of a closed account. With p_table, the rows of '
  'that table alone from p_offset on, p_limit at most; more says whether there are others. Raises '
  'account_not_found.';
revoke all on function public.export_account(uuid, text, bigint, integer) from public, anon,
  authenticated, service_role;
grant execute on function public.export_account(uuid, text, bigint, integer) to service_role;

-- schemas/moving/forget_account.sql

create table credits.forgotten_accounts (
  account_id uuid not null constraint forgotten_accounts_pkey primary key
    constraint forgotten_accounts_account_id_fkey references credits.accounts (account_id),
  forgotten_at timestamptz not null default clock_timestamp()
);
comment on table credits.forgotten_accounts is
  'People whose words were removed. Only for them does the ledger let description and metadata be '
  'blanked; its figures stay for ever.';
alter table credits.forgotten_accounts enable row level security;
revoke all on table credits.forgotten_accounts from public, anon, authenticated, service_role;

create function credits.forget_words(p_account_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_counts jsonb := jsonb '{}';
  v_count bigint;
  -- Their own account, and the workspaces that they may have acted in: by its account a row is
  -- found without reading all.
  v_accounts uuid[] := p_account_id || array(select a.account_id from credits.accounts a
    where a.kind = 'workspace');
  -- A project with a usage table of its own may want a text there.
  v_nothing text := (select case when a.attnotnull then '' end from pg_catalog.pg_attribute a
    where a.attrelid = 'public.usage'::regclass and a.attname = 'description');
begin
  -- What the calendar wrote about a plan's allowance are nobody's words, and the books are checked
  -- by them.
  update public.credit_transactions t set description = null, metadata = '{}'
  where t.account_id = any (v_accounts) and (t.account_id = p_account_id
    or t.user_id = p_account_id)
    and (t.description is not null or t.metadata <> '{}')
    and (t.kind in ('consume', 'capture', 'refund', 'void') or t.kind = 'grant' and not exists (
      select from public.credit_grants g
      where g.account_id = t.account_id and g.id = t.grant_id
        and g.source in ('plan', 'rollover')));
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('credit_transactions', v_count);

  update public.credit_grants g
  set description = null, metadata = '{}', void_reason = case when g.voided_at is not null
    then 'forgotten' end
  where g.account_id = p_account_id
    or g.account_id = any (v_accounts) and g.source not in ('plan', 'rollover') and exists (
      select from public.credit_transactions t
      where t.account_id = g.account_id and t.credit_type = g.credit_type and t.grant_id = g.id
        and t.user_id = p_account_id and t.kind in ('grant', 'void'));
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('credit_grants', v_count);

  update public.credit_reservations r set description = null, metadata = '{}', close_reason = null,
    -- What a workspace holds may be captured once more by somebody else, and is answered alike.
    answer = case when r.account_id <> p_account_id then r.answer end
  where r.account_id = any (v_accounts) and (r.account_id = p_account_id
    or r.user_id = p_account_id);
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('credit_reservations', v_count);

  update public.usage u set description = v_nothing, metadata = '{}'
  where u.account_id = p_account_id or u.user_id = p_account_id;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('usage', v_count);

  -- A closed account answers no request again. A workspace does, so its keys stay.
  update credits.idempotency_keys k
  set idempotency_key = 'forgotten:' || k.operation_id,
    request = case when k.request is not null
      then jsonb_build_object('function', k.request -> 'function') end,
    answer = case when k.answer is not null then jsonb_build_object('success', true,
      'operation_id', k.operation_id) end
  where k.account_id = p_account_id;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('idempotency_keys', v_count);
  update credits.idempotency_keys k
    set request = k.request - '{description, metadata, reason}'::text[]
  where k.account_id = any (v_accounts) and k.account_id <> p_account_id
    and k.request @> jsonb_build_object('user_id', p_account_id);

  delete from credits.stored_answers s where s.account_id = p_account_id;
  update credits.uncollected u
  set description = null, idempotency_key = 'forgotten:' || u.id,
    resolution = case when u.resolved_at is not null then 'forgotten' end
  where u.user_id = p_account_id;

  -- What was announced is told to no one any more.
  delete from public.credit_notifications n
  where n.account_id = p_account_id or n.user_id = p_account_id;
  delete from credits.outbox o where o.account_id = p_account_id;
  update credits.outbox o set user_id = null, data = o.data - 'user_id'
  where o.account_id = any (v_accounts) and o.user_id = p_account_id;
  delete from credits.message_preferences f where f.user_id = p_account_id;
  update public.credit_invitations i set email = 'forgotten:' || i.id
  where i.account_id = any (v_accounts) and i.used_by = p_account_id;

  -- The key of a row of the project's may be a name or an address.
  delete from credits.metered_rows m where m.account_id = p_account_id;
  update credits.accounts a set frozen_reason = null where a.account_id = p_account_id;
  perform credits.leave_workspaces(p_account_id);
  return v_counts;
end
$$;
comment on function credits.forget_words(uuid) is
  'Blanks every description, metadata, reason, key and request of a forgotten person, and takes '
  'them out of their workspaces.';
revoke all on function credits.forget_words(uuid) from public, anon, authenticated, service_role;

-- edge: result=Forgotten callers=service_role repeatable slow
--   Close a user's account for good and remove their words from the books, whose figures stay.
--
--   What Auth knows of the user is yours to delete.
--
--   Raises:
--       AccountNotFound.
create function public.forget_account(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_new boolean;
  v_at timestamptz;
begin
  if not exists (select from credits.accounts a where a.account_id = p_user_id
    and a.kind = 'person') then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id));
  end if;
  perform 1 from credits.balances b where b.account_id = p_user_id
    order by b.credit_type for no key update;
  update credits.accounts a set status = 'closed', closed_at = clock_timestamp()
  where a.account_id = p_user_id and a.status <> 'closed';
  update credits.balances b set account_status = 'closed' where b.account_id = p_user_id;
  insert into credits.forgotten_accounts (account_id) values (p_user_id)
    on conflict (account_id) do nothing;
  v_new := found;
  select f.forgotten_at into v_at from credits.forgotten_accounts f where f.account_id = p_user_id;
  return jsonb_build_object('success', true, 'code', 'ok', 'account_id', p_user_id,
    'forgotten_at', v_at,
    'rows', credits.forget_words(p_user_id), 'replayed', not v_new);
end
$$;
comment on function public.forget_account(uuid) is
  'Closes a user''s account for good and removes their words from the books: descriptions, '
  'metadata, reasons, idempotency keys. Ids, times and figures stay, so the books still balance. '
  'What Auth knows of the user is yours to delete. Raises account_not_found.';
revoke all on function public.forget_account(uuid) from public, anon, authenticated, service_role;
grant execute on function public.forget_account(uuid) to service_role;

-- schemas/moving/has_credits.sql

-- What a project's own policies ask: may this user's row be there, by the credits that the user has now?

create function credits.read_room(p_credit_type text, p_amount bigint)
returns bigint
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(p_amount, null, null, null);
  return credits.room_of(auth.uid(), p_credit_type);
end
$$;
comment on function credits.read_room(text, bigint) is
  'What room_of says of the signed-in user; raises where p_amount is no amount.';
revoke all on function credits.read_room(text, bigint)
  from public, anon, authenticated, service_role;
grant execute on function credits.read_room(text, bigint) to authenticated, service_role;

create function credits.room_of(p_user_id uuid, p_credit_type text)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_room bigint;
begin
  if not exists (select 1 from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object(
      'credit_type', p_credit_type,
      'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
  end if;
  select * into v_balance from credits.balances b
  where b.account_id = p_user_id and b.credit_type = p_credit_type and b.account_status = 'active';
  if not found then
    return 0;
  end if;
  -- The instant of public.credit_balances, so that a policy and a page say the same.
  select n.remaining into v_room
  from credits.balance_at(p_user_id, v_balance,
    greatest(coalesce(v_balance.test_now, statement_timestamp()), v_balance.settled_at)) n;
  return v_room;
end
$$;
comment on function credits.room_of(uuid, text) is
  'Credits of this type that a person could spend now, or how many more may exist of a limit; null '
  'is unlimited, 0 for an account that is not active.';
revoke all on function credits.room_of(uuid, text) from public, anon, authenticated, service_role;

-- edge: result=bool callers=authenticated,service_role repeatable
--   Whether the signed-in user could spend ``amount`` credits now: for policies of your own tables.
--
--   It reads and holds nothing: two rows that are inserted at the same time are both let in.
--
--   Raises:
--       InvalidAmount, UnknownCreditType.
create function public.has_credits(p_credit_type text, p_amount bigint default 1)
returns boolean
language sql
stable
security invoker
set search_path = ''
-- A missing amount is asked about as well, and refused: a bare comparison with null is folded away.
return (
  select r.room is null or r.room >= p_amount
  from (select credits.read_room(p_credit_type, p_amount) as room offset 0) r);
comment on function public.has_credits(text, bigint) is
  'Whether the signed-in user could spend p_amount credits now, right to the second: for policies '
  'of your own tables, written as (select has_credits(''message'')). Nobody signed in, a frozen or '
  'a closed account have none. It holds nothing: what must not be spent twice is consumed.';
revoke all on function public.has_credits(text, bigint)
  from public, anon, authenticated, service_role;
grant execute on function public.has_credits(text, bigint) to authenticated, service_role;

-- schemas/moving/host_tables.sql

-- The schemas and tables of the project around the credit system: what balances can be imported from.

create function credits.host_schemas()
returns table (oid oid, name name, is_served boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  select n.oid, n.nspname, coalesce(n.nspname::text = any (s.served), true)
  from pg_catalog.pg_namespace n
  left join lateral (
    select regexp_split_to_array(substring(c.setting from '=[ "'']*(.*?)[ "'']*$'), '[, "'']+') as served
    from pg_catalog.pg_db_role_setting d
    join pg_catalog.pg_database b on b.datname = current_database() and d.setdatabase in (0, b.oid)
    cross join unnest(d.setconfig) as c(setting)
    where d.setrole = to_regrole('authenticator') and c.setting ~ '^pgrst\.db[_-]schemas=.'
    order by d.setdatabase desc limit 1) s on true
  where n.nspname !~ '^(pg_|_)' and n.nspname <> all ('{
    information_schema, auth, storage, realtime, extensions, graphql, graphql_public, vault, pgsodium, pgsodium_masks, cron,
    net, supabase_functions, supabase_migrations, pgbouncer, pgmq, pgtle, credits}')
$$;
comment on function credits.host_schemas() is
  'The schemas that a project writes itself: neither Supabase''s nor this system''s. Where it is not known what the API serves, all count as served.';
revoke all on function credits.host_schemas() from public, anon, authenticated, service_role;

create function credits.host_tables()
returns table (oid oid, name text, relname name, rls boolean, is_served boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  select c.oid, format('%I.%I', s.name, c.relname), c.relname, c.relrowsecurity, s.is_served
  from pg_catalog.pg_class c join credits.host_schemas() s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and not (s.name = 'public' and (c.relname = 'usage' or c.relname in (select credits.public_relations())))
    and not exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
$$;
comment on function credits.host_tables() is 'The tables of the project itself.';
revoke all on function credits.host_tables() from public, anon, authenticated, service_role;

-- schemas/moving/import_balances.sql

-- Balances move in from a table or view of the project, all of them or none. One grant per row, under a key of its own: a
-- second run finds the first one's grants and adds nothing.

create function credits.import_rows(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name)
returns table (user_id text, amount numeric, expires_at timestamptz)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- What a statement answers that is made when it runs, plpgsql_check cannot know.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_is_number boolean := (
    select t.typcategory = 'N' from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = p_table and a.attname = p_balance_column and not a.attisdropped);
begin
  -- A text that is no number is a problem of its row, and no error of the whole.
  return query execute format(case when v_is_number then 'select lower(%1$I::text), %2$I::numeric, %4$s from %3$s'
    else 'select lower(%1$I::text), case
        when btrim(%2$I::text) ~ ''^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{1,3})?$'' then btrim(%2$I::text)::numeric
        when %2$I is not null then ''NaN'' end, %4$s
      from %3$s' end, p_user_column, p_balance_column, p_table,
    case when p_expires_column is null then 'null::timestamptz' else format('%I::timestamptz', p_expires_column) end);
end
$$;
comment on function credits.import_rows(regclass, name, name, name) is 'The balances as they stand in the project''s table or view.';
revoke all on function credits.import_rows(regclass, name, name, name) from public, anon, authenticated, service_role;

create function credits.import_key(p_key text, p_expires_at timestamptz)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  -- In seconds, so that it means the same in every time zone.
  select p_key || coalesce(':@' || extract(epoch from p_expires_at)::text, '')
$$;
comment on function credits.import_key(text, timestamptz) is
  'The idempotency key of one lot: that of its import, and when the lot expires.';
revoke all on function credits.import_key(text, timestamptz) from public, anon, authenticated, service_role;

create function credits.import_ids(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name)
returns table (user_id text, id uuid, amount numeric, expires_at timestamptz)
language sql
volatile
security invoker
set search_path = ''
as $$
  select r.user_id, case when r.user_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then r.user_id::uuid end, r.amount,
    r.expires_at
  from credits.import_rows(p_table, p_user_column, p_balance_column, p_expires_column) r
$$;
comment on function credits.import_ids(regclass, name, name, name) is 'The balances, with the id of the user where it is one.';
revoke all on function credits.import_ids(regclass, name, name, name) from public, anon, authenticated, service_role;

create function credits.import_problems(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name,
  p_credit_type text, p_source text, p_key text)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  with judged as (
    select r.user_id, r.amount, case
      when r.user_id is null then 'no user'
      when r.id is null then 'the user is not a UUID'
      when r.amount is null then 'no balance'
      when r.amount = 'NaN' then 'the balance is not a number'
      when r.amount < 0 then 'the balance is negative'
      when r.amount <> trunc(r.amount) then 'the balance is not a whole number'
      when r.amount > 9007199254740992 then 'the balance is too large'
      when count(*) over (partition by r.user_id, r.expires_at) > 1 then 'several rows for one user'
      when r.amount > 0 and r.expires_at <= now() and k.request is null then 'it has expired'
      when a.kind = 'workspace' then 'a workspace, and no user'
      when a.status = 'closed' then 'the account is closed'
      when a.account_id is null and u.id is null then 'no such user in auth.users'
      when k.request is not null and (k.request ->> 'amount')::numeric <> r.amount then 'imported before, with another balance'
      when k.request is not null and k.request ->> 'source' <> p_source then 'imported before, from another source'
      when k.request is null and b.balance + r.amount > 9007199254740992 then 'the balance is too large beside what the account has'
    end as problem
    -- Compared as ids, so that their indexes serve: as texts it is every row with every user.
    from credits.import_ids(p_table, p_user_column, p_balance_column, p_expires_column) r
    left join auth.users u on u.id = r.id
    left join credits.accounts a on a.account_id = r.id
    -- One look-up per row: that all have the same key, the planner does not expect, and would compare every row with every key.
    left join lateral (
      select k.request from credits.idempotency_keys k
      where k.account_id = a.account_id
        and k.idempotency_key = credits.import_key(p_key, r.expires_at) limit 1) k on true
    left join credits.balances b on b.account_id = a.account_id and b.credit_type = p_credit_type
  )
  select coalesce(jsonb_agg(to_jsonb(c) order by c.problem), '[]')
  from (
    select j.problem, count(*) as rows, (array_agg(distinct j.user_id))[1:10] as users
    from judged j where j.problem is not null group by j.problem) c
$$;
comment on function credits.import_problems(regclass, name, name, name, text, text, text) is
  'What keeps rows from being imported, with how many there are of it and the first ten users.';
revoke all on function credits.import_problems(regclass, name, name, name, text, text, text) from public, anon, authenticated, service_role;

create function credits.imported_elsewhere(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name,
  p_credit_type text, p_key text)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_object_agg(f.key, f.users order by f.key), '{}')
  from (
    select regexp_replace(k.idempotency_key, '^import:(.*?):[^:]*(:@[^:]*)?$', '\1') as key,
      count(distinct a.account_id) as users
    from credits.import_ids(p_table, p_user_column, p_balance_column, p_expires_column) r
    join credits.accounts a on a.account_id = r.id
    join lateral (
      select k.idempotency_key, k.request from credits.idempotency_keys k
      where k.account_id = a.account_id and k.idempotency_key like 'import:%' offset 0) k on true
    where k.idempotency_key <> p_key and
      not starts_with(k.idempotency_key, p_key || ':@') and k.request ->> 'credit_type' = p_credit_type and r.amount > 0
      and k.request ->> 'description' = 'opening balance'
    group by 1) f
$$;
comment on function credits.imported_elsewhere(regclass, name, name, name, text, text) is
  'From which other tables or columns these users have opening balances of this type, and how many of them: the same money, maybe.';
revoke all on function credits.imported_elsewhere(regclass, name, name, name, text, text) from public, anon, authenticated, service_role;

create function credits.find_table(p_table text)
returns regclass
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_table regclass;
begin
  -- As SQL reads a name, or as it is written: a name with capitals or blanks needs no quotes here.
  begin
    v_table := coalesce(to_regclass(p_table), to_regclass('public.' || p_table));
  exception when others then null;
  end;
  return coalesce(v_table, (
    select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where p_table in (n.nspname || '.' || c.relname, case when n.nspname = 'public' then c.relname end)
    order by n.nspname <> 'public' limit 1)::regclass);
end
$$;
comment on function credits.find_table(text) is 'The table or view of this name, in schema public if it names none; null when there is none.';
revoke all on function credits.find_table(text) from public, anon, authenticated, service_role;

create function credits.import_table(
  p_table text, p_user_column text, p_balance_column text, p_expires_column text)
returns regclass
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_table regclass := credits.find_table(p_table);
  v_columns text[] := array(select a.attname::text from pg_catalog.pg_attribute a
    where a.attrelid = v_table and a.attnum > 0 and not a.attisdropped order by a.attnum);
  v_column text;
  v_type text;
begin
  if not exists (
    select from pg_catalog.pg_class c join credits.host_schemas() s on s.oid = c.relnamespace
    where c.oid = v_table and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and not (s.name = 'public' and c.relname in (select credits.public_relations()))) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_table', 'value', p_table),
      'Pass a table or view of your project, with its schema if that is not public.' || coalesce(' These columns are in: ' || (
        select string_agg(distinct t.name, ', ') from credits.host_tables() t
        where (select count(*) from pg_catalog.pg_attribute a
          where a.attrelid = t.oid and a.attname in (p_user_column, p_balance_column) and not a.attisdropped) = 2) || '.', ''));
  end if;
  foreach v_column in array array[p_user_column, p_balance_column, p_expires_column] loop
    if v_column <> all (v_columns) then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'column', 'value', v_column, 'known', v_columns),
        format('%s has no column %s. It has %s.', v_table, v_column, array_to_string(v_columns, ', ')));
    end if;
  end loop;
  select format_type(a.atttypid, null) into v_type
  from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
  where a.attrelid = v_table and a.attname = p_balance_column
    and t.typcategory not in ('N', 'S') and a.atttypid <> all (array['json', 'jsonb']::regtype[]);
  if found then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'column', 'value', p_balance_column, 'type', v_type),
      format('%s.%s is %s, which is no balance. Import from a view that makes a number of it.', v_table, p_balance_column, v_type));
  end if;
  select format_type(a.atttypid, null) into v_type
  from pg_catalog.pg_attribute a
  where a.attrelid = v_table and a.attname = p_expires_column
    and a.atttypid <> all (array['date', 'timestamp', 'timestamptz']::regtype[]);
  if found then
    perform credits.raise_error('invalid_argument', jsonb_build_object(
        'argument', 'p_expires_column', 'value', p_expires_column, 'type', v_type),
      format('%s.%s is %s, and no time. Import from a view that makes one of it.', v_table,
        p_expires_column, v_type));
  end if;
  return v_table;
end
$$;
comment on function credits.import_table(text, text, text, text) is
  'The table or view of the project that a call names, with these columns, the second of which can be a balance. Raises invalid_argument.';
revoke all on function credits.import_table(text, text, text, text) from public, anon, authenticated, service_role;

create function credits.keep_still(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_table regclass;
begin
  -- Of a view, the tables behind it. Supabase's own stay open, or nobody could sign in meanwhile; if one of them changes
  -- between two readings, the totals differ.
  for v_table in
    with recursive behind as (
      select p_table::oid as oid
      union
      select d.refobjid from behind b
      join pg_catalog.pg_rewrite r on r.ev_class = b.oid
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass
    )
    select c.oid from behind b
    join pg_catalog.pg_class c on c.oid = b.oid and c.relkind in ('r', 'p')
    join credits.host_schemas() s on s.oid = c.relnamespace
    order by c.oid
  loop
    execute format('lock table %s in share mode', v_table);
  end loop;
end
$$;
comment on function credits.keep_still(regclass) is
  'Locks a table of the project, or those that a view reads, against writes until the transaction ends.';
revoke all on function credits.keep_still(regclass) from public, anon, authenticated, service_role;

create function credits.import_grants(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name,
  p_credit_type text, p_source text, p_key text)
returns table (granted bigint, replayed bigint, total numeric)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_row record;
  v_told_at timestamptz := clock_timestamp();
begin
  select count(*), count(k.operation_id) into granted, replayed
  from credits.import_rows(p_table, p_user_column, p_balance_column, p_expires_column) r
  left join lateral (
    select k.operation_id from credits.idempotency_keys k
    where k.account_id = r.user_id::uuid
      and k.idempotency_key = credits.import_key(p_key, r.expires_at) limit 1) k on true
  where r.amount > 0;
  for v_row in
    select r.user_id::uuid as user_id, r.amount::bigint as amount, r.expires_at,
      row_number() over (order by r.user_id, r.expires_at) as nth
    from credits.import_rows(p_table, p_user_column, p_balance_column, p_expires_column) r
    left join lateral (
      select k.operation_id from credits.idempotency_keys k
      where k.account_id = r.user_id::uuid
      and k.idempotency_key = credits.import_key(p_key, r.expires_at) limit 1) k on true
    where r.amount > 0 and k.operation_id is null order by r.user_id, r.expires_at
  loop
    perform credits.grant_to(
      credits.paying_account(v_row.user_id, null, p_credit_type), v_row.user_id,
      row(p_credit_type, v_row.amount, p_source, 'opening balance', null, v_row.expires_at, null, null,
        null, '{}')::credits.grant_order, credits.import_key(p_key, v_row.expires_at));
    if clock_timestamp() > v_told_at + interval '1 second' then
      v_told_at := clock_timestamp();
      raise notice using message = concat('imported ', v_row.nth, ' of ', granted - replayed);
    end if;
  end loop;

  -- What is proven is read back from the ledger, row by row.
  select sum(t.amount) filter (where t.amount = r.amount) into total
  from credits.import_rows(p_table, p_user_column, p_balance_column, p_expires_column) r
  join lateral (
    select k.account_id, k.operation_id from credits.idempotency_keys k
    where k.account_id = r.user_id::uuid
      and k.idempotency_key = credits.import_key(p_key, r.expires_at) limit 1) k on true
  join lateral (
    select t.amount from public.credit_transactions t
    where t.account_id = k.account_id and t.operation_id = k.operation_id and t.kind = 'grant' limit 1) t on true
  where r.amount > 0;
  total := coalesce(total, 0);
  return next;
end
$$;
comment on function credits.import_grants(regclass, name, name, name, text, text, text) is
  'Issues the opening grants, and adds up those of them that the ledger has with the very amount of their row.';
revoke all on function credits.import_grants(regclass, name, name, name, text, text, text) from public, anon, authenticated, service_role;

-- edge: result=BalanceImport callers=service_role repeatable slow
--   Take the balances of a table or view over as grants: all rows, or none.
--
--   With ``expires_column`` each row is a lot that expires then (null: never), and a user may have
--   several; without it nothing expires.
--
--   Nothing changes when a row cannot be used, when the totals differ from each other or from
--   ``expected_total`` (credits), or with ``dry_run``. A second run adds nothing.
--
--   Raises:
--       InvalidArgument: no such table, column or source.
--       UnknownCreditType.
create function public.import_balances(
  p_table text, p_user_column text, p_balance_column text, p_credit_type text, p_source text default 'top_up',
  p_expected_total bigint default null, p_dry_run boolean default false, p_expires_column text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_table regclass := credits.import_table(p_table, p_user_column, p_balance_column, p_expires_column);
  v_key text := format('import:%s:%s:%s', v_table, p_balance_column, p_credit_type);
  v_rows record;
  v_done record;
  v_answer jsonb;
begin
  if not exists (select from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type', p_credit_type,
      'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
  end if;
  if not exists (select from credits.grant_sources s where s.id = p_source and s.may_be_granted) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_source', 'value', p_source, 'known', (
      select jsonb_agg(s.id order by s.id) from credits.grant_sources s where s.may_be_granted)));
  end if;
  -- The table is read several times, and has to say the same each time.
  perform credits.keep_still(v_table);

  select count(*) as rows, coalesce(trunc(sum(r.amount) filter (where r.amount between 0 and 9007199254740992)), 0) as total,
    count(*) filter (where r.amount = 0) as empty into v_rows
  from credits.import_rows(v_table, p_user_column, p_balance_column, p_expires_column) r;
  v_answer := jsonb_build_object('success', false, 'code', 'unusable_rows', 'credit_type', p_credit_type, 'rows', v_rows.rows,
    'empty', v_rows.empty, 'total', v_rows.total, 'expected_total', p_expected_total, 'granted', 0, 'replayed', 0,
    'granted_total', 0, 'dry_run', p_dry_run,
    'elsewhere', credits.imported_elsewhere(v_table, p_user_column, p_balance_column, p_expires_column, p_credit_type, v_key),
    'problems', credits.import_problems(v_table, p_user_column, p_balance_column, p_expires_column, p_credit_type, p_source, v_key));
  if v_answer -> 'problems' <> '[]' then
    return v_answer;
  end if;
  if v_rows.total <> p_expected_total then
    return v_answer || '{"code": "totals_differ"}';
  end if;

  begin
    select * into v_done from credits.import_grants(v_table, p_user_column, p_balance_column, p_expires_column, p_credit_type, p_source, v_key);
    v_answer := v_answer || jsonb_build_object('success', v_done.total = v_rows.total,
      'code', case when v_done.total = v_rows.total then 'ok' else 'totals_differ' end,
      'granted', v_done.granted, 'replayed', v_done.replayed, 'granted_total', v_done.total);
    if p_dry_run or v_done.total <> v_rows.total then
      raise exception using errcode = 'PTRBK', message = 'nothing of it stays';
    end if;
  exception when sqlstate 'PTRBK' then null;
  end;
  return v_answer;
end
$$;
comment on function public.import_balances(text, text, text, text, text, bigint, boolean, text) is
  'Takes the balances of a table or view of the project over, as grants of p_source: all rows, or none. With p_expires_column each row is a lot that expires then (null: never), and a user may have several; without it nothing expires. Answers rows, total, granted, granted_total, problems, and elsewhere: how many of the users have an opening balance of this type already from which other table; success is false, and nothing has changed, when a row cannot be used, or when the totals differ from each other or from p_expected_total. A second run adds nothing. p_dry_run takes everything back.';
revoke all on function public.import_balances(text, text, text, text, text, bigint, boolean, text)
  from public, anon, authenticated, service_role;
grant execute on function public.import_balances(text, text, text, text, text, bigint, boolean, text) to service_role;

-- schemas/moving/within_limit.sql

-- edge: result=bool callers=authenticated,service_role repeatable
--   Whether the signed-in user may have one more of what this type limits: for policies of your own.
--
--   Raises:
--       UnknownCreditType.
create function public.within_limit(p_credit_type text)
returns boolean
language sql
stable
security invoker
set search_path = ''
return coalesce(credits.read_room(p_credit_type, 1) > 0, true);
comment on function public.within_limit(text) is
  'Whether the signed-in user may have one more of what this type limits, right to the second: for '
  'policies of your own tables, written as (select within_limit(''project'')). The limit itself is '
  'kept by consuming or by credits.meter_table; this says so before.';
revoke all on function public.within_limit(text) from public, anon, authenticated, service_role;
grant execute on function public.within_limit(text) to authenticated, service_role;

-- schemas/metrics/plan_changes.sql

-- Which plan an account was on when. The metrics ask it of every spend.
create view credits.plan_spells with (security_invoker = true) as
with known as (
  -- What lies in the future of an account has not happened: it is on its plan still.
  select s.account_id, s.n, s.started_at, s.plan_id,
    lag(s.plan_id) over (partition by s.account_id order by s.n) as before
  from credits.subscription_spells s
  join credits.accounts a on a.account_id = s.account_id
  where s.replaced_at is null and s.started_at <= greatest(coalesce(a.test_now, statement_timestamp()), (
    select max(b.settled_at) from credits.balances b where b.account_id = s.account_id))
)
select k.account_id, k.plan_id, k.started_at,
  lead(k.started_at, 1, 'infinity') over later as ended_at, lead(k.plan_id) over later as next_plan
from known k
where k.plan_id is distinct from k.before
window later as (partition by k.account_id order by k.n);
comment on view credits.plan_spells is 'From when until when, half-open, an account was on a plan, and which one followed.';
revoke all on table credits.plan_spells from public, anon, authenticated, service_role;

-- schemas/metrics/ledger_facts.sql

-- Times follow the order of insertion closely, so a summary per block range finds an hour of the ledger for next to nothing.
create index credit_transactions_created_at_idx on public.credit_transactions using brin (created_at)
  with (pages_per_range = 32, autosummarize = on);
create index if not exists usage_denied_idx on public.usage (created_at) include (account_id, credit_type)
  where status = 'denied';

create view credits.ledger_facts with (security_invoker = true) as
select t.account_id, t.credit_type, t.version, t.created_at, t.amount, t.user_id, t.metadata,
  case when t.grant_id is null then 'unlimited' else g.source end as source,
  (select s.plan_id from credits.subscription_spells s
    where s.account_id = t.account_id and s.replaced_at is null and s.started_at <= t.created_at
    order by s.started_at desc, s.n desc limit 1) as plan_id,
  case t.kind
    when 'grant' then 'granted'
    when 'refund' then 'refunded'
    when 'expire' then case when t.description = 'above the allowance' then 'returned' else 'expired' end
    when 'void' then 'voided'
    else 'spent' end as flow,
  case when t.kind in ('consume', 'capture') then -t.amount else 0 end as spent,
  -- The rows of one operation follow each other; its first one counts it.
  case when exists (
    select 1 from public.credit_transactions p
    where p.account_id = t.account_id and p.credit_type = t.credit_type and p.version = t.version - 1
      and p.operation_id = t.operation_id) then 0 else 1 end as operations
from public.credit_transactions t
-- Each row has one, but for unlimited ones. A left join leaves it alone where a reader asks for nothing of it.
left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id;
comment on view credits.ledger_facts is
  'The ledger as the metrics see it: each row with the plan of its time, the source of its grant (unlimited for a row of none), and where its credits went.';
comment on column credits.ledger_facts.flow is
  'granted, spent, refunded, expired, voided, or returned (taken back from a limit, nobody''s loss).';
comment on column credits.ledger_facts.spent is 'The credits of a row whose flow is spent, 0 of any other: told without looking at its grant.';
revoke all on table credits.ledger_facts from public, anon, authenticated, service_role;

-- schemas/metrics/rollups.sql

-- Sums of the ledger that metrics read instead of its rows. How far they have read is kept per
-- balance as a version, and versions have no gaps: rollup plus the rows above that version are the
-- ledger, exactly, in whatever order it was committed. Test accounts are never rolled up.

create table credits.rolled_up (
  account_id uuid not null constraint rolled_up_account_id_fkey
    references credits.accounts (account_id),
  credit_type text not null,
  version bigint not null,
  period_version bigint not null,
  constraint rolled_up_pkey primary key (account_id, credit_type)
);
comment on table credits.rolled_up is 'How far the rollups have read the ledger of each balance.';
comment on column credits.rolled_up.version is 'The last version that is in the rollups.';
comment on column credits.rolled_up.period_version is
  'The version that began the account-period it is in.';

create table credits.rollup_state (
  only_row boolean primary key default true,
  rolled_up_at timestamptz,
  constraint rollup_state_has_one_row check (only_row)
);
comment on table credits.rollup_state is
  'The row that whoever changes the rollups locks first. When they last were up to date.';
insert into credits.rollup_state default values;

create table credits.hourly_flows (
  hour timestamptz not null,
  credit_type text not null,
  plan_id text not null,
  source text not null,
  flow text not null,
  amount bigint not null,
  operations bigint not null,
  constraint hourly_flows_pkey primary key (hour, credit_type, plan_id, source, flow)
);
comment on table credits.hourly_flows is
  'Rollup: credits that moved per hour (UTC), type, plan, source and flow. Amounts are signed, as '
  'in the ledger.';

create table credits.daily_owed (
  day date not null,
  credit_type text not null,
  source text not null,
  amount bigint not null,
  constraint daily_owed_pkey primary key (day, credit_type, source)
);
comment on table credits.daily_owed is
  'Rollup: by how much the credits owed changed per day (UTC), type and source of the grant.';

create table credits.daily_accounts (
  account_id uuid not null,
  day date not null,
  credit_type text not null,
  plan_id text not null,
  spent bigint not null,
  operations bigint not null,
  constraint daily_accounts_pkey primary key (account_id, day, credit_type, plan_id)
);
create index daily_accounts_day_idx on credits.daily_accounts
  (day, account_id) include (credit_type, plan_id, spent);
comment on table credits.daily_accounts is
  'Rollup: credits that an account spent per day (UTC), type and plan, before refunds.';

create table credits.monthly_accounts (
  account_id uuid not null,
  month date not null,
  credit_type text not null,
  plan_id text not null,
  spent bigint not null,
  constraint monthly_accounts_pkey primary key (account_id, month, credit_type, plan_id)
);
create index monthly_accounts_month_idx on credits.monthly_accounts
  (month, account_id) include (credit_type, plan_id, spent);
comment on table credits.monthly_accounts is
  'Rollup: credits that an account spent per month (UTC), type and plan, before refunds.';

create table credits.account_numbers (
  account_id uuid not null constraint account_numbers_pkey primary key,
  number bigint not null generated always as identity
);
comment on table credits.account_numbers is
  'The bit that stands for an account in credits.daily_active.';

create table credits.daily_active (
  day date not null,
  credit_type text not null,
  plan_id text not null,
  chunk bigint not null,
  accounts bit(4096) not null,
  constraint daily_active_pkey primary key (day, credit_type, plan_id, chunk)
);
comment on table credits.daily_active is
  'Rollup: a bit per account that spent on a day (UTC), per type and plan. Sets can be joined for '
  'any window without counting an account twice.';
comment on column credits.daily_active.chunk is
  'The accounts whose number divided by 4096 is this.';

create table credits.daily_segments (
  day date not null,
  segment text not null,
  value text not null,
  credit_type text not null,
  plan_id text not null,
  spent bigint not null,
  operations bigint not null
);
-- Values come from callers and may be longer than an index row.
create unique index daily_segments_key on credits.daily_segments
  (segment, day, md5(value), credit_type, plan_id);
comment on table credits.daily_segments is
  'Rollup: credits spent per day (UTC) and segment: the account''s sign-up month (cohort), or a '
  'tracked key of metadata.';
comment on column credits.daily_segments.segment is '`cohort`, or `metadata:` and the key.';

create table credits.tracked_keys (
  metadata_key text primary key
);
comment on table credits.tracked_keys is
  'Keys of metadata that are rolled up. Any other key is read from the ledger: as exact, slower.';

create table credits.account_periods (
  account_id uuid not null,
  credit_type text not null,
  version bigint not null,
  started_at timestamptz not null,
  plan_id text not null,
  ended_at timestamptz not null,
  crossed_80_at timestamptz,
  ran_dry_at timestamptz,
  constraint account_periods_pkey primary key (account_id, credit_type, version)
);
create index account_periods_started_at_idx on credits.account_periods (started_at)
  include (account_id, credit_type, version, plan_id, ended_at, crossed_80_at, ran_dry_at);
create index account_periods_crossed_80_at_idx on credits.account_periods (crossed_80_at)
  include (account_id, credit_type, version) where crossed_80_at is not null;
comment on table credits.account_periods is
  'Rollup: from one allowance of an account and type to the next, and when it ran low or dry in '
  'between.';
comment on column credits.account_periods.ended_at is
  'When the next one began; infinity for the last one.';
comment on column credits.account_periods.version is 'The ledger row that granted the allowance.';

alter table credits.rolled_up enable row level security;
alter table credits.rollup_state enable row level security;
alter table credits.hourly_flows enable row level security;
alter table credits.daily_owed enable row level security;
alter table credits.daily_accounts enable row level security;
alter table credits.monthly_accounts enable row level security;
alter table credits.account_numbers enable row level security;
alter table credits.daily_active enable row level security;
alter table credits.daily_segments enable row level security;
alter table credits.tracked_keys enable row level security;
alter table credits.account_periods enable row level security;
revoke all on table credits.rolled_up, credits.rollup_state, credits.hourly_flows,
  credits.daily_owed, credits.daily_accounts,
  credits.monthly_accounts, credits.account_numbers, credits.daily_active, credits.daily_segments,
  credits.tracked_keys,
  credits.account_periods from public, anon, authenticated, service_role;

create view credits.lagging with (security_invoker = true) as
select b.account_id, b.credit_type, b.kind, a.is_test, a.created_at as opened_at,
  coalesce(r.version, 0) as version, coalesce(r.period_version, 1) as period_version,
  b.version as until_version
from credits.balances b
join credits.accounts a on a.account_id = b.account_id
left join credits.rolled_up r on r.account_id = b.account_id and r.credit_type = b.credit_type
where b.version > coalesce(r.version, 0);
comment on view credits.lagging is
  'The balances whose last ledger rows are not in the rollups yet. Those of test accounts always '
  'are here.';
revoke all on table credits.lagging from public, anon, authenticated, service_role;

-- schemas/metrics/periods_of.sql

create function credits.periods_of(p_account_id uuid, p_credit_type text, p_from_version bigint)
returns table (version bigint, started_at timestamptz, plan_id text, ended_at timestamptz,
  crossed_80_at timestamptz, ran_dry_at timestamptz)
language sql
stable
rows 2
security invoker
set search_path = ''
-- Called for one balance after the other: to plan it anew each time would take longer than to run
-- it.
set plan_cache_mode = force_generic_plan
as $$
  with entries as (
    select t.version, t.created_at, t.kind, t.amount, t.balance_after,
      case when t.kind = 'grant' and g.source = 'plan' then t.grant_id end as allowance_id
    from public.credit_transactions t
    join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
    where t.account_id = p_account_id and t.credit_type = p_credit_type
      and t.version >= p_from_version
  ), starts as (
    -- An upgrade adds to the grant of its period, a new period has a grant of its own.
    select e.version, e.allowance_id is distinct from lag(e.allowance_id)
      over (order by e.version) as is_start
    from entries e where e.allowance_id is not null
  ), placed as (
    select e.*, max(s.version) filter (where s.is_start) over (order by e.version) as period_version
    from entries e left join starts s on s.version = e.version
  ), running as (
    select p.*,
      -coalesce(sum(p.amount) filter (where p.kind in ('consume', 'capture', 'refund')) over w,
        0) as used
    from placed p where p.period_version is not null
    window w as (partition by p.period_version order by p.version)
  )
  select r.period_version, min(r.created_at),
    (select f.plan_id from credits.ledger_facts f
      where f.account_id = p_account_id and f.credit_type = p_credit_type
        and f.version = r.period_version),
    lead(min(r.created_at), 1, 'infinity') over (order by r.period_version),
    min(r.created_at) filter (where r.kind in ('consume', 'capture')
      and r.used >= 4 * r.balance_after),
    min(r.created_at) filter (where r.kind in ('consume', 'capture') and r.balance_after = 0)
  from running r
  group by r.period_version
$$;
comment on function credits.periods_of(uuid, text, bigint) is
  'The account-periods of one balance, read from the ledger from a version on that began one: when '
  '80 % of all that could be spent was spent, and when nothing was left.';
revoke all on function credits.periods_of(uuid, text, bigint) from public, anon, authenticated,
  service_role;

create view credits.known_periods with (security_invoker = true) as
with behind as materialized (
  select l.account_id, l.credit_type, l.kind, l.period_version, l.is_test from credits.lagging l
)
select p.account_id, p.credit_type, p.version, p.started_at, p.plan_id, p.ended_at, p.crossed_80_at,
  p.ran_dry_at, false as is_test
from credits.account_periods p
where not exists (
  select 1 from behind b
  where b.account_id = p.account_id and b.credit_type = p.credit_type
    and p.version >= b.period_version)
union all
select b.account_id, b.credit_type, p.version, p.started_at, p.plan_id, p.ended_at, p.crossed_80_at,
  p.ran_dry_at, b.is_test
from behind b
cross join lateral credits.periods_of(b.account_id, b.credit_type, b.period_version) p
where b.kind = 'credit';
comment on view credits.known_periods is
  'All account-periods: those that are rolled up, and those that have gained ledger rows since, '
  'read from the ledger.';
revoke all on table credits.known_periods from public, anon, authenticated, service_role;

create view credits.period_corrections with (security_invoker = true) as
with behind as materialized (
  select l.account_id, l.credit_type, l.kind, l.period_version, l.is_test from credits.lagging l
)
select -1 as weight, b.account_id, b.credit_type, p.started_at, p.plan_id, p.ended_at,
  p.crossed_80_at, p.ran_dry_at, b.is_test
from behind b
cross join lateral (
  select k.started_at, k.plan_id, k.ended_at, k.crossed_80_at, k.ran_dry_at
    from credits.account_periods k
  where k.account_id = b.account_id and k.credit_type = b.credit_type
    and k.version >= b.period_version offset 0) p
union all
select 1, b.account_id, b.credit_type, p.started_at, p.plan_id, p.ended_at, p.crossed_80_at,
  p.ran_dry_at, b.is_test
from behind b
cross join lateral credits.periods_of(b.account_id, b.credit_type, b.period_version) p
where b.kind = 'credit';
comment on view credits.period_corrections is
  'What whoever counts credits.account_periods adds: the periods that have gained ledger rows '
  'since, as they were (-1) and as they are (1).';
revoke all on table credits.period_corrections from public, anon, authenticated, service_role;

-- schemas/metrics/metric_window.sql

create function credits.metric_window(
  p_since timestamptz, p_until timestamptz, p_bucket text, p_time_zone text, p_credit_type text,
  out from_at timestamptz, out to_at timestamptz, out unit text, out width interval,
  out origin timestamptz,
  out whole_hours boolean, out hourly boolean, out daily boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_whole_days boolean;
begin
  p_bucket := coalesce(p_bucket, 'all');
  begin
    perform statement_timestamp() at time zone p_time_zone;
  exception when invalid_parameter_value then
    p_time_zone := null;
  end;
  if p_time_zone is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_time_zone"}',
      'Pass a name of the IANA time zone database, such as Europe/Paris.');
  end if;
  to_at := coalesce(p_until, statement_timestamp());
  -- From a midnight on: half a day would look like a fall, and is not in the rollups.
  from_at := coalesce(p_since, date_trunc('day', to_at - interval '90 days', p_time_zone));
  if not isfinite(from_at) or not isfinite(to_at) or from_at >= to_at then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_since',
      'since', from_at, 'until', to_at),
      case when p_until is null
        then 'A window begins before it ends, which is now unless p_until is said.'
        else 'A window begins before it ends.' end);
  end if;
  if p_credit_type is not null and not exists (select 1 from credits.credit_types t
    where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type',
      p_credit_type));
  end if;
  if p_bucket in ('hour', 'day', 'week', 'month', 'quarter', 'year') then
    unit := p_bucket;
    origin := date_trunc(unit, from_at, p_time_zone);
  elsif p_bucket <> 'all' then
    begin
      width := p_bucket::interval;
    exception when others then
      null;
    end;
    if width is null or width < interval '1 minute' or extract(month from width) <> 0
      or extract(year from width) <> 0 then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_bucket',
        'value', p_bucket),
        'A bucket is all, hour, day, week, month, quarter, year, or a duration in days, hours or '
        'minutes such as ''6 hours''.');
    end if;
    origin := date_trunc('day', from_at, p_time_zone);
  end if;
  if p_bucket <> 'all' and (to_at - from_at) / 10000 > coalesce(width,
    ('1 ' || unit)::interval) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_bucket',
      'value', p_bucket),
      'A window has at most 10000 buckets.');
  end if;

  -- Rollups are by hours and days of UTC; buckets that cut these are read from the ledger.
  select bool_and(o.seconds % 3600 = 0), bool_and(o.seconds = 0) into whole_hours, v_whole_days
  from generate_series(from_at - interval '1 day', to_at
    + interval '1 day', interval '12 hours') d(at)
  cross join lateral (
    select extract(epoch from (d.at at time zone p_time_zone)
      - (d.at at time zone 'UTC'))::bigint as seconds) o;
  hourly := p_bucket = 'all' or whole_hours
    and coalesce(extract(epoch from width)::numeric % 3600 = 0, true);
  daily := p_bucket = 'all'
    or v_whole_days and unit is distinct from 'hour'
      and coalesce(extract(epoch from width)::numeric % 86400 = 0, true);
end
$$;
comment on function credits.metric_window(timestamptz, timestamptz, text, text, text) is
  'The window and the buckets that a metric was asked for: from the midnight 90 days ago on unless '
  'said. Raises invalid_argument and unknown_credit_type.';
revoke all on function credits.metric_window(timestamptz, timestamptz, text, text, text)
  from public, anon, authenticated, service_role;

create function credits.metric_buckets(
  p_since timestamptz, p_until timestamptz, p_unit text, p_width interval, p_origin timestamptz,
  p_time_zone text)
returns table (bucket timestamptz, starts_at timestamptz, ends_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_step interval := case when p_unit = 'quarter' then interval '3 months'
    else coalesce(p_width, ('1 ' || p_unit)::interval) end;
begin
  if v_step is null then
    return query select p_since, p_since, p_until;
  elsif p_unit is null or p_unit = 'hour' then
    return query select b.at, greatest(b.at, p_since), least(b.at + v_step, p_until)
    from generate_series(p_origin, p_until - interval '1 microsecond', v_step) b(at)
    where b.at + v_step > p_since;
  else
    return query select b.at at time zone p_time_zone, greatest(b.at at time zone p_time_zone,
      p_since),
      least((b.at + v_step) at time zone p_time_zone, p_until)
    from generate_series(p_origin at time zone p_time_zone,
      (p_until - interval '1 microsecond') at time zone p_time_zone, v_step) b(at);
  end if;
end
$$;
comment on function credits.metric_buckets(timestamptz, timestamptz, text, interval, timestamptz,
  text) is
  'The buckets of a window, the first and the last cut to it.';
revoke all on function credits.metric_buckets(timestamptz, timestamptz, text, interval, timestamptz,
  text)
  from public, anon, authenticated, service_role;

create function credits.metric_answer(p_since timestamptz, p_until timestamptz, p_bucket text,
  p_time_zone text, p_rows jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object('success', true, 'code', 'ok', 'since', p_since, 'until', p_until,
    'bucket', coalesce(p_bucket, 'all'),
    'time_zone', p_time_zone, 'rows', coalesce(p_rows, '[]'))
$$;
comment on function credits.metric_answer(timestamptz, timestamptz, text, text, jsonb) is
  'What every metric answers.';
revoke all on function credits.metric_answer(timestamptz, timestamptz, text, text, jsonb)
  from public, anon, authenticated, service_role;

-- schemas/metrics/metric_facts.sql

-- The readers: what the rollups have of a window, and from the ledger what they do not have.

create view credits.unread_facts with (security_invoker = true) as
select l.account_id, l.credit_type, f.version, f.created_at, f.plan_id, f.source, f.flow, f.spent,
  f.amount, f.operations, f.metadata,
  l.is_test
from credits.lagging l
cross join lateral (
  select x.version, x.created_at, x.plan_id, x.source, x.flow, x.spent, x.amount, x.operations,
  x.metadata
  from credits.ledger_facts x
  where x.account_id = l.account_id and x.credit_type = l.credit_type
    and x.version > l.version offset 0) f;
comment on view credits.unread_facts is 'The ledger rows that no rollup has.';
revoke all on table credits.unread_facts from public, anon, authenticated, service_role;

create view credits.read_facts with (security_invoker = true) as
select f.account_id, f.credit_type, f.version, f.created_at, f.plan_id, f.source, f.flow, f.spent,
  f.amount, f.operations, f.metadata
from credits.ledger_facts f
-- Looked up per row: the edges of a window are few rows, and to join all balances costs more than
-- they do.
where f.version <= (
  select r.version from credits.rolled_up r where r.account_id = f.account_id
    and r.credit_type = f.credit_type);
comment on view credits.read_facts is 'The ledger rows that the rollups have.';
revoke all on table credits.read_facts from public, anon, authenticated, service_role;

create view credits.spends with (security_invoker = true) as
select f.account_id, f.credit_type, f.created_at, f.plan_id, f.spent, f.operations, f.metadata,
  f.is_test, false as is_rolled_up
from credits.unread_facts f where f.spent > 0
union all
select f.account_id, f.credit_type, f.created_at, f.plan_id, f.spent, f.operations, f.metadata,
  false, true
from credits.read_facts f where f.spent > 0;
comment on view credits.spends is
  'The ledger rows that spent credits. A view, not a function: what a reader does not ask for is '
  'not looked up.';
revoke all on table credits.spends from public, anon, authenticated, service_role;

create function credits.facts_outside(
  p_from timestamptz, p_to timestamptz, p_inner_from timestamptz, p_inner_to timestamptz,
  p_include_test boolean,
  p_accounts uuid[] default null)
returns table (account_id uuid, at timestamptz, credit_type text, plan_id text, source text,
  flow text, amount bigint,
  operations integer, metadata jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select f.account_id, f.created_at, f.credit_type, f.plan_id, f.source, f.flow, f.amount,
    f.operations, f.metadata
  from credits.unread_facts f
  where (p_include_test or not f.is_test) and f.created_at >= p_from and f.created_at < p_to
    and (p_accounts is null or f.account_id = any (p_accounts));

  if p_from < p_inner_from then
    return query
    select f.account_id, f.created_at, f.credit_type, f.plan_id, f.source, f.flow, f.amount,
      f.operations, f.metadata
    from credits.read_facts f
    where f.created_at >= p_from and f.created_at < p_inner_from
      and (p_accounts is null or f.account_id = any (p_accounts));
  end if;
  if p_inner_to < p_to then
    return query
    select f.account_id, f.created_at, f.credit_type, f.plan_id, f.source, f.flow, f.amount,
      f.operations, f.metadata
    from credits.read_facts f
    where f.created_at >= p_inner_to and f.created_at < p_to
      and (p_accounts is null or f.account_id = any (p_accounts));
  end if;
end
$$;
comment on function credits.facts_outside(timestamptz, timestamptz, timestamptz, timestamptz,
  boolean, uuid[]) is
  'The ledger rows of [p_from, p_to) that the rollups of [p_inner_from, p_inner_to) do not have: '
  'what was booked since they were made, and what lies at the edges. Of p_accounts alone, if that '
  'says who.';
revoke all on function credits.facts_outside(timestamptz, timestamptz, timestamptz, timestamptz,
  boolean, uuid[])
  from public, anon, authenticated, service_role;

create function credits.inner_window(
  p_from timestamptz, p_to timestamptz, p_unit text, p_raw boolean, out from_at timestamptz,
  out to_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_hour timestamptz := date_trunc('hour', p_to + interval '1 hour - 1 microsecond', 'UTC');
  v_end timestamptz;
begin
  from_at := date_trunc(p_unit, p_from, 'UTC');
  if from_at < p_from then
    from_at := from_at + ('1 ' || p_unit)::interval;
  end if;
  to_at := date_trunc(p_unit, p_to, 'UTC');
  v_end := to_at + ('1 ' || p_unit)::interval;
  -- Where nothing was booked from the end of the window to the end of its last hour or day, as when
  -- it ends now, that is whole. Rows are counted, as whoever looks for a first one may read the
  -- ledger from its beginning.
  if to_at < p_to and not p_raw
    and not exists (select 1 from credits.hourly_flows h where h.hour >= v_hour and h.hour < v_end)
    and (select count(*) from public.credit_transactions t where t.created_at >= p_to
      and t.created_at < v_hour) = 0
  then
    to_at := v_end;
  end if;
  if p_raw or from_at >= to_at then
    from_at := p_to;
    to_at := p_to;
  end if;
end
$$;
comment on function credits.inner_window(timestamptz, timestamptz, text, boolean) is
  'The whole hours or days (UTC) of a window; empty at its end when there are none or the ledger '
  'itself is wanted.';
revoke all on function credits.inner_window(timestamptz, timestamptz, text, boolean)
  from public, anon, authenticated, service_role;

create function credits.flow_facts(p_from timestamptz, p_to timestamptz, p_raw boolean,
  p_include_test boolean)
returns table (at timestamptz, credit_type text, plan_id text, source text, flow text,
  amount bigint, operations bigint)
language plpgsql
stable
rows 100000
security invoker
set search_path = ''
as $$
declare
  v_inner record;
begin
  select * into v_inner from credits.inner_window(p_from, p_to, 'hour', p_raw);
  return query
  select h.hour, h.credit_type, h.plan_id, h.source, h.flow, h.amount, h.operations
  from credits.hourly_flows h where h.hour >= v_inner.from_at and h.hour < v_inner.to_at;
  return query
  select f.at, f.credit_type, f.plan_id, f.source, f.flow, f.amount, f.operations::bigint
  from credits.facts_outside(p_from, p_to, v_inner.from_at, v_inner.to_at, p_include_test) f;
end
$$;
comment on function credits.flow_facts(timestamptz, timestamptz, boolean, boolean) is
  'What moved in a window, by hours or finer.';
revoke all on function credits.flow_facts(timestamptz, timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.owed_facts(
  p_days_until timestamptz, p_to timestamptz, p_raw boolean, p_include_test boolean)
returns table (at timestamptz, credit_type text, source text, amount bigint)
language plpgsql
stable
rows 20000
security invoker
set search_path = ''
as $$
declare
  v_inner record;
  v_hours timestamptz;
begin
  select * into v_inner from credits.inner_window('-infinity', p_to, 'hour', p_raw);
  if v_inner.from_at < v_inner.to_at then
    v_hours := date_trunc('day', least(p_days_until, v_inner.to_at), 'UTC');
    return query
    select d.day::timestamp at time zone 'UTC', d.credit_type, d.source, d.amount
    from credits.daily_owed d where d.day < (v_hours at time zone 'UTC')::date;
    return query
    select h.hour, h.credit_type, h.source, h.amount
    from credits.hourly_flows h where h.hour >= v_hours and h.hour < v_inner.to_at;
  end if;
  return query
  select f.at, f.credit_type, f.source, f.amount
  from credits.facts_outside('-infinity', p_to, v_inner.from_at, v_inner.to_at, p_include_test) f;
end
$$;
comment on function credits.owed_facts(timestamptz, timestamptz, boolean, boolean) is
  'By how much the credits owed changed from the beginning on: by days before p_days_until, by '
  'hours or finer after.';
revoke all on function credits.owed_facts(timestamptz, timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.segment_facts(
  p_segment text, p_from timestamptz, p_to timestamptz, p_raw boolean, p_include_test boolean)
returns table (at timestamptz, value text, credit_type text, plan_id text, spent bigint,
  operations bigint)
language plpgsql
stable
rows 20000
security invoker
set search_path = ''
as $$
declare
  v_key text := substr(p_segment, length('metadata:') + 1);
  v_inner record;
begin
  select * into v_inner from credits.inner_window(p_from, p_to, 'day', p_raw
    or p_segment <> 'cohort'
    and not exists (select 1 from credits.tracked_keys k where k.metadata_key = v_key));
  return query
  select d.day::timestamp at time zone 'UTC', d.value, d.credit_type, d.plan_id, d.spent,
    d.operations
  from credits.daily_segments d
  where d.segment = p_segment
    and d.day >= (v_inner.from_at at time zone 'UTC')::date
      and d.day < (v_inner.to_at at time zone 'UTC')::date
    and v_inner.from_at < v_inner.to_at;
  return query
  select f.created_at,
    case when p_segment = 'cohort' then to_char(a.created_at at time zone 'UTC', 'YYYY-MM')
      else f.metadata ->> v_key end,
    f.credit_type, f.plan_id, f.spent, f.operations::bigint
  from credits.spends f
  join credits.accounts a on a.account_id = f.account_id
  where f.created_at >= p_from and f.created_at < p_to and (p_include_test or not f.is_test)
    and (not f.is_rolled_up or f.created_at < v_inner.from_at or f.created_at >= v_inner.to_at)
    and (p_segment = 'cohort' or f.metadata ->> v_key is not null);
end
$$;
comment on function credits.segment_facts(text, timestamptz, timestamptz, boolean, boolean) is
  'What was spent in a window per sign-up month (cohort) or per value of a key of metadata '
  '(metadata: and the key), by days or finer.';
revoke all on function credits.segment_facts(text, timestamptz, timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create view credits.ledger_periods with (security_invoker = true) as
select b.account_id, b.credit_type, p.version, p.started_at, p.plan_id, p.ended_at, p.crossed_80_at,
  p.ran_dry_at, a.is_test
from credits.balances b
join credits.accounts a on a.account_id = b.account_id
cross join lateral credits.periods_of(b.account_id, b.credit_type, 1) p
where b.kind = 'credit';
comment on view credits.ledger_periods is 'All account-periods, read from the ledger.';
revoke all on table credits.ledger_periods from public, anon, authenticated, service_role;

create view credits.denials with (security_invoker = true) as
select u.account_id, u.credit_type::text as credit_type, u.created_at from public.usage u
where u.status = 'denied' and u.account_id is not null;
comment on view credits.denials is 'Denied attempts.';
revoke all on table credits.denials from public, anon, authenticated, service_role;

create view credits.free_spells with (security_invoker = true) as
select s.account_id, s.started_at, s.ended_at, coalesce(n.price_cents > 0, false) as upgraded,
  s.next_plan
from credits.plan_spells s
join public.plans p on p.id = s.plan_id and p.price_cents = 0
left join public.plans n on n.id = s.next_plan
where s.started_at < s.ended_at;
comment on view credits.free_spells is
  'From when until when an account was on a plan without a price, and whether a paid one followed.';
revoke all on table credits.free_spells from public, anon, authenticated, service_role;

create function credits.left_out(p_include_test boolean)
returns uuid[]
language sql
stable
security invoker
set search_path = ''
as $$
  select array(select a.account_id from credits.accounts a where a.is_test and not p_include_test)
$$;
comment on function credits.left_out(boolean) is
  'The accounts that a metric leaves out: test accounts, unless they are to be counted.';
revoke all on function credits.left_out(boolean) from public, anon, authenticated, service_role;

-- schemas/metrics/metrics_active_accounts.sql

-- edge: result=ActiveAccounts callers=service_role repeatable slow
--   Accounts that spent at least once, opened and closed ones, per bucket.
create function public.metrics_active_accounts(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'day', p_time_zone text default 'UTC',
  p_plan text default null, p_credit_type text default null, p_include_test boolean default false,
  p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_inner record;
  v_rows jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  select * into v_inner from credits.inner_window(w.from_at, w.to_at, 'day', p_raw or not w.daily);
  with outside as materialized (
    select case when w.unit is not null then date_trunc(w.unit, f.created_at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.created_at, w.origin)
          else w.from_at end as bucket,
      f.plan_id, f.account_id
    from credits.spends f
    where f.created_at >= w.from_at and f.created_at < w.to_at and (p_include_test or not f.is_test)
      and (not f.is_rolled_up or f.created_at < v_inner.from_at or f.created_at >= v_inner.to_at)
      and (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
        or f.credit_type = p_credit_type)
    group by 1, 2, 3
  ), sets as (
    select x.bucket, x.plan_id, x.chunk, bit_or(x.accounts) as accounts
    from (
      select case when w.unit is not null then date_trunc(w.unit,
        d.day::timestamp at time zone 'UTC', p_time_zone)
        when w.width is not null
          then date_bin(w.width, d.day::timestamp at time zone 'UTC', w.origin)
          else w.from_at end as bucket,
        d.plan_id, d.chunk, d.accounts
      from credits.daily_active d
      where d.day >= (v_inner.from_at at time zone 'UTC')::date
        and d.day < (v_inner.to_at at time zone 'UTC')::date
        and v_inner.from_at < v_inner.to_at
        and (p_plan is null or d.plan_id = p_plan) and (p_credit_type is null
          or d.credit_type = p_credit_type)
      union all
      select o.bucket, o.plan_id, n.number / 4096,
        bit_or(set_bit(repeat('0', 4096)::bit(4096), (n.number % 4096)::integer, 1))
      from outside o join credits.account_numbers n on n.account_id = o.account_id
      group by 1, 2, 3
    ) x
    group by 1, 2, 3
  ), counted as (
    select s.bucket, s.plan_id, bit_count(s.accounts) as active from sets s
    union all
    -- Whoever was never rolled up has no number and is in no set.
    select o.bucket, o.plan_id, 1 from outside o
    where not exists (select 1 from credits.account_numbers n where n.account_id = o.account_id)
  ), counted_once as (
    select s.bucket, bit_count(bit_or(s.accounts)) as active from sets s group by s.bucket, s.chunk
    union all
    select o.bucket, count(distinct o.account_id) from outside o
    where not exists (select 1 from credits.account_numbers n where n.account_id = o.account_id)
      group by o.bucket
  ), per_plan as (
    select c.bucket, c.plan_id, sum(c.active)::bigint as active from counted c group by 1, 2
  ), totals as (
    select c.bucket, sum(c.active)::bigint as active from counted_once c group by 1
  ), came_and_went as (
    select case when w.unit is not null then date_trunc(w.unit, x.at, p_time_zone)
        when w.width is not null then date_bin(w.width, x.at, w.origin)
          else w.from_at end as bucket,
      count(*) filter (where x.opened) as opened, count(*) filter (where not x.opened) as closed
    from (
      select a.created_at as at, true as opened, a.is_test from credits.accounts a
      union all
      select a.closed_at, false, a.is_test from credits.accounts a where a.closed_at is not null
    ) x
    where x.at >= w.from_at and x.at < w.to_at and (p_include_test or not x.is_test)
    group by 1
  ), rows as (
    select b.bucket, null as plan_id, coalesce(t.active, 0) as active,
    coalesce(c.opened, 0) as opened, coalesce(c.closed, 0) as closed
    from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) b
    left join totals t on t.bucket = b.bucket
    left join came_and_went c on c.bucket = b.bucket
    union all
    select p.bucket, p.plan_id, p.active, null, null from per_plan p
  )
  select jsonb_agg(jsonb_build_object('bucket', r.bucket, 'plan', r.plan_id, 'active', r.active,
    'opened', r.opened,
    'closed', r.closed) order by r.bucket, r.plan_id nulls first)
    into v_rows
  from rows r;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows);
end
$$;
comment on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean) is
  'Accounts that spent at least once, per bucket: each once in all (plan null, with the accounts '
  'opened and closed), and once for each plan on which they spent.';
revoke all on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text,
  text, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_active_accounts(timestamptz, timestamptz, text, text, text,
  text, boolean, boolean)
  to service_role;

-- schemas/metrics/metrics_breakage.sql

-- edge: result=Breakage callers=service_role repeatable slow
--   Credits that expired or were voided unspent, by the source of their grant.
create function public.metrics_breakage(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'all', p_time_zone text default 'UTC',
  p_plan text default null, p_credit_type text default null, p_include_test boolean default false,
  p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_rows jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  with sums as (
    select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin)
          else w.from_at end as bucket,
      f.plan_id, f.credit_type, f.source,
      coalesce(sum(f.amount) filter (where f.flow = 'granted'), 0)::bigint as granted,
      -coalesce(sum(f.amount) filter (where f.flow in ('spent', 'refunded')), 0)::bigint as spent,
      -coalesce(sum(f.amount) filter (where f.flow = 'expired'), 0)::bigint as expired,
      -coalesce(sum(f.amount) filter (where f.flow = 'voided'), 0)::bigint as voided
    from credits.flow_facts(w.from_at, w.to_at, p_raw or not w.hourly, p_include_test) f
    where (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
      or f.credit_type = p_credit_type)
    group by 1, 2, 3, 4
  )
  select jsonb_agg(jsonb_build_object('bucket', s.bucket, 'plan', s.plan_id,
    'credit_type', s.credit_type, 'source', s.source,
    'granted', s.granted, 'spent', s.spent, 'expired', s.expired, 'voided', s.voided,
    'share', round((s.expired + s.voided)::numeric / nullif(greatest(s.spent + s.expired + s.voided,
      0), 0), 4))
    order by s.bucket, s.plan_id, s.credit_type, s.source)
    into v_rows
  from sums s;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows);
end
$$;
comment on function public.metrics_breakage(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean) is
  'Credits that ended unspent, expired or voided, per bucket, plan, credit type and source of the '
  'grant; share is their part of all that ended: spent less refunded, expired, voided.';
revoke all on function public.metrics_breakage(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_breakage(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean) to service_role;

-- schemas/metrics/metrics_consumption.sql

-- edge: result=Consumption callers=service_role repeatable slow
--   Spent against granted, per bucket, plan and credit type.
create function public.metrics_consumption(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'day', p_time_zone text default 'UTC',
  p_plan text default null, p_credit_type text default null, p_include_test boolean default false,
  p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_rows jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  with sums as (
    select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin)
          else w.from_at end as bucket,
      f.plan_id, f.credit_type,
      coalesce(sum(f.amount) filter (where f.flow = 'granted'), 0)::bigint as granted,
      -coalesce(sum(f.amount) filter (where f.flow = 'spent'), 0)::bigint as spent,
      coalesce(sum(f.amount) filter (where f.flow = 'refunded'), 0)::bigint as refunded,
      -coalesce(sum(f.amount) filter (where f.flow = 'expired'), 0)::bigint as expired,
      -coalesce(sum(f.amount) filter (where f.flow = 'voided'), 0)::bigint as voided,
      coalesce(sum(f.operations) filter (where f.flow = 'spent'), 0)::bigint as operations
    from credits.flow_facts(w.from_at, w.to_at, p_raw or not w.hourly, p_include_test) f
    where (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
      or f.credit_type = p_credit_type)
    group by 1, 2, 3
  )
  select jsonb_agg(jsonb_build_object('bucket', s.bucket, 'plan', s.plan_id,
    'credit_type', s.credit_type,
    'granted', s.granted, 'spent', s.spent, 'refunded', s.refunded, 'expired', s.expired,
    'voided', s.voided,
    'operations', s.operations,
    'rate', round((s.spent - s.refunded)::numeric / nullif(s.granted, 0), 4))
    order by s.bucket, s.plan_id, s.credit_type)
    into v_rows
  from sums s;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows);
end
$$;
comment on function public.metrics_consumption(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean) is
  'Credits granted, spent, refunded, expired and voided per bucket, plan and credit type; rate is '
  'what was spent, less refunds, per credit granted.';
revoke all on function public.metrics_consumption(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_consumption(timestamptz, timestamptz, text, text, text,
  text, boolean, boolean) to service_role;

-- schemas/metrics/metrics_conversion.sql

create function credits.upgraded_after(
  p_spells bigint, p_within_24_hours bigint, p_within_7_days bigint)
returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select jsonb_build_object('spells', p_spells, 'within_24_hours', p_within_24_hours,
    'within_7_days', p_within_7_days,
    'rate_24_hours', round(p_within_24_hours::numeric / nullif(p_spells, 0), 4),
    'rate_7_days', round(p_within_7_days::numeric / nullif(p_spells, 0), 4))
$$;
comment on function credits.upgraded_after(bigint, bigint, bigint) is
  'How many of the spells in which something happened led to an upgrade soon after.';
revoke all on function credits.upgraded_after(bigint, bigint, bigint) from public, anon,
  authenticated, service_role;

-- edge: result=Conversion callers=service_role repeatable slow
--   From free to paid, also soon after a denial or after 80 % were spent.
create function public.metrics_conversion(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'day', p_time_zone text default 'UTC',
  p_include_test boolean default false, p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_starts timestamptz[];
  v_labels timestamptz[];
  v_answer jsonb;
  v_left_out uuid[] := credits.left_out(p_include_test);
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone, null);
  select array_agg(b.starts_at order by b.starts_at), array_agg(b.bucket order by b.starts_at)
    into v_starts, v_labels
  from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) b;

  with spells as materialized (
    select s.account_id, s.started_at, s.ended_at, s.upgraded from credits.free_spells s
    where s.account_id <> all (v_left_out) and s.started_at < w.to_at and s.ended_at >= w.from_at
  ), events as (
    -- Number 0 is what was there when the window began; a spell that ends as a bucket begins is not
    -- open in it.
    select width_bucket(s.started_at, v_starts) as nth, count(*) as started, 0 as ended,
      0 as upgraded from spells s group by 1
    union all
    select width_bucket(s.ended_at - interval '1 microsecond', v_starts) + 1, 0, count(*), 0
      from spells s group by 1
    union all
    select width_bucket(s.ended_at, v_starts), 0, 0, count(*) from spells s where s.upgraded
      and s.ended_at < w.to_at group by 1
  ), counted as (
    select n.nth, coalesce(sum(e.started), 0) as started, coalesce(sum(e.ended), 0) as ended,
    coalesce(sum(e.upgraded), 0) as upgraded
    from generate_series(0, array_length(v_starts, 1)) n(nth)
      left join events e on e.nth = n.nth group by n.nth
  ), running as (
    select c.nth, (sum(c.started - c.ended) over (order by c.nth))::bigint as free,
    c.upgraded::bigint as upgrades from counted c
  ), total as (
    select jsonb_agg(jsonb_build_object('bucket', v_labels[r.nth], 'free', r.free,
      'upgrades', r.upgrades,
        'rate', round(r.upgrades::numeric / nullif(r.free, 0), 4))
          order by r.nth) filter (where r.nth > 0) as rows,
      (select count(*) from spells s where s.ended_at > w.from_at) as free,
      sum(r.upgrades)::bigint as upgrades
    from running r
  ), happened as (
    select 'denial' as what, d.account_id, d.created_at as at from credits.denials d
    where d.created_at >= w.from_at and d.created_at < w.to_at
    union all
    select '80_percent', p.account_id, p.crossed_80_at from credits.known_periods p
    where not p_raw and p.crossed_80_at >= w.from_at and p.crossed_80_at < w.to_at
    union all
    select '80_percent', p.account_id, p.crossed_80_at from credits.ledger_periods p
    where p_raw and p.crossed_80_at >= w.from_at and p.crossed_80_at < w.to_at
  ), met as (
    select h.what, s.upgraded, s.ended_at - max(h.at) as took
    from happened h
    join spells s on s.account_id = h.account_id and h.at between s.started_at and s.ended_at
    group by h.what, s.account_id, s.started_at, s.upgraded, s.ended_at
  ), after as (
    select jsonb_object_agg('after_' || k.what,
      credits.upgraded_after(coalesce(c.spells, 0), coalesce(c.day, 0),
        coalesce(c.week, 0))) as answer
    from (values ('denial'), ('80_percent')) k(what)
    left join (
      select m.what, count(*) as spells, count(*) filter (where m.upgraded
        and m.took <= interval '24 hours') as day,
        count(*) filter (where m.upgraded and m.took <= interval '7 days') as week
      from met m group by m.what) c on c.what = k.what
  )
  select credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone,
    t.rows) || a.answer || jsonb_build_object(
    'free', t.free, 'upgrades', t.upgrades, 'rate', round(t.upgrades::numeric / nullif(t.free, 0),
      4))
    into v_answer
  from total t cross join after a;
  return v_answer;
end
$$;
comment on function public.metrics_conversion(timestamptz, timestamptz, text, text, boolean,
  boolean) is
  'How many accounts were on a free plan and how many of them moved to a paid one, per bucket and '
  'in all; and how many did so within 24 hours or 7 days of a denial or of having spent 80 % of '
  'what they had.';
revoke all on function public.metrics_conversion(timestamptz, timestamptz, text, text, boolean,
  boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_conversion(timestamptz, timestamptz, text, text, boolean,
  boolean) to service_role;

-- schemas/metrics/metrics_exhaustion.sql

-- edge: result=Exhaustion callers=service_role repeatable slow
--   Account-periods that ran dry, and on which day; first denial to upgrade.
create function public.metrics_exhaustion(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'all', p_time_zone text default 'UTC',
  p_plan text default null, p_credit_type text default null, p_include_test boolean default false,
  p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_rows jsonb;
  v_upgrades jsonb;
  v_left_out uuid[] := credits.left_out(p_include_test);
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  with refused as materialized (
    select d.account_id, d.credit_type, d.created_at from credits.denials d
    where d.created_at >= w.from_at and d.created_at < w.to_at
      and (p_credit_type is null or d.credit_type = p_credit_type)
  ), read as materialized (
    select c.weight, c.account_id, c.credit_type, c.plan_id, c.started_at, c.ended_at,
    c.crossed_80_at, c.ran_dry_at, c.is_test
    from credits.period_corrections c where not p_raw
    union all
    select 1, l.account_id, l.credit_type, l.plan_id, l.started_at, l.ended_at, l.crossed_80_at,
      l.ran_dry_at, l.is_test
    from credits.ledger_periods l where p_raw
  ), periods as not materialized (
    select p.weight, p.account_id, p.credit_type, p.plan_id, p.started_at, p.ended_at,
    p.crossed_80_at, p.ran_dry_at
    from (
      select 1 as weight, k.account_id, k.credit_type, k.plan_id, k.started_at, k.ended_at,
      k.crossed_80_at, k.ran_dry_at, false as is_test
      from credits.account_periods k where not p_raw
      union all
      select r.weight, r.account_id, r.credit_type, r.plan_id, r.started_at, r.ended_at,
        r.crossed_80_at, r.ran_dry_at, r.is_test from read r
    ) p
    where p.started_at >= w.from_at and p.started_at < w.to_at and (p_include_test or not p.is_test)
      and (p_credit_type is null or p.credit_type = p_credit_type)
        and (p_plan is null or p.plan_id = p_plan)
  ), marked as (
    -- A period counts once, and once more, as nothing but denied, when it met a denial.
    select p.started_at, p.plan_id, p.credit_type, p.weight as periods, 0 as denied,
      case when p.crossed_80_at is null then 0 else p.weight end as crossed,
      -- The first day of a period is its day 1.
      date_part('day', p.ran_dry_at - p.started_at)::integer + 1 as dry_day
    from periods p
    union all
    select p.started_at, p.plan_id, p.credit_type, 0, p.weight, 0, null
    from periods p
    where exists (
      select 1 from refused d
      where d.account_id = p.account_id and d.credit_type = p.credit_type
        and d.created_at >= p.started_at and d.created_at < p.ended_at)
  ), days as (
    select case when w.unit is not null then date_trunc(w.unit, m.started_at, p_time_zone)
        when w.width is not null then date_bin(w.width, m.started_at, w.origin)
          else w.from_at end as bucket,
      m.plan_id, m.credit_type, m.dry_day, sum(m.periods) as periods, sum(m.crossed) as crossed,
      sum(m.denied) as denied
    from marked m group by 1, 2, 3, 4
  ), sums as (
    select d.bucket, d.plan_id, d.credit_type, sum(d.periods)::bigint as periods,
    sum(d.crossed)::bigint as crossed,
      sum(d.denied)::bigint as denied, coalesce(sum(d.periods) filter (where d.dry_day is not null),
        0)::bigint as dry,
      coalesce(jsonb_object_agg(d.dry_day, d.periods) filter (where d.dry_day is not null
        and d.periods > 0), '{}') as days
    from days d group by 1, 2, 3 having sum(d.periods) > 0
  ), firsts as materialized (
    select d.account_id, min(d.created_at) as denied_at from refused d
      where d.account_id <> all (v_left_out) group by 1
  ), spells as materialized (
    select s.account_id, s.started_at, s.ended_at, s.upgraded, f.denied_at
    from firsts f
    join credits.free_spells s on s.account_id = f.account_id
    where s.started_at < w.to_at and s.ended_at >= f.denied_at
  ), first_denials as (
    select s.ended_at, s.upgraded, s.denied_at from spells s where s.denied_at >= s.started_at
    union all
    -- Who was denied before the spell began: the first denial within it.
    select s.ended_at, s.upgraded, min(d.created_at)
    from spells s
    join refused d on d.account_id = s.account_id
      and d.created_at between s.started_at and s.ended_at
    where s.denied_at < s.started_at
    group by s.account_id, s.started_at, s.ended_at, s.upgraded
  ), upgrades as (
    select jsonb_build_object('denied_spells', count(*),
      'upgraded', count(*) filter (where f.upgraded),
      'median_hours', round((percentile_cont(0.5) within group (order by extract(epoch
        from f.ended_at - f.denied_at)::double precision)
        filter (where f.upgraded))::numeric / 3600, 4)) as answer
    from first_denials f
  )
  select (
    select jsonb_agg(jsonb_build_object('bucket', s.bucket, 'plan', s.plan_id,
      'credit_type', s.credit_type,
      'periods', s.periods, 'crossed_80_percent', s.crossed, 'ran_dry', s.dry, 'denied', s.denied,
      'share', round(s.dry::numeric / s.periods, 4), 'days', s.days) order by s.bucket, s.plan_id,
        s.credit_type)
    from sums s), u.answer
    into v_rows, v_upgrades
  from upgrades u;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows)
    || jsonb_build_object('first_denial_to_upgrade', v_upgrades);
end
$$;
comment on function public.metrics_exhaustion(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean) is
  'Of the account-periods that began in the window, per plan and credit type: how many passed 80 '
  '%, ran dry (on which day), or met a denial. And how long it took from a free account''s first '
  'denial to its upgrade.';
revoke all on function public.metrics_exhaustion(timestamptz, timestamptz, text, text, text, text,
  boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_exhaustion(timestamptz, timestamptz, text, text, text,
  text, boolean, boolean) to service_role;

-- schemas/metrics/metrics_health.sql

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
    'accounts', (select count(*) from credits.accounts a where a.status <> 'closed' and not a.is_test),
    'due_accounts', d.accounts, 'renewal_lag_seconds', round(greatest(0, coalesce(d.seconds, 0)), 3),
    'open_reservations', h.open, 'overdue_reservations', h.overdue,
    'unread_balances', (select count(*) from credits.lagging l where not l.is_test),
    'roll_up_age_seconds', (
      select round(extract(epoch from statement_timestamp() - s.rolled_up_at)::numeric, 3) from credits.rollup_state s),
    'recent', (
      select coalesce(jsonb_agg(jsonb_build_object('credit_type', t.id,
        'operations', (select count(distinct x.operation_id) from public.credit_transactions x
          where x.created_at > statement_timestamp() - interval '5 minutes' and x.credit_type = t.id
            and x.kind in ('consume', 'capture')),
        'denials', (select count(*) from credits.denials x
          where x.created_at > statement_timestamp() - interval '5 minutes' and x.credit_type = t.id)) order by t.id), '[]')
      from credits.credit_types t))
  from (
    -- What a test clock moves falls due for its own reasons.
    select count(distinct b.account_id) as accounts,
      round(extract(epoch from statement_timestamp() - min(b.due_at) filter (where isfinite(b.due_at)))::numeric, 3) as seconds
    from credits.balances b
    where b.test_now is null and not b.is_floating and b.account_status <> 'closed' and b.due_at <= statement_timestamp()
  ) d
  cross join (
    select count(*) as open, count(*) filter (where r.expires_at <= statement_timestamp()) as overdue
    from public.credit_reservations r
    join credits.accounts a on a.account_id = r.account_id and not a.is_test
    where r.status = 'open'
  ) h
$$;
comment on function public.metrics_health() is
  'What an operator watches: accounts with something due and for how long (renewal lag), open holds and those past their expiry, balances that the rollups have not read, and per credit type the operations and denials of the last five minutes. Balances are right whatever it says.';
revoke all on function public.metrics_health() from public, anon, authenticated, service_role;
grant execute on function public.metrics_health() to service_role;

-- schemas/metrics/metrics_liability.sql

-- edge: result=Liability callers=service_role repeatable slow
--   Credits owed at the end of each bucket, and now.
create function public.metrics_liability(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'day', p_time_zone text default 'UTC',
  p_credit_type text default null, p_include_test boolean default false,
  p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_starts timestamptz[];
  v_rows jsonb;
  v_now jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  select array_agg(b.starts_at order by b.starts_at) into v_starts
  from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) b;

  with moved as (
    -- Number 0 is all that was before the window.
    select width_bucket(f.at, v_starts) as nth, f.credit_type, f.source, sum(f.amount) as amount
    from credits.owed_facts(case when w.daily then w.to_at else w.from_at end, w.to_at, p_raw
      or not w.hourly, p_include_test) f
    join credits.credit_types t on t.id = f.credit_type and t.kind = 'credit'
    -- What is unlimited is spent from no stock.
    where f.source <> 'unlimited' and (p_credit_type is null or f.credit_type = p_credit_type)
    group by 1, 2, 3
  ), grid as (
    select n.nth, k.credit_type, k.source, coalesce(m.amount, 0) as amount
    from generate_series(0, array_length(v_starts, 1)) n(nth)
    cross join (select distinct x.credit_type, x.source from moved x) k
    left join moved m on m.nth = n.nth and m.credit_type = k.credit_type and m.source = k.source
  ), owed as (
    select g.nth, g.credit_type, g.source,
    (sum(g.amount) over (partition by g.credit_type, g.source order by g.nth))::bigint as owed
    from grid g
  )
  select jsonb_agg(jsonb_build_object('bucket', b.bucket, 'at', b.ends_at,
    'credit_type', o.credit_type, 'source', o.source,
    'owed', o.owed) order by b.bucket, o.credit_type, o.source)
    into v_rows
  from owed o
  join (select m.bucket, m.ends_at, row_number() over (order by m.starts_at) as nth
    from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) m) b
      on b.nth = o.nth
  where o.owed <> 0;

  select jsonb_agg(to_jsonb(n) order by n.credit_type, n.source) into v_now
  from (
    select h.credit_type, h.source, sum(h.owed)::bigint as owed, sum(h.held)::bigint as held,
      coalesce(sum(h.frozen), 0)::bigint as frozen, count(*) as accounts
    from (
      select g.account_id, g.credit_type, g.source, sum(o.owed) as owed, sum(g.held) as held,
        sum(o.owed) filter (where g.frozen_at is not null) as frozen
      from public.credit_grants g
      join credits.accounts a on a.account_id = g.account_id and a.status <> 'closed'
        and (p_include_test or not a.is_test)
      -- Of a grant that has ended, only what a hold has pinned is still owed.
      cross join lateral (
        select case when g.voided_at is null and (g.expires_at is null
          or g.expires_at > coalesce(a.test_now, statement_timestamp()))
          then g.remaining else g.held end as owed) o
      where g.is_open and o.owed > 0 and (p_credit_type is null or g.credit_type = p_credit_type)
      group by g.account_id, g.credit_type, g.source
    ) h
    join credits.credit_types t on t.id = h.credit_type and t.kind = 'credit'
    group by h.credit_type, h.source
  ) n;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone,
    v_rows) || jsonb_build_object('now', coalesce(v_now, '[]'));
end
$$;
comment on function public.metrics_liability(timestamptz, timestamptz, text, text, text, boolean,
  boolean) is
  'Credits owed: granted, and neither spent nor lapsed. rows: at the end of each bucket by the '
  'ledger; now: by the open grants, with what is held and frozen. Limits owe nothing.';
revoke all on function public.metrics_liability(timestamptz, timestamptz, text, text, text, boolean,
  boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_liability(timestamptz, timestamptz, text, text, text,
  boolean, boolean) to service_role;

-- schemas/metrics/metrics_usage.sql

create function credits.usage_facts(
  p_by text, p_metadata_key text, p_since timestamptz, p_until timestamptz, p_time_zone text,
  p_raw_hours boolean, p_raw_days boolean,
  p_include_test boolean)
returns table (at timestamptz, value text, credit_type text, plan_id text, spent bigint,
  operations bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_by in ('cohort', 'metadata') then
    return query
    select f.at, f.value, f.credit_type, f.plan_id, f.spent, f.operations
    from credits.segment_facts(case p_by when 'cohort' then 'cohort'
      else 'metadata:' || p_metadata_key end,
      p_since, p_until, p_raw_days, p_include_test) f;
  else
    return query
    select f.at, case p_by when 'plan' then f.plan_id when 'credit_type' then f.credit_type
      when 'source' then f.source
        when 'weekday' then extract(isodow from f.at at time zone p_time_zone)::text
        else extract(hour from f.at at time zone p_time_zone)::text end,
      f.credit_type, f.plan_id, -f.amount, f.operations
    from credits.flow_facts(p_since, p_until, p_raw_hours, p_include_test) f where f.flow = 'spent';
  end if;
end
$$;
comment on function credits.usage_facts(text, text, timestamptz, timestamptz, text, boolean,
  boolean, boolean) is
  'What was spent in a window, with the value of the segment that it belongs to.';
revoke all on function credits.usage_facts(text, text, timestamptz, timestamptz, text, boolean,
  boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.top_accounts(
  p_from timestamptz, p_to timestamptz, p_plan text, p_credit_type text, p_limit integer,
  p_raw boolean, p_raw_days boolean,
  p_include_test boolean)
returns table (at timestamptz, value text, spent bigint, operations bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_inner record;
  v_days record;
  v_top uuid[];
  v_first date;
  v_last date;
  v_first_month date;
  v_last_month date;
begin
  -- Who spent most is a question to the window as a whole, so it is read by months and days
  -- whatever the buckets are.
  select * into v_inner from credits.inner_window(p_from, p_to, 'day', p_raw);
  v_first := (v_inner.from_at at time zone 'UTC')::date;
  v_last := (v_inner.to_at at time zone 'UTC')::date;
  -- From the nearest month on, to the nearest one: its days outside the window are taken off, those
  -- it lacks are added.
  v_first_month := date_trunc('month', v_first + 15)::date;
  v_last_month := date_trunc('month', v_last + 15)::date;
  if not exists (select 1 from credits.hourly_flows h where h.hour >= v_inner.to_at) then
    v_last_month := date_trunc('month', v_last::timestamp - interval '1 day'
      + interval '1 month')::date;
  end if;
  if v_first_month >= v_last_month or v_first = v_last then
    v_first_month := v_last;
    v_last_month := v_last;
  end if;
  select array(
    select x.account_id
    from (
      select m.account_id, m.spent from credits.monthly_accounts m
      where m.month >= v_first_month and m.month < v_last_month
        and (p_plan is null or m.plan_id = p_plan) and (p_credit_type is null
          or m.credit_type = p_credit_type)
      union all
      select d.account_id, case when v_first_month < v_first then -d.spent else d.spent end
        from credits.daily_accounts d
      where d.day >= least(v_first, v_first_month) and d.day < greatest(v_first, v_first_month)
        and (p_plan is null or d.plan_id = p_plan) and (p_credit_type is null
          or d.credit_type = p_credit_type)
      union all
      select d.account_id, case when v_last < v_last_month then -d.spent else d.spent end
        from credits.daily_accounts d
      where d.day >= least(v_last, v_last_month) and d.day < greatest(v_last, v_last_month)
        and (p_plan is null or d.plan_id = p_plan) and (p_credit_type is null
          or d.credit_type = p_credit_type)
      union all
      select f.account_id, f.spent from credits.spends f
      where f.created_at >= p_from and f.created_at < p_to and (p_include_test or not f.is_test)
        and (not f.is_rolled_up or f.created_at < v_inner.from_at or f.created_at >= v_inner.to_at)
        and (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
          or f.credit_type = p_credit_type)
    ) x
    group by x.account_id having sum(x.spent) > 0
    order by sum(x.spent) desc, x.account_id limit p_limit) into v_top;

  select * into v_days from credits.inner_window(p_from, p_to, 'day', p_raw_days);
  return query
  select d.day::timestamp at time zone 'UTC', d.account_id::text, d.spent, d.operations
  from credits.daily_accounts d
  where d.account_id = any (v_top)
    and d.day >= (v_days.from_at at time zone 'UTC')::date
      and d.day < (v_days.to_at at time zone 'UTC')::date
    and v_days.from_at < v_days.to_at
    and (p_plan is null or d.plan_id = p_plan) and (p_credit_type is null
      or d.credit_type = p_credit_type);
  return query
  select f.at, f.account_id::text, -f.amount, f.operations::bigint
  from credits.facts_outside(p_from, p_to, v_days.from_at, v_days.to_at, p_include_test, v_top) f
  where f.flow = 'spent'
    and (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
      or f.credit_type = p_credit_type);
end
$$;
comment on function credits.top_accounts(timestamptz, timestamptz, text, text, integer, boolean,
  boolean, boolean) is
  'What the accounts that spent most in a window spent in it, by days or finer.';
revoke all on function credits.top_accounts(timestamptz, timestamptz, text, text, integer, boolean,
  boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.usage_rows(p_by text, p_sums jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_agg(jsonb_build_object('bucket', s.bucket, 'value', s.value, 'spent', s.spent,
    'operations', s.operations,
    'share', round(s.spent::numeric / s.whole, 4))
    order by s.bucket, s.value is null, case when p_by in ('weekday', 'hour')
      then s.value::integer end,
      case when p_by = 'cohort' then s.value end, s.spent desc, s.value)
  from (
    select r.*, sum(r.spent) over (partition by r.bucket) as whole
    from jsonb_to_recordset(p_sums) as r(bucket timestamptz, value text, spent bigint,
      operations bigint)) s
$$;
comment on function credits.usage_rows(text, jsonb) is
  'The rows of metrics_usage: in order, with the share of each bucket.';
revoke all on function credits.usage_rows(text, jsonb) from public, anon, authenticated,
  service_role;

-- edge: result=Usage callers=service_role repeatable slow
--   Spent by plan, credit_type, source, weekday, hour, cohort, account or metadata.
create function public.metrics_usage(
  p_by text default 'plan', p_metadata_key text default null, p_since timestamptz default null,
  p_until timestamptz default null,
  p_bucket text default 'all', p_time_zone text default 'UTC', p_plan text default null,
  p_credit_type text default null,
  p_limit integer default 20, p_include_test boolean default false, p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_rows jsonb;
begin
  if p_by is null or p_by not in ('plan', 'credit_type', 'source', 'weekday', 'hour', 'cohort',
    'account', 'metadata') then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_by',
      'value', p_by),
      'Usage is by plan, credit_type, source, weekday, hour, cohort, account or metadata.');
  end if;
  if (p_by = 'metadata') <> (p_metadata_key is not null) then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata_key"}',
      'Usage by metadata needs a key, and nothing else does.');
  end if;
  if p_limit is null or p_limit not between 1 and 10000 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_limit',
      'value', p_limit),
      'Pass how many values to show: 1 to 10000.');
  end if;
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  if p_by = 'account' then
    with shown as (
      select t.value, t.spent, t.operations, case when w.unit is not null
        then date_trunc(w.unit, t.at, p_time_zone)
        when w.width is not null then date_bin(w.width, t.at, w.origin) else w.from_at end as bucket
      from credits.top_accounts(w.from_at, w.to_at, p_plan, p_credit_type, p_limit, p_raw, p_raw
        or not w.daily, p_include_test) t
    ), everybody as (
      select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin)
          else w.from_at end as bucket,
        -sum(f.amount) as spent, sum(f.operations) as operations
      from credits.flow_facts(w.from_at, w.to_at, p_raw or not w.hourly, p_include_test) f
      where f.flow = 'spent' and (p_plan is null or f.plan_id = p_plan)
        and (p_credit_type is null or f.credit_type = p_credit_type)
      group by 1
    ), sums as (
      select s.bucket, s.value, sum(s.spent) as spent, sum(s.operations) as operations from shown s
        group by 1, 2
    ), others as (
      select e.bucket, null, e.spent - coalesce(x.spent, 0) as spent,
      e.operations - coalesce(x.operations, 0)
      from everybody e
      left join (select s.bucket, sum(s.spent) as spent, sum(s.operations) as operations
        from sums s group by 1) x
        on x.bucket = e.bucket
    )
    select credits.usage_rows(p_by, jsonb_agg(to_jsonb(s))) into v_rows
    from (select * from sums union all select * from others o where o.spent > 0) s;
  else
    with sums as materialized (
      select case when w.unit is not null then date_trunc(w.unit, f.at, p_time_zone)
        when w.width is not null then date_bin(w.width, f.at, w.origin)
          else w.from_at end as bucket,
        f.value, sum(f.spent) as spent, sum(f.operations) as operations
      from credits.usage_facts(p_by, p_metadata_key, w.from_at, w.to_at, p_time_zone,
        p_raw or not w.hourly or not w.whole_hours and p_by in ('weekday', 'hour'), p_raw
          or not w.daily, p_include_test) f
      where (p_plan is null or f.plan_id = p_plan) and (p_credit_type is null
        or f.credit_type = p_credit_type)
      group by 1, 2
    ), largest as (
      select s.value from sums s group by s.value order by sum(s.spent) desc, s.value limit p_limit
    )
    select credits.usage_rows(p_by, jsonb_agg(to_jsonb(x))) into v_rows
    from (
      select s.bucket, l.value, sum(s.spent) as spent, sum(s.operations) as operations
      from sums s left join largest l on l.value = s.value group by 1, 2) x;
  end if;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows)
    || jsonb_build_object('by', p_by, 'metadata_key', p_metadata_key);
end
$$;
comment on function public.metrics_usage(
  text, text, timestamptz, timestamptz, text, text, text, text, integer, boolean, boolean) is
  'Credits spent, before refunds, and operations per bucket by plan, credit_type, source, weekday '
  '(1 is Monday), hour, cohort (sign-up month), account or a key of metadata: the p_limit largest '
  'values, and all others together under null.';
revoke all on function public.metrics_usage(text, text, timestamptz, timestamptz, text, text, text,
  text, integer, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_usage(text, text, timestamptz, timestamptz, text, text,
  text, text, integer, boolean, boolean)
  to service_role;

-- schemas/metrics/roll_up_metrics.sql

create function credits.roll_up_batch(p_balances integer)
returns bigint
language sql
volatile
security invoker
set search_path = ''
as $$
  with batch as materialized (
    select l.account_id, l.credit_type, l.kind, l.opened_at, l.version, l.period_version,
    l.until_version, n.number
    from credits.lagging l join credits.account_numbers n on n.account_id = l.account_id
      where not l.is_test
    order by l.account_id, l.credit_type limit p_balances
  ), facts as materialized (
    select b.account_id, b.number, b.opened_at, f.credit_type, f.created_at, f.plan_id, f.source,
    f.flow, f.amount, f.operations, f.metadata
    from batch b
    cross join lateral (
      select x.* from credits.ledger_facts x
      where x.account_id = b.account_id and x.credit_type = b.credit_type
        and x.version > b.version offset 0) f
  ), flows as (
    insert into credits.hourly_flows as h (hour, credit_type, plan_id, source, flow, amount,
      operations)
    select date_trunc('hour', f.created_at, 'UTC'), f.credit_type, f.plan_id, f.source, f.flow,
      sum(f.amount), sum(f.operations)
    from facts f group by 1, 2, 3, 4, 5
    on conflict (hour, credit_type, plan_id, source, flow)
    do update set amount = h.amount + excluded.amount,
      operations = h.operations + excluded.operations
  ), owed as (
    insert into credits.daily_owed as o (day, credit_type, source, amount)
    select (f.created_at at time zone 'UTC')::date, f.credit_type, f.source, sum(f.amount)
      from facts f group by 1, 2, 3
    on conflict (day, credit_type, source) do update set amount = o.amount + excluded.amount
  ), accounts as (
    insert into credits.daily_accounts as d (account_id, day, credit_type, plan_id, spent,
      operations)
    select f.account_id, (f.created_at at time zone 'UTC')::date, f.credit_type, f.plan_id,
      -sum(f.amount), sum(f.operations)
    from facts f where f.flow = 'spent' group by 1, 2, 3, 4
    on conflict (account_id, day, credit_type, plan_id)
    do update set spent = d.spent + excluded.spent, operations = d.operations + excluded.operations
  ), months as (
    insert into credits.monthly_accounts as m (account_id, month, credit_type, plan_id, spent)
    select f.account_id, date_trunc('month', f.created_at at time zone 'UTC')::date, f.credit_type,
      f.plan_id, -sum(f.amount)
    from facts f where f.flow = 'spent' group by 1, 2, 3, 4
    on conflict (account_id, month, credit_type, plan_id) do update
      set spent = m.spent + excluded.spent
  ), active as (
    insert into credits.daily_active as d (day, credit_type, plan_id, chunk, accounts)
    select (f.created_at at time zone 'UTC')::date, f.credit_type, f.plan_id, f.number / 4096,
      bit_or(set_bit(repeat('0', 4096)::bit(4096), (f.number % 4096)::integer, 1))
    from facts f where f.flow = 'spent' group by 1, 2, 3, 4
    on conflict (day, credit_type, plan_id, chunk) do update
      set accounts = d.accounts | excluded.accounts
  ), segments as (
    insert into credits.daily_segments as d (day, segment, value, credit_type, plan_id, spent,
      operations)
    select (f.created_at at time zone 'UTC')::date, s.segment, s.value, f.credit_type, f.plan_id,
      -sum(f.amount), sum(f.operations)
    from facts f
    cross join lateral (
      select 'cohort' as segment, to_char(f.opened_at at time zone 'UTC', 'YYYY-MM') as value
      union all
      select 'metadata:' || k.metadata_key, f.metadata ->> k.metadata_key
      from credits.tracked_keys k where f.metadata ->> k.metadata_key is not null) s
    where f.flow = 'spent' group by 1, 2, 3, 4, 5
    on conflict (segment, day, md5(value), credit_type, plan_id)
    do update set spent = d.spent + excluded.spent, operations = d.operations + excluded.operations
  ), found as materialized (
    select b.account_id, b.credit_type, p.*
    from batch b cross join lateral credits.periods_of(b.account_id, b.credit_type,
      b.period_version) p
    where b.kind = 'credit'
  ), periods as (
    insert into credits.account_periods (account_id, credit_type, version, started_at, plan_id,
      ended_at, crossed_80_at, ran_dry_at)
    select f.account_id, f.credit_type, f.version, f.started_at, f.plan_id, f.ended_at,
      f.crossed_80_at, f.ran_dry_at from found f
    on conflict (account_id, credit_type, version)
    do update set ended_at = excluded.ended_at, crossed_80_at = excluded.crossed_80_at,
      ran_dry_at = excluded.ran_dry_at
  ), advanced as (
    insert into credits.rolled_up as r (account_id, credit_type, version, period_version)
    select b.account_id, b.credit_type, b.until_version, coalesce(n.version, b.period_version)
    from batch b
    left join (select f.account_id, f.credit_type, max(f.version) as version from found f
      group by 1, 2) n
      on n.account_id = b.account_id and n.credit_type = b.credit_type
    on conflict (account_id, credit_type) do update set version = excluded.version,
      period_version = excluded.period_version
  )
  select count(*) from batch
$$;
comment on function credits.roll_up_batch(integer) is
  'Adds to the rollups what the ledgers of so many balances have gained, in one statement and so '
  'from one snapshot. Call it with the state locked.';
revoke all on function credits.roll_up_batch(integer) from public, anon, authenticated,
  service_role;

-- edge: result=RollUp callers=service_role repeatable slow
--   Bring the sums that metrics read up to date. Repeat it until ``finished``.
create function public.roll_up_metrics(p_limit integer default 1000)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
set jit = off
as $$
declare
  v_until timestamptz := clock_timestamp() + interval '5 seconds';
  v_balances bigint := 0;
  v_batch bigint;
begin
  if p_limit is null or p_limit < 1 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_limit',
      'value', p_limit),
      'Pass how many balances to read at once.');
  end if;
  -- Who comes while somebody is at it has nothing to do.
  perform 1 from credits.rollup_state s for update skip locked;
  if found then
    -- Who signs up after this has a number the next time, and is read from the ledger until then.
    insert into credits.account_numbers (account_id)
    select distinct l.account_id from credits.lagging l where not l.is_test
    on conflict (account_id) do nothing;
    loop
      v_batch := credits.roll_up_batch(p_limit);
      v_balances := v_balances + v_batch;
      exit when v_batch < p_limit or clock_timestamp() > v_until;
    end loop;
    if v_batch < p_limit then
      update credits.rollup_state s set rolled_up_at = clock_timestamp();
    end if;
  end if;
  return jsonb_build_object('success', true, 'code', 'ok', 'balances', v_balances,
    'finished', coalesce(v_batch < p_limit, false),
    'rolled_up_at', (select s.rolled_up_at from credits.rollup_state s));
end
$$;
comment on function public.roll_up_metrics(integer) is
  'Brings the sums that metrics read up to date, in batches of p_limit balances, for about five '
  'seconds; repeat it while finished is false. Figures are exact without it, only slower.';
revoke all on function public.roll_up_metrics(integer) from public, anon, authenticated,
  service_role;
grant execute on function public.roll_up_metrics(integer) to service_role;

create function credits.forget_rollup()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform 1 from credits.rollup_state s for update;
  with facts as (
    select f.* from credits.rolled_up r
    join credits.ledger_facts f on f.account_id = r.account_id and f.credit_type = r.credit_type
      and f.version <= r.version
    where r.account_id = new.account_id
  ), flows as (
    select date_trunc('hour', f.created_at, 'UTC') as hour, f.credit_type, f.plan_id, f.source,
    f.flow,
      sum(f.amount) as amount, sum(f.operations) as operations
    from facts f group by 1, 2, 3, 4, 5
  ), segments as (
    select (f.created_at at time zone 'UTC')::date as day, s.segment, s.value, f.credit_type,
    f.plan_id,
      -sum(f.amount) as spent, sum(f.operations) as operations
    from facts f
    cross join lateral (
      select 'cohort' as segment, to_char(new.created_at at time zone 'UTC', 'YYYY-MM') as value
      union all
      select 'metadata:' || k.metadata_key, f.metadata ->> k.metadata_key
      from credits.tracked_keys k where f.metadata ->> k.metadata_key is not null) s
    where f.flow = 'spent' group by 1, 2, 3, 4, 5
  ), less_flows as (
    update credits.hourly_flows h set amount = h.amount - f.amount,
    operations = h.operations - f.operations
    from flows f
    where h.hour = f.hour and h.credit_type = f.credit_type and h.plan_id = f.plan_id
      and h.source = f.source and h.flow = f.flow
  ), less_owed as (
    update credits.daily_owed o set amount = o.amount - x.amount
    from (
      select (f.created_at at time zone 'UTC')::date as day, f.credit_type, f.source,
      sum(f.amount) as amount
      from facts f group by 1, 2, 3) x
    where o.day = x.day and o.credit_type = x.credit_type and o.source = x.source
  )
  update credits.daily_segments d set spent = d.spent - s.spent,
    operations = d.operations - s.operations
  from segments s
  where d.segment = s.segment and d.day = s.day and d.value = s.value
    and d.credit_type = s.credit_type and d.plan_id = s.plan_id;
  delete from credits.hourly_flows h where h.amount = 0;
  delete from credits.daily_owed o where o.amount = 0;
  delete from credits.daily_segments d where d.spent = 0;
  update credits.daily_active d set accounts = set_bit(d.accounts, (n.number % 4096)::integer, 0)
  from credits.account_numbers n
  join credits.daily_accounts a on a.account_id = n.account_id
  where n.account_id = new.account_id and d.chunk = n.number / 4096
    and d.day = a.day and d.credit_type = a.credit_type and d.plan_id = a.plan_id;
  delete from credits.daily_accounts d where d.account_id = new.account_id;
  delete from credits.monthly_accounts m where m.account_id = new.account_id;
  delete from credits.account_periods p where p.account_id = new.account_id;
  delete from credits.rolled_up r where r.account_id = new.account_id;
  return null;
end
$$;
comment on function credits.forget_rollup() is
  'Takes an account that has become a test account out of the rollups.';
revoke all on function credits.forget_rollup() from public, anon, authenticated, service_role;
create trigger accounts_leave_the_rollups after update of is_test on credits.accounts
  for each row when (new.is_test and not old.is_test) execute function credits.forget_rollup();

-- schemas/metrics/track_metadata_key.sql

-- edge: result=TrackedKeys callers=service_role repeatable slow
--   Roll a key of metadata up, so that usage by it is fast, or no longer.
create function public.track_metadata_key(p_metadata_key text, p_tracked boolean default true)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  if p_metadata_key is null or p_tracked is null
    or length(p_metadata_key) not between 1 and 200 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata_key"}',
      'A key has 1 to 200 characters.');
  end if;
  perform 1 from credits.rollup_state s for update;
  if not p_tracked then
    delete from credits.tracked_keys k where k.metadata_key = p_metadata_key;
    delete from credits.daily_segments d where d.segment = 'metadata:' || p_metadata_key;
  else
    insert into credits.tracked_keys (metadata_key) values (p_metadata_key) on conflict do nothing;
    if found then
      insert into credits.daily_segments (day, segment, value, credit_type, plan_id, spent,
        operations)
      select (f.created_at at time zone 'UTC')::date, 'metadata:' || p_metadata_key,
        f.metadata ->> p_metadata_key,
        f.credit_type, f.plan_id, -sum(f.amount), sum(f.operations)
      from credits.rolled_up r
      join credits.ledger_facts f on f.account_id = r.account_id and f.credit_type = r.credit_type
        and f.version <= r.version
      where f.flow = 'spent' and f.metadata ->> p_metadata_key is not null
      group by 1, 3, 4, 5;
    end if;
  end if;
  return jsonb_build_object('success', true, 'code', 'ok', 'tracked', (
    select coalesce(jsonb_agg(k.metadata_key order by k.metadata_key), '[]')
      from credits.tracked_keys k));
end
$$;
comment on function public.track_metadata_key(text, boolean) is
  'Rolls a key of metadata up from now on and for the past, so that usage by its values is fast, '
  'or no longer. For keys with few values, such as model or feature; any other key can be asked '
  'for too, and is read from the ledger.';
revoke all on function public.track_metadata_key(text, boolean) from public, anon, authenticated,
  service_role;
grant execute on function public.track_metadata_key(text, boolean) to service_role;

create function credits.forget_metadata()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform 1 from credits.rollup_state s for update;
  update credits.daily_segments d set spent = d.spent - f.spent,
    operations = d.operations - f.operations
  from (
    select (f.created_at at time zone 'UTC')::date as day, k.metadata_key,
    f.metadata ->> k.metadata_key as value,
      f.credit_type, f.plan_id, -sum(f.amount) as spent, sum(f.operations) as operations
    from credits.tracked_keys k
    join credits.ledger_facts f on (f.account_id = new.account_id or f.user_id = new.account_id)
      and f.flow = 'spent' and f.metadata ->> k.metadata_key is not null
    join credits.rolled_up r on r.account_id = f.account_id and r.credit_type = f.credit_type
      and f.version <= r.version
    group by 1, 2, 3, 4, 5
  ) f
  where d.segment = 'metadata:' || f.metadata_key and d.day = f.day and d.value = f.value
    and d.credit_type = f.credit_type and d.plan_id = f.plan_id;
  delete from credits.daily_segments d where d.spent = 0;
  return null;
end
$$;
comment on function credits.forget_metadata() is
  'Takes the metadata of a person who is about to be forgotten out of the rollups, as it is taken '
  'out of the ledger.';
revoke all on function credits.forget_metadata() from public, anon, authenticated, service_role;
create trigger forgotten_accounts_leave_the_rollups after insert on credits.forgotten_accounts
  for each row execute function credits.forget_metadata();

-- schemas/installation/installed_objects.sql

-- What the migrations made, written down when the last of them has run: diagnose compares it with
-- what is there. A definition is the statement that makes the object again, so what it says to do
-- is what was there before. The build writes the comment of the table.

create table credits.installed_objects (
  object text primary key,
  kind text not null,
  definition text not null,
  server_major integer not null
);
alter table credits.installed_objects enable row level security;
revoke all on table credits.installed_objects from public, anon, authenticated, service_role;

create function credits.own_relations()
returns table (oid oid, name text, kind text, is_usage boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  -- A usage table may be the project's: only what was added to it is ours.
  select c.oid, format('%I.%I', n.nspname, c.relname),
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end,
    n.nspname = 'public' and c.relname = 'usage'
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'S')
    and (n.nspname = 'credits' or n.nspname = 'public' and (c.relname = 'usage' or c.relname in (select credits.public_relations())))
$$;
comment on function credits.own_relations() is
  'The tables, views and sequences of the credit system.';
revoke all on function credits.own_relations() from public, anon, authenticated, service_role;

create function credits.own_functions()
returns table (oid oid, name text, kind text)
language sql
stable
security invoker
set search_path = ''
as $$
  select p.oid, p.oid::regprocedure::text, case p.prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end
  from pg_catalog.pg_proc p
  where p.pronamespace = 'credits'::regnamespace
    or p.pronamespace = 'public'::regnamespace and p.proname in (select credits.public_functions())
$$;
comment on function credits.own_functions() is 'The functions of the credit system.';
revoke all on function credits.own_functions() from public, anon, authenticated, service_role;

create function credits.privileges_as_statements(p_what text, p_acl aclitem[])
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select format('revoke all on %s from public, anon, authenticated, service_role;', p_what) || coalesce((
    select string_agg(format(' grant %s on %s to %s;', g.privileges, p_what, g.grantee), '' order by g.grantee)
    from (
      select string_agg(lower(x.privilege_type), ', ' order by x.privilege_type) as privileges,
        case x.grantee when 0 then 'public' else x.grantee::regrole::text end as grantee
      from aclexplode(p_acl) x
      where x.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
      group by x.grantee) g), '')
$$;
comment on function credits.privileges_as_statements(text, aclitem[]) is
  'The statements after which public and the API''s roles have exactly these privileges.';
revoke all on function credits.privileges_as_statements(text, aclitem[])
  from public, anon, authenticated, service_role;

create function credits.own_privileges()
returns table (object text, kind text, definition text)
language sql
stable
security invoker
set search_path = ''
as $$
  select 'privileges on ' || o.what, 'privileges', credits.privileges_as_statements(o.what, o.acl) from (
    select format('%s %s', case r.kind when 'sequence' then 'sequence' else 'table' end, r.name) as what,
      coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::"char" else 'r' end, c.relowner)) as acl
    from credits.own_relations() r join pg_catalog.pg_class c on c.oid = r.oid where not r.is_usage
    union all
    select format('function %s', f.name), coalesce(p.proacl, acldefault('f', p.proowner))
    from credits.own_functions() f join pg_catalog.pg_proc p on p.oid = f.oid
    union all
    select format('type %s', y.oid::regtype), coalesce(y.typacl, acldefault('T', y.typowner))
    from pg_catalog.pg_type y where y.typnamespace = 'credits'::regnamespace and y.typtype in ('e', 'd', 'r')
    union all
    select 'schema credits', coalesce(n.nspacl, acldefault('n', n.nspowner)) from pg_catalog.pg_namespace n where n.nspname = 'credits'
  ) o
  union all
  -- Of columns there are privileges of their own; none is given by the migrations.
  select format('privileges on column %s.%I', r.name, a.attname), 'privileges',
    format('revoke all (%I) on table %s from public, anon, authenticated, service_role;', a.attname, r.name)
  from credits.own_relations() r join pg_catalog.pg_attribute a on a.attrelid = r.oid and not a.attisdropped and a.attacl is not null
  where not r.is_usage
    and exists (select 1 from aclexplode(a.attacl) x where x.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole))
$$;
comment on function credits.own_privileges() is
  'Who of public and the API''s roles may do what with the objects of the credit system.';
revoke all on function credits.own_privileges() from public, anon, authenticated, service_role;

create function credits.own_table_parts()
returns table (object text, kind text, definition text)
language sql
stable
security invoker
set search_path = ''
as $$
  with parts as (
    select r.name, r.is_usage, a.attnum, quote_ident(a.attname) as attname, format_type(a.atttypid, a.atttypmod) as type,
      a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid) as value, a.attidentity::text || a.attgenerated::text as made
    from credits.own_relations() r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where r.kind = 'table' and (not r.is_usage or a.attname = any (
      '{account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at}'))
  )
  select format('column %s.%s', p.name, p.attname), 'column', format('alter table %s alter column %s type %s;', p.name, p.attname, p.type)
  from parts p
  union all
  select format('default of column %s.%s', p.name, p.attname), 'default', format('alter table %1$s alter column %2$s %3$s not null%4$s;',
    p.name, p.attname, case when p.attnotnull then 'set' else 'drop' end,
    case when p.made <> '' then '' when p.value is null then format(', alter column %s drop default', p.attname)
      else format(', alter column %s set default %s', p.attname, p.value) end)
  from parts p where not p.is_usage
  union all
  select format('constraint %I on %s', k.conname, r.name), 'constraint',
    format('alter table %s add constraint %I %s;', r.name, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
  from pg_catalog.pg_constraint k join credits.own_relations() r on r.oid = k.conrelid
  where k.contype in ('p', 'u', 'c', 'f', 'x') and not r.is_usage
  union all
  select format('index %I.%I', n.nspname, c.relname), 'index', pg_catalog.pg_get_indexdef(i.indexrelid) || ';'
  from pg_catalog.pg_index i
  join credits.own_relations() r on r.oid = i.indrelid
  join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where (not r.is_usage or c.relname in (
      'usage_user_id_created_at_idx', 'usage_account_id_created_at_idx', 'usage_denied_idx'))
    and not exists (select 1 from pg_catalog.pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
$$;
comment on function credits.own_table_parts() is
  'Columns, constraints and indexes of the credit system, each as the statement that makes it.';
revoke all on function credits.own_table_parts() from public, anon, authenticated, service_role;

create function credits.own_objects()
returns table (object text, kind text, definition text)
language sql
stable
security invoker
set search_path = ''
as $$
  select r.kind || ' ' || r.name, r.kind, case r.kind
    when 'view' then format('create or replace view %s%s as %s', r.name,
      ' with (' || array_to_string(c.reloptions, ', ') || ')', pg_catalog.pg_get_viewdef(r.oid))
    when 'table' then format('alter table %1$s %2$s force row level security; alter table %1$s set %3$s;', r.name,
      case when c.relforcerowsecurity then '' else 'no' end, case c.relpersistence when 'u' then 'unlogged' else 'logged' end)
    else '-' end
  from credits.own_relations() r join pg_catalog.pg_class c on c.oid = r.oid where not r.is_usage
  union all
  select p.object, p.kind, p.definition from credits.own_table_parts() p
  union all
  select p.object, p.kind, p.definition from credits.own_privileges() p
  union all
  select format('trigger %I on %s', g.tgname, g.tgrelid::regclass), 'trigger',
    regexp_replace(pg_catalog.pg_get_triggerdef(g.oid), '^CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER') || case g.tgenabled when 'O' then ';' else
      format('; alter table %s %s trigger %I;', g.tgrelid::regclass, case g.tgenabled when 'D' then 'disable' when 'A' then 'enable always' else 'enable replica' end, g.tgname) end
  from pg_catalog.pg_trigger g
  where not g.tgisinternal and (g.tgrelid in (select r.oid from credits.own_relations() r where not r.is_usage)
    or g.tgrelid = 'auth.users'::regclass and g.tgname in ('credits_open_account', 'credits_close_account', 'credits_follow_user'))
  union all
  select format('policy %I on %s', y.polname, r.name), 'policy', format('create policy %I on %s as %s for %s to %s%s%s;', y.polname, r.name,
    case when y.polpermissive then 'permissive' else 'restrictive' end,
    case y.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
    (select string_agg(case o.oid when 0 then 'public' else o.oid::regrole::text end, ', ' order by o.oid::regrole::text) from unnest(y.polroles) as o(oid)),
    ' using (' || pg_catalog.pg_get_expr(y.polqual, y.polrelid) || ')', ' with check (' || pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid) || ')')
  from pg_catalog.pg_policy y join credits.own_relations() r on r.oid = y.polrelid
  where not r.is_usage or y.polname =
    'Users may read their usage and what they oversee'
  union all
  select f.kind || ' ' || f.name, f.kind, case f.kind when 'aggregate' then '-' else pg_catalog.pg_get_functiondef(f.oid) end
  from credits.own_functions() f
  union all
  select 'type ' || y.oid::regtype, 'type', (select format('create type %s as enum (%s);', y.oid::regtype, string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder))
    from pg_catalog.pg_enum e where e.enumtypid = y.oid)
  from pg_catalog.pg_type y where y.typnamespace = 'credits'::regnamespace and y.typtype = 'e'
$$;
comment on function credits.own_objects() is
  'Every object of the credit system as it is now, with the statement that makes it.';
revoke all on function credits.own_objects() from public, anon, authenticated, service_role;

create function credits.remember_installation()
returns bigint
language sql
volatile
security invoker
set search_path = ''
set jit = off
as $$
  with forgotten as (
    delete from credits.installed_objects i where i.object not in (select o.object from credits.own_objects() o)
  ), remembered as (
    insert into credits.installed_objects (object, kind, definition, server_major)
    select o.object, o.kind, o.definition, current_setting('server_version_num')::integer / 10000 from credits.own_objects() o
    on conflict (object) do update set kind = excluded.kind, definition = excluded.definition, server_major = excluded.server_major
    returning 1
  )
  select count(*) from remembered
$$;
comment on function credits.remember_installation() is
  'Writes down what is there as what should be: the last statement of every migration, and after '
  'an upgrade of the server.';
revoke all on function credits.remember_installation() from public, anon, authenticated, service_role;

-- schemas/installation/public_objects.sql

-- Generated by scripts/generate_edge.py: what is in schema public, and who may call it.
-- Change what stands beside each function instead.

create function credits.public_relations()
returns setof name
language sql
immutable
security invoker
set search_path = ''
as $$
  select unnest('{
    credit_balances, credit_grants, credit_invitations, credit_notifications, credit_packs,
    credit_price_books, credit_prices, credit_reservations, credit_transactions,
    credit_workspace_members, credit_workspaces, plan_limits, plans, subscriptions}'::name[])
$$;
comment on function credits.public_relations() is
  'The tables and views in schema public that are this system''s alone; usage may be the project''s.';
revoke all on function credits.public_relations() from public, anon, authenticated, service_role;

create function credits.public_functions()
returns setof name
language sql
immutable
security invoker
set search_path = ''
as $$
  select unnest('{
    accept_workspace_invitation, attach_billing_session, capture_credits, capture_operation,
    change_plan, check_credits, claim_http_request, consume_credits, consume_credits_batch,
    consume_operation, create_billing_order, create_workspace, delete_workspace, diagnose,
    drop_http_claim, end_price, explain_balance, explain_operation, export_account,
    extend_reservation, find_operation, forget_account, freeze_account, get_billing_order,
    get_credit_history, get_credit_summary, get_workspace, grant_credits, has_credits,
    import_balances, invite_to_workspace, leave_workspace, ledger_digest, link_billing_customer,
    list_billing_prices, list_plans, list_uncollected, list_workspaces, mark_test_account,
    metrics_active_accounts, metrics_breakage, metrics_consumption, metrics_conversion,
    metrics_exhaustion, metrics_health, metrics_liability, metrics_usage, open_account, pin_plan,
    publish_plan, quote_operation, record_uncollected, refund_credits, register_billing_price,
    release_credits, remove_from_workspace, reserve_credits, reserve_operation,
    reset_monthly_credits, resolve_uncollected, revoke_grant, revoke_workspace_invitation,
    roll_up_metrics, set_auto_top_up, set_exchange_rate, set_price, set_price_book,
    set_provider_cost, set_subscription_status, set_test_clock, set_time_zone, set_workspace_role,
    store_http_answer, system_status, track_metadata_key, transfer_workspace, unfreeze_account,
    verify_books, verify_checklist, within_limit}'::name[])
$$;
comment on function credits.public_functions() is
  'The functions in schema public that are this system''s.';
revoke all on function credits.public_functions() from public, anon, authenticated, service_role;

create function credits.public_callers()
returns table (function name, role name)
language sql
immutable
security invoker
set search_path = ''
as $$
  values
    ('accept_workspace_invitation'::name, 'authenticated'::name),
    ('create_workspace'::name, 'authenticated'::name),
    ('delete_workspace'::name, 'authenticated'::name),
    ('explain_operation'::name, 'authenticated'::name),
    ('get_credit_history'::name, 'authenticated'::name),
    ('get_credit_summary'::name, 'authenticated'::name),
    ('get_workspace'::name, 'authenticated'::name),
    ('has_credits'::name, 'authenticated'::name),
    ('invite_to_workspace'::name, 'authenticated'::name),
    ('leave_workspace'::name, 'authenticated'::name),
    ('list_workspaces'::name, 'authenticated'::name),
    ('remove_from_workspace'::name, 'authenticated'::name),
    ('revoke_workspace_invitation'::name, 'authenticated'::name),
    ('set_workspace_role'::name, 'authenticated'::name),
    ('transfer_workspace'::name, 'authenticated'::name),
    ('within_limit'::name, 'authenticated'::name)
$$;
comment on function credits.public_callers() is
  'Which API roles beside the service role may call which function of schema public.';
revoke all on function credits.public_callers() from public, anon, authenticated, service_role;

-- schemas/installation/system_status.sql

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

-- schemas/completion/open_existing_accounts.sql

-- Who signed up before the credits came has an account from now on.
do $$
declare
  v_user_id uuid;
begin
  for v_user_id in select u.id from auth.users u order by u.id loop
    perform credits.open_account(v_user_id, 'person');
  end loop;
end
$$;

-- schemas/completion/schedule_jobs.sql

-- Where pg_cron runs, it books what falls due every minute, keeps the sums that metrics read fresh,
-- and forgets answers that have expired. Nothing depends on it: balances are right without it, and
-- metrics are slower. Where pg_cron is enabled later, run these statements.
do $schedule$
begin
  if exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron') then
    execute $cron$select cron.schedule('sonas-renew-credits', '* * * * *', $job$do $$
declare
  v_until timestamptz := clock_timestamp() + interval '50 seconds';
begin
  -- Each batch is a transaction of its own, so that it keeps its accounts for a moment only.
  while (public.reset_monthly_credits() ->> 'more')::boolean and clock_timestamp() < v_until loop
    commit;
  end loop;
end
$$$job$)$cron$;
    execute $cron$select cron.schedule('sonas-roll-up-metrics', '*/5 * * * *',
      'select public.roll_up_metrics()')$cron$;
    execute $cron$select cron.schedule('sonas-forget-answers', '13 * * * *',
      'select credits.forget_stored_answers(100000)')$cron$;
  end if;
end
$schedule$;

-- schemas/completion/remember_installation.sql

-- What is there now is what `sonas doctor` expects from here on.
select credits.remember_installation();

comment on table credits.installed_objects is
  'Every object of the credit system as its migrations made it, with the statement that makes it '
  'again. Written by remember_installation. Release 0.1.0, text 41f6785c952b6c5a.';
