-- Heuristics over the project's own functions. Each looks for one pattern by which credits are handed out to anybody, and
-- for what would make it harmless.

create function credits.diagnose_gifts(p_functions credits.host_function[], p_moves credits.host_move[])
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with gifts as materialized (select g.* from credits.host_gifts(p_functions, p_moves) g)
  select case when g.is_free then 'anyone_gets_credits' else 'credits_on_conditions' end,
    case when g.is_free then 'critical' else 'low' end, f.name,
    format('%s may call it over the API. It runs with its owner''s rights, %s, and does not ask for more than a signed-in user: ',
      credits.who(f.open_to), g.does) || case when g.is_free then 'whoever calls it has credits for nothing.'
      else 'what keeps it from being called again and again are the conditions in it. Read them.' end,
    credits.call_as_user(f.open_to[1], credits.call_of(f.oid)) || case when g.is_free then '' else '  -- twice' end,
    format('revoke execute on function %s from %s;  -- then call it with the secret key', f.oid::regprocedure, credits.everybody())
      || case when g.is_free then '' else '. Or leave it, if it gives each thing once, also to two calls at the same time.' end
  from gifts g join unnest(p_functions) f on f.oid = g.function_oid
  where f.definer and f.open_to <> '{}'

  union all
  select case when g.is_free then 'anyone_gets_credits' else 'credits_on_conditions' end,
    case when g.is_free then 'critical' else 'low' end, f.name,
    format('%s may %s rows of %s over the API, and each runs this trigger. It has its owner''s rights and %s: ',
      credits.who(d.roles), d.event, d.table_name, g.does)
      || case when g.is_free then 'whoever writes a row has credits for nothing.' else 'what keeps it from running again and again are the conditions in it. Read them.' end,
    credits.call_as_user(d.roles[1], case d.event when 'insert' then credits.insert_into(d.table_oid, null, null)
      else format('update %s set <a column> = <a value>', d.table_name) end),
    format('revoke %s on table %s from %s;  -- and write such rows with the secret key, once they are paid', d.event, d.table_name, credits.everybody())
  from gifts g join unnest(p_functions) f on f.oid = g.function_oid
  cross join lateral credits.doors_of(f.oid) d
  where f.definer and f.is_trigger

  union all
  select distinct 'anyone_gets_plan', 'critical', m.name,
    format('%s may call it over the API. It runs with its owner''s rights and sets %s of %s to what it is passed: whoever calls it has %s of their choice.',
      credits.who(m.open_to), m.column_name, m.table_name, case m.worth when 'role' then 'a role' else 'a plan' end),
    credits.call_as_user(m.open_to[1], credits.call_of(m.function_oid)),
    format('revoke execute on function %s from %s;  -- then call it with the secret key', m.function_oid::regprocedure, credits.everybody())
  from unnest(p_moves) m
  where m.worth in ('plan', 'role') and m.by_argument and m.definer and m.open_to <> '{}' and not credits.checks_role(m.code)
$$;
comment on function credits.diagnose_gifts(credits.host_function[], credits.host_move[]) is
  'Functions of the project that hand out credits or plans to whoever calls them, or makes their trigger run.';
revoke all on function credits.diagnose_gifts(credits.host_function[], credits.host_move[]) from public, anon, authenticated, service_role;

create function credits.diagnose_callers(p_functions credits.host_function[], p_moves credits.host_move[])
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with recursive calls as materialized (
    select c.* from credits.host_calls(p_functions) c
  ), moving(oid) as (
    select m.function_oid from unnest(p_moves) m
    union
    select c.caller from calls c
    where c.callee is null and c.called = any ('{consume_credits, consume_credits_batch, reserve_credits, capture_credits,
      release_credits, refund_credits, grant_credits, revoke_grant, change_plan, reset_monthly_credits, freeze_account,
      unfreeze_account, set_subscription_status}')
    union
    -- What asks who calls asks for its callers too.
    select c.caller from moving m join calls c on c.callee = m.oid
    join unnest(p_functions) f on f.oid = m.oid and not credits.checks_caller(credits.without_null_checks(f.code))
  )
  select 'user_id_not_checked', 'critical', f.name,
    format('%s may call it over the API with anybody''s %s. It runs with its owner''s rights, moves credits or sets a plan, and never compares that with auth.uid(): callers can act on other people''s.',
      credits.who(f.open_to), min(a.name)),
    credits.call_as_user(f.open_to[1], credits.call_of(f.oid)) || '  -- with another user''s id',
    format('revoke execute on function %s from %s;  -- or begin it with: if %s is distinct from auth.uid() then raise exception ''not yours''; end if;',
      f.oid::regprocedure, credits.everybody(), case when min(a.name) like '$%' then min(a.name) else quote_ident(min(a.name)) end)
  from unnest(p_functions) f
  join moving m on m.oid = f.oid
  join credits.host_arguments(f.oid) a on a.name ~* '(^|_)(user|users|owner|account|customer|profile|member|org|team|workspace|uid|uuid|id|email|username)(_|$)|userid|^\$'
      and a.type in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
    or a.name ~* '(user|owner|account|customer|profile|member|uid).*' and a.type in (20, 21, 23)
    or a.type in (114, 3802) and f.code ~ (a.pattern || ' ?->>? ?''(user|owner|account|profile|customer)_?id''')
  where f.definer and f.open_to <> '{}' and not credits.checks_caller(credits.without_null_checks(f.code))
    and not exists (
      select from calls c join unnest(p_functions) h on h.oid = c.callee
      where c.caller = f.oid and h.code ~ 'auth\.' and credits.checks_caller(credits.without_null_checks(h.code))
        and credits.call_in(f.code, c.called) ~ a.pattern)
  group by f.oid, f.name, f.open_to
