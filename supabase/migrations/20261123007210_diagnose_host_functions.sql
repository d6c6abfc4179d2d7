-- Heuristics over the project's own functions. Each looks for one pattern by which credits are handed out to anybody, and
-- for what would make it harmless.

create function credits.checks_role(p_code text)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select p_code ~ 'service_role|auth\.role ?\(|is_admin|is_staff|is_superuser|has_role|app_metadata|\mcurrent_user\M|\msession_user\M'
$$;
comment on function credits.checks_role(text) is 'Whether this code asks what kind of caller it has.';
revoke all on function credits.checks_role(text) from public, anon, authenticated, service_role;

create function credits.checks_caller(p_code text)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select p_code ~ 'auth\.(uid|jwt|email) ?\(|request\.jwt' or credits.checks_role(p_code)
$$;
comment on function credits.checks_caller(text) is 'Whether this code asks who its caller is.';
revoke all on function credits.checks_caller(text) from public, anon, authenticated, service_role;

create function credits.call_of(p_function oid)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select format('%I.%I(%s)', n.nspname, p.proname, (
    select string_agg(coalesce(nullif(p.proargnames[a.nth], '') || ' => ', '') || '<' || format_type(a.type, null) || '>', ', ' order by a.nth)
    from unnest(p.proargtypes) with ordinality as a(type, nth)))
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where p.oid = p_function
$$;
comment on function credits.call_of(oid) is 'A call of this function, with the types of its arguments where values belong.';
revoke all on function credits.call_of(oid) from public, anon, authenticated, service_role;

