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

do $preflight$
declare
  v_clash text;
  v_column record;
  v_problem text;
  v_probe uuid := gen_random_uuid();
begin
  if to_regrole('anon') is null or to_regrole('authenticated') is null or to_regrole('service_role') is null
     or to_regclass('auth.users') is null then
    raise exception 'this is not a Supabase database: the roles anon, authenticated, service_role or the table auth.users are missing'
      using hint = 'Apply the migrations with `supabase db push` to a Supabase project, or run `sonas up` for a local one.';
  end if;

  if to_regnamespace('credits') is not null then
    raise exception 'the schema "credits" exists already'
      using hint = 'Rename it (alter schema credits rename to …) and apply the migrations again. Nothing has been changed.';
  end if;

  select format('%s %I.%I', case c.relkind when 'v' then 'the view' when 'm' then 'the materialized view'
                when 'i' then 'the index' when 'S' then 'the sequence' else 'the table' end, 'public', c.relname)
    into v_clash
  from pg_catalog.pg_class c
  where c.relnamespace = 'public'::regnamespace
    and (c.relname in (
      'plans', 'plan_limits', 'subscriptions', 'credit_balances', 'credit_grants', 'credit_transactions',
      'credit_reservations', 'credit_workspaces', 'credit_workspace_members', 'plans_pkey', 'plan_limits_pkey', 'plans_default_key',
      'plans_rank_key', 'subscriptions_pkey', 'subscriptions_pending_at_idx', 'credit_grants_pkey',
      'credit_grants_open_idx', 'credit_grants_period_key',
      'credit_transactions_pkey', 'credit_transactions_operation_idx', 'credit_transactions_related_idx',
      'credit_reservations_pkey', 'credit_reservations_open_idx', 'credit_workspaces_pkey', 'credit_workspace_members_pkey',
      'credit_workspace_members_user_id_idx', 'usage_user_id_created_at_idx',
      'credit_transactions_created_at_idx', 'usage_denied_idx')
      or (c.relname = 'usage' and c.relkind not in ('r', 'p')))
  order by c.relname limit 1;
  if v_clash is not null then
    raise exception '% exists already', v_clash
      using hint = 'Rename yours (alter … rename to …) and apply the migrations again. Nothing has been changed.';
  end if;

  select format('the function %I.%I(%s)', 'public', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
    into v_clash
  from pg_catalog.pg_proc p
  where p.pronamespace = 'public'::regnamespace
    and p.proname in (
      'consume_credits', 'consume_credits_batch', 'check_credits', 'reserve_credits', 'capture_credits',
      'release_credits', 'refund_credits', 'grant_credits', 'revoke_grant', 'reset_monthly_credits', 'change_plan',
      'get_credit_summary', 'explain_operation', 'mark_test_account', 'set_test_clock', 'set_subscription_status',
      'set_time_zone', 'freeze_account', 'unfreeze_account', 'list_plans', 'get_credit_history', 'system_status',
      'verify_books', 'ledger_digest', 'verify_checklist', 'diagnose', 'explain_balance', 'find_operation', 'import_balances',
      'export_account', 'forget_account', 'metrics_consumption', 'metrics_conversion', 'metrics_usage',
      'metrics_exhaustion', 'metrics_breakage', 'metrics_active_accounts', 'metrics_liability', 'metrics_health',
      'roll_up_metrics',
      'track_metadata_key')
  order by p.proname limit 1;
  if v_clash is not null then
    raise exception '% exists already', v_clash
      using hint = 'Rename or drop yours and apply the migrations again. Nothing has been changed.';
  end if;

  select format('the type %I.%I', 'public', t.typname) into v_clash
  from pg_catalog.pg_type t
  where t.typnamespace = 'public'::regnamespace and t.typrelid = 0
    and t.typname in ('plans', 'plan_limits', 'subscriptions', 'credit_balances', 'credit_grants',
                      'credit_transactions', 'credit_reservations', 'credit_workspaces', 'credit_workspace_members', 'usage')
  order by t.typname limit 1;
  if v_clash is not null then
    raise exception '% exists already', v_clash
      using hint = 'Rename it (alter type … rename to …) and apply the migrations again. Nothing has been changed.';
  end if;

  select format('the trigger %I on auth.users', g.tgname) into v_clash
  from pg_catalog.pg_trigger g
  where g.tgrelid = 'auth.users'::regclass
    and g.tgname in ('credits_open_account', 'credits_close_account')
  limit 1;
  if v_clash is not null then
    raise exception '% exists already', v_clash
      using hint = 'Rename or drop it and apply the migrations again. Nothing has been changed.';
  end if;

  -- A project may have a usage table of its own. It is kept as it is, if rows of ours can live in it.
  if to_regclass('public.usage') is null then
    return;
  end if;

  if not pg_catalog.pg_has_role(current_user, (
    select c.relowner from pg_catalog.pg_class c where c.oid = 'public.usage'::regclass), 'usage') then
    raise exception 'the table public.usage belongs to another role than the one that applies the migrations'
      using hint = format('Run `alter table public.usage owner to %I` and apply the migrations again. Nothing has been changed.', current_user);
  end if;

  select a.attname, format_type(a.atttypid, a.atttypmod) as type_name into v_column
  from pg_catalog.pg_attribute a
  where a.attrelid = 'public.usage'::regclass and a.attnum > 0 and not a.attisdropped
    and a.attnotnull and not a.atthasdef and a.attidentity = ''
    and a.attname not in ('account_id', 'user_id', 'credit_type', 'credits_used', 'status', 'description', 'metadata',
                          'operation_id', 'created_at')
  order by a.attnum limit 1;
  if found then
    raise exception 'the column public.usage.% (%) is NOT NULL and has no default, so a metered attempt could never be written there',
        quote_ident(v_column.attname), v_column.type_name
      using hint = format('Give it a default (alter table public.usage alter column %1$I set default …) or drop its NOT NULL (alter table public.usage alter column %1$I drop not null), then apply the migrations again. Nothing has been changed.', v_column.attname);
  end if;

  select a.attname, format_type(a.atttypid, a.atttypmod) as type_name, w.wanted into v_column
  from (values ('account_id', 'uuid'), ('user_id', 'uuid'), ('credit_type', 'text'), ('credits_used', 'bigint'),
               ('status', 'text'), ('description', 'text'), ('metadata', 'jsonb'), ('operation_id', 'uuid'),
               ('created_at', 'timestamp with time zone')) as w(name, wanted)
  join pg_catalog.pg_attribute a on a.attrelid = 'public.usage'::regclass and a.attname = w.name and not a.attisdropped
  where format_type(a.atttypid, a.atttypmod) <> w.wanted
    and not (w.wanted = 'text' and format_type(a.atttypid, a.atttypmod) = 'character varying')
    and not (w.wanted = 'bigint' and format_type(a.atttypid, a.atttypmod) = 'numeric')
  order by a.attnum limit 1;
  if found then
    raise exception 'the column public.usage.% is %, and % is needed', quote_ident(v_column.attname), v_column.type_name, v_column.wanted
      using hint = format('Change it (alter table public.usage alter column %1$I type %2$s using %1$I::%2$s) or rename it, then apply the migrations again. Nothing has been changed.', v_column.attname, v_column.wanted);
  end if;

  -- The last word is a trial: write one allowed and one denied attempt, and take everything back.
  begin
    alter table public.usage
      add column if not exists account_id uuid, add column if not exists user_id uuid,
      add column if not exists credit_type text, add column if not exists credits_used bigint,
      add column if not exists status text, add column if not exists description text,
      add column if not exists metadata jsonb, add column if not exists operation_id uuid,
      add column if not exists created_at timestamptz default now();
    insert into public.usage (account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
    select v_probe, coalesce((select u.id from auth.users u limit 1), v_probe), 'message', s.used, s.status,
           repeat('x', 2000), '{}', gen_random_uuid(), now()
    from (values (9007199254740992, 'allowed'), (0, 'denied')) as s(used, status);
    raise exception 'probe succeeded' using errcode = 'PTOK1';
  exception
    when sqlstate 'PTOK1' or foreign_key_violation then null;
    when others then v_problem := sqlerrm;
  end;
  if v_problem is not null then
    raise exception 'the table public.usage refuses a metered attempt: %', v_problem
      using hint = 'A row needs status ''allowed'' or ''denied'', credits_used from 0 to 2^53 and a description of up to 2000 characters. Widen what refuses it (a check, an enum, a trigger) or rename your table, then apply the migrations again. Nothing has been changed.';
  end if;
end
$preflight$;
