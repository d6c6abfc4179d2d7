-- What the API lets its users do with the project's own tables and functions, and how to try and to close it.

create function credits.may_write_rows(p_role name, p_table oid, p_command "char", p_column name default null)
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  with policies as (
    select y.polpermissive, lower(coalesce(pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid), pg_catalog.pg_get_expr(y.polqual, y.polrelid), 'true')) as expression,
      lower(pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid)) as checked
    from pg_catalog.pg_policy y
    where y.polrelid = p_table and y.polcmd in ('*', p_command)
      and (y.polroles = '{0}' or exists (
        select from unnest(y.polroles) as r(oid) where pg_catalog.pg_has_role(p_role, r.oid, 'usage')))
  ), told as (
    select p.polpermissive, p.expression = 'false'
      -- Nobody is nobody's owner.
      or p_role = 'anon' and p.expression ~ 'auth\.uid' and p.expression !~ 'is null|\mor\M'
      -- with check (credits = (select credits …)) keeps what was there.
      or coalesce(replace(p.checked, '"', '') ~ (credits.as_pattern(p_column) || '\)? (=|<=|<|is not distinct)|(=|is not distinct from) [a-z0-9_.(]*' || credits.as_pattern(p_column)), false) as closes
    from policies p
  )
  select not c.relrowsecurity
    or exists (select from told t where t.polpermissive and not t.closes)
      and not exists (select from told t where not t.polpermissive and t.closes)
  from pg_catalog.pg_class c where c.oid = p_table
$$;
comment on function credits.may_write_rows(name, oid, "char", name) is
  'Whether row level security lets this role insert (a), update (w) or delete (d) any rows of the table, with a value of its choice in this column.';
revoke all on function credits.may_write_rows(name, oid, "char", name) from public, anon, authenticated, service_role;

create function credits.guarded_by_trigger(p_table oid, p_column name, p_event integer)
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select exists (
    select from pg_catalog.pg_trigger g
    join pg_catalog.pg_attribute a on a.attrelid = g.tgrelid and a.attname = p_column
    cross join lateral (select credits.code_of(g.tgfoid) as code, credits.as_pattern(p_column) as name,
      credits.as_code(substring(pg_catalog.pg_get_triggerdef(g.oid) from ' WHEN \((.*)\) EXECUTE ')) as condition) t
    where g.tgrelid = p_table and not g.tgisinternal and g.tgenabled in ('O', 'A')
      and g.tgtype & 2 = 2 and g.tgtype & p_event = p_event
      -- It asks whether the column changes, sets it back, or is there for this column alone and refuses.
      and (t.code ~ ('new\.' || t.name || '[^;]*old\.' || t.name || '|old\.' || t.name || '[^;]*new\.' || t.name)
        or t.code ~ 'raise exception|raise sqlstate|return (null|old)' and (
          p_event = 16 and t.condition ~ ('(old|new)\.' || t.name) or a.attnum = any (g.tgattr::smallint[])
          or t.code ~ ('new\.' || t.name || ' ?(<>|!=|>|is distinct|is not null)'))
        or t.code ~ ('new\.' || t.name || ' ?:?=(?! ?(coalesce ?\( ?new\.|new\.|greatest ?\())')))
$$;
comment on function credits.guarded_by_trigger(oid, name, integer) is
  'Whether a trigger before the event (4 insert, 16 update) keeps this column from being chosen.';
revoke all on function credits.guarded_by_trigger(oid, name, integer) from public, anon, authenticated, service_role;

create function credits.who(p_roles text[])
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select case when 'anon' = any (p_roles) then 'Anybody on the internet'
    when 'authenticated' = any (p_roles) then 'Every signed-in user'
    else 'Every user with the role ' || array_to_string(p_roles, ' or ') end
$$;
comment on function credits.who(text[]) is 'These roles, in words.';
revoke all on function credits.who(text[]) from public, anon, authenticated, service_role;