$$;
comment on function credits.diagnose_callers(credits.host_function[], credits.host_move[]) is
  'Functions of the project that act on anybody''s credits, for whoever asks.';
revoke all on function credits.diagnose_callers(credits.host_function[], credits.host_move[]) from public, anon, authenticated, service_role;

create function credits.asks_for_sign(p_code text, p_argument text)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select p_code ~ (p_argument || '\)?(::[a-z]+)?(, 0\))? ?(<=|<|>=|>) ?[01]\M')
    or p_code ~ ('\m[01] ?(<=|<|>=|>) ?\(?([a-z0-9_]+\.)?' || p_argument)
    or p_code ~ ('\mabs ?\([^()]*' || p_argument || '|\mgreatest ?\( ?([a-z0-9_]+\.)?' || p_argument || ' ?, ?[01]\M|\mgreatest ?\( ?[01] ?, ?([a-z0-9_]+\.)?' || p_argument)
    or p_code ~ ('\msign ?\( ?([a-z0-9_]+\.)?' || p_argument || '|' || p_argument || ' (not )?(between|in \()|' || p_argument || ' ?(=|<>) ?(any|all) ?\(')
$$;
comment on function credits.asks_for_sign(text, text) is 'Whether this code asks if an argument is positive, or makes it so.';
revoke all on function credits.asks_for_sign(text, text) from public, anon, authenticated, service_role;

create function credits.diagnose_amounts(p_functions credits.host_function[], p_moves credits.host_move[])
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with reached as materialized (
    select c.callee as oid from credits.host_calls(p_functions) c join unnest(p_functions) f on f.oid = c.caller
    where f.definer and f.open_to <> '{}' and f.code !~ '(<=|<|>=|>) ?[01]\M'
  )
  select 'amount_not_checked', case when m.definer and m.open_to <> '{}' or m.function_oid in (select r.oid from reached r) then 'critical' else 'medium' end,
    m.name, format('It %s %s %s %s of %s without asking whether it is positive: a negative one gives credits.',
      case m.worth when 'used' then 'adds' else 'takes' end, min(a.name), case m.worth when 'used' then 'to' else 'off' end, m.column_name, m.table_name),
    format('begin; %s; rollback;  -- with -1000 for %s', credits.call_of(m.function_oid), min(a.name)),
    format('Begin it with: if %1$s is null or %1$s <= 0 then raise exception ''invalid amount''; end if;', min(a.name))
  from unnest(p_moves) m
  join credits.host_arguments(m.function_oid) a on true
  join pg_catalog.pg_type y on y.oid = a.type
  where m.lowers and coalesce(nullif(y.typbasetype, 0), y.oid) in (20, 21, 23, 700, 701, 790, 1700)
    and regexp_replace(m.resolved, '->>?', ' ', 'g') ~ (case m.worth when 'used' then '\+' else '-' end || '[( ]*(coalesce ?\( ?)?([a-z0-9_]+\.)?' || a.pattern)
    and not credits.asks_for_sign(m.code, a.pattern)
    -- A domain may ask for it.
    and not exists (select from pg_catalog.pg_constraint k where k.contypid = y.oid and pg_catalog.pg_get_constraintdef(k.oid) ~ 'VALUE\)?(::[a-z]+)? >=? \(?[01]')
  group by m.function_oid, m.name, m.definer, m.open_to, m.worth, m.column_name, m.table_name
$$;
comment on function credits.diagnose_amounts(credits.host_function[], credits.host_move[]) is
  'Functions of the project that spend what they are told to, negative amounts too.';
revoke all on function credits.diagnose_amounts(credits.host_function[], credits.host_move[]) from public, anon, authenticated, service_role;
