-- sonas-supabase: credits on Supabase.
--
-- The story, in the order in which these files tell it:
--
--   1. This file looks before anything is changed: is this a Supabase database, and is every name
--   still free? 2. What is on sale: credit_types, plans, plan_limits, grant_sources.
--   3. Who owns credits: accounts (a person or a workspace) and their subscriptions.
--   4. Where credits live: credit_grants, and nowhere else. What moved: credit_transactions,
--   append-only.
--      credits.balances is the row that every operation on (account, credit type) locks first.
--   5. Time: a function tells the period at any instant; settle books what has fallen due by then;
--      credit_balances shows the same figures to the second, booked or not.
--   6. Operations: consume, reserve, capture, release, refund, grant, revoke, reset, change_plan.
--   For each there is a core
--      function in schema `credits` over one account's rows, and an edge function in `public` which
--      validates, resolves who pays, and shapes the answer.
--   7. Triggers on auth.users open and close accounts; credits.meter_table charges for rows of the
--   host's own tables.
--
-- Lock order: balances rows of one account, by credit_type. Everything else of the account is
-- guarded by them: who writes an account's subscription holds all its balances rows, who reads it
-- holds at least one.

-- Functions for as long as it takes: what the Supabase CLI prints after the message is then one
-- line, not this text, and `sonas check` asks the first of them. It has the caller's search_path,
-- since triggers of a project's own usage table run in its trial.
create function pg_temp.free_name(p_name text)
returns name
language sql
stable
security invoker
as $preflight$
  select left(w.word || p_name, 63)::name
  from unnest(array['app_', 'app2_', 'app3_', 'app4_', 'app5_', 'app6_', 'app7_'])
    with ordinality as w(word, nth)
  cross join lateral (select left(w.word || p_name, 63) as name) as f
  where not exists (select 1 from pg_catalog.pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relname = f.name)
    and not exists (select 1 from pg_catalog.pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.proname = f.name)
    and not exists (select 1 from pg_catalog.pg_type y
      where y.typnamespace = 'public'::regnamespace and y.typname = f.name)
    and to_regnamespace(quote_ident(f.name)) is null
  order by w.nth limit 1
$preflight$;

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
    credit_balances, credit_budgets, credit_budgets_pkey, credit_budgets_spot_key,
    credit_grants, credit_grants_expires_at_idx, credit_grants_open_idx,
    credit_grants_period_key, credit_grants_pkey, credit_invitations,
    credit_invitations_pkey, credit_notifications, credit_notifications_created_at_idx,
    credit_notifications_pkey, credit_notifications_user_id_created_at_idx,
    credit_packs, credit_packs_pkey, credit_price_books, credit_price_books_pkey,
    credit_prices, credit_reservations, credit_reservations_open_idx,
    credit_reservations_pkey, credit_transactions, credit_transactions_created_at_idx,
    credit_transactions_operation_idx, credit_transactions_pkey,
    credit_transactions_related_idx, credit_transactions_user_id_idx, credit_webhooks,
    credit_webhooks_pkey, credit_workspace_members, credit_workspace_members_pkey,
    credit_workspace_members_user_id_idx, credit_workspaces, credit_workspaces_pkey,
    plan_limits, plan_limits_pkey, plans, plans_default_key, plans_pkey, plans_rank_key,
    subscriptions, usage_denied_idx, usage_user_id_created_at_idx}';
  v_routines constant name[] := '{
    accept_workspace_invitation, add_credit_webhook, apply_billing_event,
    attach_billing_session, capture_credits, capture_operation, change_plan,
    check_credits, claim_http_request, claim_messages, claim_unknown_x402_payments,
    claim_x402_payment, consume_credits, consume_credits_batch, consume_operation,
    create_api_key, create_billing_order, create_workspace, delete_credit_budget,
    delete_credit_webhook, delete_workspace, diagnose, drop_http_claim, end_price,
    explain_balance, explain_operation, export_account, extend_reservation,
    find_accounts, find_api_key, find_operation, finish_x402_payment, forget_account,
    freeze_account, get_billing_account, get_billing_order, get_credit_alerts,
    get_credit_history, get_credit_summary, get_workspace, grant_credits, has_credits,
    import_balances, invite_to_workspace, leave_workspace, ledger_digest,
    link_billing_customer, list_api_keys, list_billing_events, list_billing_prices,
    list_credit_budgets, list_credit_dead_letters, list_notifications, list_plans,
    list_prices, list_top_ups, list_uncollected, list_workspaces,
    mark_notifications_read, mark_test_account, metrics_active_accounts,
    metrics_breakage, metrics_consumption, metrics_conversion, metrics_exhaustion,
    metrics_health, metrics_liability, metrics_margin, metrics_revenue, metrics_usage,
    open_account, pin_plan, publish_plan, quote_operation, reconcile_billing,
    record_uncollected, refund_credits, register_billing_price, release_credits,
    remove_from_workspace, replay_billing_events, reserve_credits, reserve_operation,
    reset_monthly_credits, resolve_uncollected, retry_credit_dead_letters,
    revoke_api_key, revoke_grant, revoke_workspace_invitation, roll_up_metrics,
    rotate_credit_webhook_secret, set_auto_top_up, set_credit_alerts, set_credit_budget,
    set_credit_channels, set_exchange_rate, set_plans, set_price, set_price_book,
    set_prices, set_provider_cost, set_subscription_status, set_test_clock,
    set_time_zone, set_workspace_role, settle_messages, store_http_answer,
    system_status, tend_messages, test_credit_webhook, track_metadata_key,
    transfer_workspace, undo_import, unfreeze_account, unsubscribe_credit_mail,
    verify_books, verify_checklist, within_limit}';
  -- End of the names.
  v_triggers constant name[] := array['credits_open_account', 'credits_close_account',
    'credits_follow_user'];
  -- What stands in the way: {object, problem, cure: [statement], named_by: [function]}.
  v_found jsonb := '[]';
  v_usage regclass := to_regclass('public.usage');
  v_constraint text;
  v_context text;
  v_problem text;
  v_cure text;
  v_left_out text[] := '{}';
  v_kept bigint;