create function credits.everybody()
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select 'public, ' || string_agg(quote_ident(r.name), ', ' order by r.name) from credits.api_roles() r
$$;
comment on function credits.everybody() is 'Whom to revoke something from, so that the service role alone is left.';
revoke all on function credits.everybody() from public, anon, authenticated, service_role;

create function credits.call_of(p_function oid)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select format('%s %I.%I(%s)', case p.prokind when 'p' then 'call' else 'select' end, n.nspname, p.proname, (
    select string_agg(case when p.provariadic <> 0 and a.nth = p.pronargs then 'variadic ' else '' end
      || case when a.name like '$%' then '' else quote_ident(a.name) || ' => ' end || '<' || format_type(a.type, null) || '>', ', ' order by a.nth)
    from credits.host_arguments(p.oid) a))
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
  select format('begin; %sset local role %I; select set_config(''request.jwt.claims'', ''{"sub": "<id of some user>"}'', true); %s; rollback;',
    -- A role of one's own is one that its maker may hand out, and not yet act as.
    case when p_role in ('anon', 'authenticated') then '' else format('grant %I to current_user; ', p_role) end, p_role, p_statement)
$$;
comment on function credits.call_as_user(text, text) is
  'A script for the SQL editor that does something the way the API would, and takes it back.';
revoke all on function credits.call_as_user(text, text) from public, anon, authenticated, service_role;

create function credits.insert_into(p_table oid, p_column name, p_value text)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select format('insert into %s (%s) values (%s)', p_table::regclass,
    string_agg(quote_ident(a.attname), ', ' order by a.attname is distinct from p_column, a.attnum),
    string_agg(case when a.attname = p_column then p_value
        when a.attname ~* '(user|owner|profile|account|member)' and a.atttypid = 'uuid'::regtype or exists (
          select from pg_catalog.pg_constraint k where k.contype = 'f' and k.conrelid = p_table and a.attnum = any (k.conkey) and k.confrelid = 'auth.users'::regclass)
        then '''<id of some user>''' else '<' || format_type(a.atttypid, null) || '>' end, ', '
      order by a.attname is distinct from p_column, a.attnum))
  from pg_catalog.pg_attribute a
  where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    and (a.attname = p_column or a.attnotnull and not a.atthasdef and a.attidentity = '')
$$;
comment on function credits.insert_into(oid, name, text) is
  'A statement that adds a row with this value, and with the types of what else it needs where values belong.';
revoke all on function credits.insert_into(oid, name, text) from public, anon, authenticated, service_role;

create function credits.doors_of(p_function oid)
returns table (table_oid oid, table_name text, event text, roles text[])
language sql
stable
security invoker
set search_path = ''
as $$
  select c.oid, format('%I.%I', s.name, c.relname), e.event, array_agg(distinct r.name::text order by r.name::text)
  from pg_catalog.pg_trigger g
  join pg_catalog.pg_class c on c.oid = g.tgrelid
  join credits.host_schemas() s on s.oid = c.relnamespace and s.is_served
  cross join (values ('insert', 'a'::"char", 4), ('update', 'w', 16)) as e(event, command, bit)
  cross join credits.api_roles() r
  where g.tgfoid = p_function and g.tgenabled in ('O', 'A') and g.tgtype & e.bit = e.bit
    and has_schema_privilege(r.name, s.oid, 'usage') and has_any_column_privilege(r.name, c.oid, e.event)
    and credits.may_write_rows(r.name, c.oid, e.command)
  group by c.oid, s.name, c.relname, e.event
$$;
comment on function credits.doors_of(oid) is 'Where API roles may write rows that make this trigger function run.';
revoke all on function credits.doors_of(oid) from public, anon, authenticated, service_role;

create function credits.is_invoker_view(p_options text[])
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select exists (select from unnest(p_options) as o(option) where lower(o.option) ~ '^security_invoker=(t|tr|tru|true|y|ye|yes|on|1)$')
$$;
comment on function credits.is_invoker_view(text[]) is 'Whether a view with these options reads with the rights of whoever asks.';
revoke all on function credits.is_invoker_view(text[]) from public, anon, authenticated, service_role;