create function credits.call_as_user(p_role text, p_statement text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select format('begin; set local role %I; select set_config(''request.jwt.claims'', ''{"sub": "<id of some user>"}'', true); %s; rollback;',
    p_role, p_statement)
$$;
comment on function credits.call_as_user(text, text) is
  'A script for the SQL editor that does something the way the API would, and takes it back.';
revoke all on function credits.call_as_user(text, text) from public, anon, authenticated, service_role;

create function credits.host_giveaways()
returns table (oid oid, name text, open_to text[], does text)
language sql
stable
security invoker
set search_path = ''
as $$
  -- Raising a counter by something the caller passes. Without arguments it may be a bonus that is claimed once.
  select m.function_oid, m.name, m.open_to, format('raises %s of %s', m.column_name, m.table_name)
  from credits.host_moves() m join pg_catalog.pg_proc p on p.oid = m.function_oid
  where m.definer and (m.assigned ~ '\+' or m.assigned !~ '-') and not credits.checks_role(m.code)
    and (p.pronargs > 0 or 'anon' = any (m.open_to))
  union all
  select f.oid, f.name, f.open_to, 'calls ' || c.called
  from credits.host_functions() f
  cross join lateral (select substring(f.code from
    '\m(change_plan|reset_monthly_credits|refund_credits|revoke_grant|set_subscription_status|unfreeze_account|set_test_clock|grant_credits) ?\(') as called) c
  where f.definer and c.called is not null and not credits.checks_role(f.code)
    -- A fixed grant under a key of its own takes effect once per person.
    and not (c.called = 'grant_credits' and f.code ~ 'p_idempotency_key ?=>' and credits.checks_caller(f.code))
$$;
comment on function credits.host_giveaways() is 'Functions with their owner''s rights that give credits and do not ask what kind of caller they have.';
revoke all on function credits.host_giveaways() from public, anon, authenticated, service_role;

create function credits.diagnose_host_functions()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with functions as materialized (select f.* from credits.host_functions() f),
  moves as materialized (select m.* from credits.host_moves() m),
  arguments as (
    select p.oid, coalesce(nullif(a.name, ''), '$' || a.nth) as name, (coalesce(p.proallargtypes, p.proargtypes::oid[]))[a.nth + case when p.proallargtypes is null then -1 else 0 end] as type,
      '(?:\$' || a.nth || '(?![0-9])' || coalesce('|' || credits.as_pattern(nullif(a.name, '')), '') || ')' as pattern
    from functions f join pg_catalog.pg_proc p on p.oid = f.oid
    cross join lateral unnest(coalesce(p.proargnames, array_fill(''::text, array[p.pronargs::integer]))) with ordinality as a(name, nth)
    where a.nth <= coalesce(array_length(p.proallargtypes, 1), p.pronargs)
      and coalesce(p.proargmodes[a.nth], 'i') in ('i', 'b', 'v')
  )
  select 'anyone_gets_credits', 'critical', g.name,
    format('%s may call it over the API. It runs with its owner''s rights, %s, and does not ask for more than a signed-in user: whoever calls it has credits for nothing.',
      case when 'anon' = any (g.open_to) then 'Anybody on the internet' else 'Every signed-in user' end, string_agg(distinct g.does, ' and ')),
    credits.call_as_user(g.open_to[1], 'select ' || credits.call_of(g.oid)),
    format('revoke execute on function %s from public, anon, authenticated;  -- then call it with the secret key', g.name)
  from credits.host_giveaways() g
  where g.open_to <> '{}'
  group by g.oid, g.name, g.open_to

  union all
  select 'user_id_not_checked', 'critical', f.name,
    format('%s may call it over the API with anybody''s %s. It runs with its owner''s rights, moves credits, and never compares that with auth.uid(): callers can act on other people''s credits.',
      case when 'anon' = any (f.open_to) then 'Anybody on the internet' else 'Every signed-in user' end, min(a.name)),
    credits.call_as_user(f.open_to[1], 'select ' || credits.call_of(f.oid)) || '  -- with another user''s id',
    format('Begin it with: if %s is distinct from auth.uid() then raise exception ''not yours''; end if;  -- or: revoke execute on function %s from public, anon, authenticated;',
      min(a.name), f.name)
  from functions f
  join arguments a on a.oid = f.oid
  where f.definer and f.open_to <> '{}' and not credits.checks_caller(f.code)
    and a.type in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
    and a.name ~* '(^|_)(user|users|owner|account|customer|profile|member|uid|uuid|id)(_|$)|userid|^\$'
    and (exists (select from moves m where m.function_oid = f.oid)
      or f.code ~ '\m(consume_credits|consume_credits_batch|reserve_credits|capture_credits|release_credits|refund_credits|grant_credits|revoke_grant|change_plan|reset_monthly_credits|freeze_account|unfreeze_account|set_subscription_status) ?\(')
  group by f.oid, f.name, f.open_to

  union all
  select 'amount_not_checked', case when m.definer and m.open_to <> '{}' then 'critical' else 'medium' end, m.name,
    format('It takes %s off %s of %s without asking whether it is positive: a negative one adds credits.', min(a.name), m.column_name, m.table_name),
    format('begin; select %s; rollback;  -- with -1000 for %s', credits.call_of(m.function_oid), min(a.name)),
    format('Begin it with: if %1$s is null or %1$s <= 0 then raise exception ''invalid amount''; end if;', min(a.name))
  from moves m
  join arguments a on a.oid = m.function_oid
  where a.type in ('integer'::regtype, 'bigint'::regtype, 'smallint'::regtype, 'numeric'::regtype, 'double precision'::regtype, 'real'::regtype)
    and m.assigned ~ ('- ?\(?([a-z0-9_]+\.)?' || a.pattern)
    and m.code !~ (a.pattern || ' ?(<=|<|>=|>) ?[01]\M|\m[01] ?(<=|<|>=|>) ?([a-z0-9_]+\.)?' || a.pattern)
    and m.code !~ ('\m(abs|greatest) ?\([^)]*' || a.pattern)
    and m.code !~ (a.pattern || ' (not )?between')
  group by m.function_oid, m.name, m.definer, m.open_to, m.column_name, m.table_name

  union all
  select 'read_then_write', 'high', m.name,
    format('It reads %1$s of %2$s, decides, and writes it, without a lock in between. Of two calls at the same time both see the same figure, and both spend it.',
      m.column_name, m.table_name),
    format('Call it from two sessions at once: begin; select %s; in both, then commit; in both. %s falls by one spend, or below zero.', credits.call_of(m.function_oid), m.column_name),
    format('Do it in one statement: update %1$s set %2$s = %2$s - … where … and %2$s >= …; or read with: select … for update.', m.table_name, m.column_name)
  from moves m
  where m.code ~ ('select [^;]*' || m.column_pattern || '[^;]* from (only )?' || m.table_pattern)
    and m.code !~ 'for (no key )?update|pg_advisory|lock table|serializable'
    and m.code !~ ('update (only )?' || m.table_pattern || '[^;]* where [^;]*' || m.column_pattern || '\)? ?(>|<|=)')

  union all
  select 'definer_without_search_path', 'medium', f.name,
    'It runs with its owner''s rights and looks names up in the caller''s search_path: who can create a table or function in a schema there decides what it does.',
    format('select proconfig from pg_proc where oid = %L::regprocedure;  -- no search_path in it', f.oid::regprocedure::text),
    format('alter function %s set search_path = '''';  -- and write names in it with their schema', f.name)
  from functions f
  where f.definer and not f.has_search_path and (f.open_to <> '{}' or f.is_trigger)
$$;
comment on function credits.diagnose_host_functions() is
  'Functions of the project that hand out credits, act on anybody''s, take a negative amount, or race with themselves.';
revoke all on function credits.diagnose_host_functions() from public, anon, authenticated, service_role;