begin
  if to_regrole('anon') is null or to_regrole('authenticated') is null
    or to_regrole('service_role') is null
     or to_regclass('auth.users') is null then
    raise exception 'this is not a Supabase database: the roles anon, authenticated, service_role '
      'or the table auth.users are missing. Apply the migrations with `supabase db push` to a '
      'Supabase project, or run `sonas up` for a local one.';
  end if;

  if to_regclass('credits.installed_objects') is not null then
    raise exception 'the credit system is here already, and the history of migrations does not say '
      'so, as after a restore of single schemas. Nothing has been changed. Tell the history '
      '(`supabase migration repair --status applied` with the version in this file''s name), then '
      'run `sonas doctor`, which lists what the restore has left behind, with the statements that '
      'make it again.';
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
                      where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid
                        and d.deptype = 'e')
  ), extensions as (
    select d.classid, d.objid, e.extname
    from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
    where d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::regclass
  ), taken as (
    select c.oid, 'pg_catalog.pg_class'::regclass as class, c.relname as name, c.relowner as owner,
      case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'i' then 'index'
        when 'I' then 'index'
        when 'S' then 'sequence' when 'f' then 'foreign table' when 'c' then 'type'
          else 'table' end as kind,
      format('public.%I', c.relname) as object
    from pg_catalog.pg_class c
    left join pg_catalog.pg_index x on x.indexrelid = c.oid
    left join pg_catalog.pg_class t on t.oid = x.indrelid
    where c.relnamespace = 'public'::regnamespace
      and (c.relname = any (v_relations) or c.relname = 'usage' and c.relkind not in ('r', 'p')
        -- A usage table that was renamed has left its key behind.
        or c.relname = 'usage_pkey' and v_usage is null)
      -- The index of a table that is renamed goes with it; one of the same shape on usage is
      -- welcome.
      and not coalesce(t.relname = any (v_relations), false)
      and not coalesce(t.oid = v_usage and c.relname in ('usage_user_id_created_at_idx',
        'usage_account_id_created_at_idx'), false)
    union all
    select p.oid, 'pg_catalog.pg_proc', p.proname, p.proowner, 'function',
      format('public.%I(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
    from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname = any (v_routines)
    union all
    select y.oid, 'pg_catalog.pg_type', y.typname, y.typowner, case y.typtype when 'd' then 'domain'
      else 'type' end,
      format('public.%I', y.typname)
    from pg_catalog.pg_type y
    where y.typnamespace = 'public'::regnamespace and y.typrelid = 0 and y.typelem = 0
      and (y.typname = any (v_relations) or y.typname = 'usage')
    union all
    select n.oid, 'pg_catalog.pg_namespace', n.nspname, n.nspowner, 'schema', quote_ident(n.nspname)
    from pg_catalog.pg_namespace n where n.nspname = 'credits'
  ), renamed as (
    select t.*, x.extname, pg_temp.free_name(t.name) as new_name
    from taken t left join extensions x on x.classid = t.class and x.objid = t.oid
  ), cured as (
    select r.*,
      case
        when r.extname is not null
          then array[format('alter extension %I set schema extensions;', r.extname)]
        when r.kind = 'function'
          then array[format('alter routine %s rename to %I;', r.object, r.new_name)]
        else array[format('alter %s %s rename to %I;', r.kind, r.object, r.new_name)]
          || array(
            select format('alter index public.%I rename to %I;', i.relname,
              pg_temp.free_name(i.relname))
            from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
            where x.indrelid = r.oid
              and (i.relname = any (v_relations) or i.relname ^@ (r.name || '_'))
            order by i.relname)
          || array(
            select format('alter sequence public.%I rename to %I;', s.relname,
              pg_temp.free_name(s.relname))
            from pg_catalog.pg_depend d join pg_catalog.pg_class s on s.oid = d.objid
              and s.relkind = 'S'
            where d.classid = 'pg_catalog.pg_class'::regclass
              and d.refclassid = 'pg_catalog.pg_class'::regclass
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
      'problem', format('the %s %s exists already', c.kind, case c.kind when 'schema'
        then '"credits"' else c.object end),
      'cure', to_jsonb(c.cure), 'named_by', to_jsonb(c.named_by),
      'owner', case when not pg_catalog.pg_has_role(current_user, c.owner, 'usage')
        then quote_ident(pg_catalog.pg_get_userbyid(c.owner)) end)
    order by c.kind = 'schema' desc, c.kind = 'function', c.kind, c.object), '[]')
  into v_found
  from cured c;

  -- The table belongs to Supabase Auth: there a trigger is renamed by making it again, with the
  -- function that it runs.
  select v_found || coalesce(jsonb_agg(jsonb_build_object(
      'object', format('trigger %I on auth.users', g.tgname),
      'problem', format('the trigger %I on auth.users exists already', g.tgname),
      'cure', case
        when pg_catalog.pg_has_role(current_user, c.relowner, 'usage') then
          jsonb_build_array(format('alter trigger %1$I on auth.users rename to %2$I;', g.tgname,
            'app_' || g.tgname))
        else jsonb_build_array(
          format('drop function %s cascade;', g.tgfoid::regprocedure),
          pg_catalog.pg_get_functiondef(g.tgfoid) || ';',
          (select string_agg(case
              when t.tgrelid = g.tgrelid and t.tgname = any (v_triggers) then
                replace(pg_catalog.pg_get_triggerdef(t.oid), format('TRIGGER %I ', t.tgname),
                  format('TRIGGER %I ', 'app_' || t.tgname))
              else pg_catalog.pg_get_triggerdef(t.oid) end || ';', ' ' order by t.oid)
            from pg_catalog.pg_trigger t where t.tgfoid = g.tgfoid and not t.tgisinternal))
      end, 'named_by', '[]'::jsonb) order by g.tgname), '[]')
  into v_found
  from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
  where g.tgrelid = to_regclass('auth.users') and g.tgname = any (v_triggers);

  -- A project may have a usage table of its own. It is kept as it is, if rows of ours can live in
  -- it.
  if v_usage is not null and (select c.relkind in ('r', 'p') from pg_catalog.pg_class c
    where c.oid = v_usage) then
    with columns as (
      select a.attname, a.attnum, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated,
        a.atttypid, a.atttypmod, w.wanted,
        format_type(a.atttypid, a.atttypmod) as type_name, quote_ident(a.attname) as name,
        a.atthasdef and w.wanted is not null as resets_default,
        pg_catalog.pg_get_expr(d.adbin, d.adrelid) as default_text
      from pg_catalog.pg_attribute a
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      left join (values ('account_id', 'uuid'), ('user_id', 'uuid'), ('credit_type', 'text'),
        ('credits_used', 'bigint'),
                        ('status', 'text'), ('description', 'text'), ('metadata', 'jsonb'),
                          ('operation_id', 'uuid'),
                        ('created_at', 'timestamp with time zone')) as w(name, wanted)
                          on w.name = a.attname
      where a.attrelid = v_usage and a.attnum > 0 and not a.attisdropped
    ), problems as (
      select 0 as nth, 'table public.usage' as object,
        'the table public.usage belongs to another role than the one that applies the migrations'
          as problem,
        array[format('alter table public.usage owner to %I;', current_user)] as cure
      from pg_catalog.pg_class c where c.oid = v_usage
        and not pg_catalog.pg_has_role(current_user, c.relowner, 'usage')
      union all
      select 0, 'table public.usage',
        'the table public.usage has row level security forced on its owner, who writes there',
        array['alter table public.usage no force row level security;']
      from pg_catalog.pg_class c where c.oid = v_usage and c.relforcerowsecurity
        and c.relrowsecurity
      union all
      select c.attnum, 'column public.usage.' || c.name,
        format('the column public.usage.%s (%s) is NOT NULL and has no default, so a metered '
          'attempt could never be written there', c.name, c.type_name),
        case
          -- A column of the key stays NOT NULL, so it gets a value of its own.
          when exists (select 1 from pg_catalog.pg_index x
                       where x.indrelid = v_usage and x.indisprimary
                         and c.attnum = any (x.indkey)) then
            case
              when c.type_name in ('smallint', 'integer', 'bigint') then array[
                format('alter table public.usage alter column %s add generated by default as '
                  'identity;', c.name),
                format('select setval(pg_get_serial_sequence(''public.usage'', %L), '
                  'coalesce(max(%s), 0) + 1, false) from public.usage;', c.attname, c.name)]
              when c.type_name in ('uuid', 'text', 'character varying') then array[
                format('alter table public.usage alter column %s set default gen_random_uuid();',
                  c.name)]
              else array[format(
                '-- Give %s a default, or rename the table: alter table public.usage rename to '
                'app_usage;', c.name)]
            end
          else array[format('alter table public.usage alter column %s drop not null;', c.name)]
        end
      from columns c
      where c.wanted is null and c.attnotnull and not c.atthasdef and c.attidentity = ''
      union all
      select c.attnum, 'column public.usage.' || c.name,
        format('the column public.usage.%s is %s, and %s is needed', c.name,
          case when c.attgenerated <> '' or c.attidentity = 'a' then 'worked out by the database'
            else c.type_name end,
          c.wanted || case when c.attgenerated <> '' or c.attidentity = 'a'
            then ' that may be written' else '' end),
        case
          when c.attgenerated <> '' or c.attidentity <> '' then
            array[format('alter table public.usage rename column %1$s to %2$I;', c.name,
              'app_' || c.attname)]
          when c.wanted = 'text' or c.type_name in ('text', 'character varying')
            or c.type_name like 'character%'
            or exists (select 1 from pg_catalog.pg_cast k
                       where k.castsource = c.atttypid and k.casttarget = c.wanted::regtype) then
            case when c.default_text is null then array[]::text[]
              else array[format('alter table public.usage alter column %s drop default;',
                c.name)] end
            || format('alter table public.usage alter column %1$s type %2$s using %1$s::%2$s;',
              c.name, c.wanted)
            || case when c.default_text is null then array[]::text[]
              else array[format('alter table public.usage alter column %s set default (%s)::%s;',
                c.name, c.default_text, c.wanted)] end
          else array[format('alter table public.usage rename column %1$s to %2$I;', c.name,
            'app_' || c.attname)]
        end
      from columns c
      where c.wanted is not null
        and (c.attgenerated <> '' or c.attidentity = 'a'
          or c.type_name <> c.wanted
          and not (c.wanted = 'text' and c.atttypid = 'character varying'::regtype and (
            c.atttypmod < 0
            or c.atttypmod - 4 >= case c.attname when 'description' then 2000 when 'status' then 7
              else 63 end))
          and not (c.wanted = 'bigint' and c.type_name = 'numeric'))
    )
    select v_found || coalesce(jsonb_agg(jsonb_build_object(
      'object', p.object, 'problem', p.problem, 'cure', to_jsonb(p.cure), 'named_by', '[]'::jsonb)
        order by p.nth), '[]')
    into v_found
    from problems p;

    -- The last word is a trial: write one allowed and one denied attempt, and take everything back.
    -- What refuses them is taken away for the next attempt, so that all of it is found.
    while cardinality(v_left_out) < 20
      and pg_catalog.pg_has_role(current_user, (select c.relowner from pg_catalog.pg_class c
        where c.oid = v_usage), 'usage')
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
        insert into public.usage (account_id, user_id, credit_type, credits_used, status,
          description, metadata, operation_id, created_at)
        select w.id, w.id, 'message', s.used, s.status, repeat('x', 2000), '{}', gen_random_uuid(),
          now()
        from (select coalesce((select u.id from auth.users u limit 1), gen_random_uuid()) as id) w
        cross join (values (9007199254740992, 'allowed'), (0, 'denied'), (1, 'allowed')) as s(used,
          status);
        get diagnostics v_kept = row_count;
        if v_kept < 3 then
          raise exception 'a rule or a trigger takes the row away and says nothing'
            using errcode = 'PTOK2';
        end if;
        raise exception 'probe succeeded' using errcode = 'PTOK1';
      exception
        when sqlstate 'PTOK1' then null;
        when foreign_key_violation then
          get stacked diagnostics v_problem = message_text, v_constraint = constraint_name,
            v_context = pg_exception_context;
          -- Who has signed up has a row there. Another table may have one for each user, which
          -- shows where there are users; none has one for each account.
          if exists (select 1 from pg_catalog.pg_constraint k
              where k.conrelid = v_usage and k.conname = v_constraint
                and not exists (select 1 from pg_catalog.pg_attribute a
                  where a.attrelid = v_usage and a.attname = 'account_id'
                    and a.attnum = any (k.conkey))
                and (k.confrelid = 'auth.users'::regclass
                  or not exists (select 1 from auth.users u))) then
            v_problem := null;
          end if;
        when others then
          get stacked diagnostics v_problem = message_text, v_constraint = constraint_name,
            v_context = pg_exception_context;
          v_context := case when sqlstate <> 'PTOK2' then v_context end;
      end;
      exit when v_problem is null;
      v_cure := case
        when v_constraint <> '' and exists (
          select 1 from pg_catalog.pg_constraint c where c.conrelid = v_usage
            and c.conname = v_constraint) then
          format('alter table public.usage drop constraint %I;', v_constraint)
        when v_constraint <> '' and to_regclass(format('public.%I', v_constraint)) is not null then
          format('drop index public.%I;', v_constraint)
      end;
      v_found := v_found || jsonb_build_array(jsonb_build_object(
        'object', coalesce('constraint ' || nullif(v_constraint, '') || ' on public.usage',
          'trial of public.usage'),
        'problem', 'the table public.usage refuses a metered attempt: ' || v_problem,
        'cure', case when v_cure is not null then jsonb_build_array(v_cure) else
          jsonb_build_array(format(
            '-- A row needs status ''allowed'' or ''denied'', credits_used from 0 to 2^53 and a '
            'description of up to 2000 characters. Widen what refuses it (%s), or:',
            coalesce(nullif(split_part(v_context, chr(10), 1), ''),
              'a type, a trigger or a rule')),
            format('alter table public.usage rename to %I;', pg_temp.free_name('usage')))
          || coalesce((
            select jsonb_agg(format('alter index public.%I rename to %I;', i.relname,
              pg_temp.free_name(i.relname)) order by i.relname)
            from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
            where x.indrelid = v_usage and i.relname ^@ 'usage_'), '[]') end,
        'named_by', '[]'::jsonb));
      exit when v_cure is null;
      v_left_out := v_left_out || v_cure;
    end loop;
  end if;

  return query
  select f.value ->> 'object', f.value ->> 'problem',
    array(select jsonb_array_elements_text(f.value -> 'cure')),
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
  select format(
    E'the credit system cannot be installed yet: %s in its way. Nothing has been changed. The '
    'cure, as statements:\n',
      case count(*) when 1 then 'one thing stands' else count(*) || ' things stand' end)
    || string_agg(
      format(E'\n-- %s. %s%s.\n', w.nth, w.problem,
        coalesce(' (run this as ' || w.run_as || ')', ''))
      || array_to_string(w.cure, E'\n')
      || coalesce(E'\n-- Named in ' || nullif(array_to_string(w.named_by, ', '), '')
        || ': change the name there too, or they reach the object of the credit system.', ''),
      '' order by w.nth)
    || E'\n\nRun them, use the new names in your code, and apply the migrations again. `sonas '
      'check` lists all this, and more, without applying anything.'
  into v_message
  from pg_temp.what_is_in_the_way()
    with ordinality as w(object, problem, cure, named_by, run_as, nth)
  having count(*) > 0;
  if v_message is not null then
    raise exception '%', v_message;
  end if;
end
$preflight$;

select pg_temp.stop_at_what_is_in_the_way();
drop function pg_temp.stop_at_what_is_in_the_way(), pg_temp.what_is_in_the_way(),
  pg_temp.free_name(text);
