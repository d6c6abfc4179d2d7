-- What asks who calls, and what is reached through other functions of the project.

create function credits.checks_role(p_code text)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  -- Not current_user: in a function with its owner's rights that is the owner, whoever calls.
  select p_code ~ '''service_role''|auth\.role ?\(|app_meta_?data|\msession_user\M|current_setting ?\( ?''role''|decrypted_secrets'
    or p_code ~ '\mis_?[a-z_]*(admin|staff|superuser)|\mhas_(role|permission)\M|\mauthorize ?\(|\mrequire_[a-z_]*(admin|role)|\m(from|join) ([a-z0-9_]+\.)?([a-z_]+_)?(admins?|staff|user_roles)\M'
    or p_code ~ '(=|<>|!=|distinct from|\min|\many) ?\(*(array\[)?''[a-z_]*(admin|owner|staff)''|(secret|api_key|signature)\)? ?(<>|!=|=|is distinct)'
    -- One person, named in the code.
    or p_code ~ '(=|<>|!=|\min|\many) ?\(*(array\[)?''[^'' ]+@[^'' ]+''|auth\.(uid|email) ?\( ?\)\)* ?(=|<>|!=|is distinct from|(not )?in) ?\(*''[^'']'
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
  -- That somebody is signed in says nothing about who: the caller has to be compared with something.
  with caller as (
    select '(\(*(select )?auth\.(uid|email) ?\( ?\)|\(*(select )?auth\.jwt ?\( ?\)|current_setting ?\( ?''request\.jwt'
      || coalesce((select string_agg('|' || coalesce(m[1], m[2]) || '\M', '') from regexp_matches(p_code,
        '([a-z_][a-z0-9_$]*) ?(?:constant )?(?:uuid|text)? ?(?:not null )?(?::=|\mdefault\M|=) ?\(*(?:select )?auth\.uid|select auth\.uid ?\( ?\) into (?:strict )?([a-z0-9_$]+)', 'g') m
        where coalesce(m[1], m[2]) !~ '^(and|where|if|or|not|on)$'), '') || ')' as pattern
  )
  select p_code ~ ('([^:]=|<>|is (not )?distinct from|\min|\many) ?\(*' || c.pattern)
    or p_code ~ (c.pattern || '[^;,]{0,60}?(<>|[^:]=|is (not )?distinct from|\min \()')
    or credits.checks_role(p_code)
  from caller c
$$;
comment on function credits.checks_caller(text) is 'Whether this code compares who its caller is with anything.';
revoke all on function credits.checks_caller(text) from public, anon, authenticated, service_role;

create function credits.call_in(p_code text, p_name text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select array_to_string(credits.top_level_parts(substring(p_code from credits.as_pattern(p_name) || ' ?\((.*)$')), ', ')
$$;
comment on function credits.call_in(text, text) is 'What the first call of this function in the code passes to it.';
revoke all on function credits.call_in(text, text) from public, anon, authenticated, service_role;

create function credits.host_calls(p_functions credits.host_function[])
returns table (caller oid, called text, callee oid)
language sql
stable
security invoker
set search_path = ''
as $$
  with names as (
    select lower(p.proname) as name, f.oid from unnest(p_functions) f join pg_catalog.pg_proc p on p.oid = f.oid
    where not f.is_trigger
    union all
    select n.name, null from credits.public_functions() as n(name)
  )
  select distinct f.oid, n.name, n.oid
  from unnest(p_functions) f
  cross join lateral regexp_matches(f.code, '([a-z0-9_$]+) ?\(', 'g') m
  join names n on n.name = m[1] and n.oid is distinct from f.oid
$$;
comment on function credits.host_calls(credits.host_function[]) is
  'Which of these functions call which others of them, and which of this system''s.';
revoke all on function credits.host_calls(credits.host_function[]) from public, anon, authenticated, service_role;
