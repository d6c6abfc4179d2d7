create function credits.may_write_rows(p_role name, p_table oid, p_command "char")
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select not c.relrowsecurity or exists (
    select from pg_catalog.pg_policy y
    where y.polrelid = p_table and y.polpermissive and y.polcmd in ('*', p_command)
      and (y.polroles = '{0}' or exists (
        select from unnest(y.polroles) as r(oid) where pg_catalog.pg_has_role(p_role, r.oid, 'usage')))
      and coalesce(pg_catalog.pg_get_expr(coalesce(y.polwithcheck, y.polqual), y.polrelid), 'true') <> 'false')
  from pg_catalog.pg_class c where c.oid = p_table
$$;
comment on function credits.may_write_rows(name, oid, "char") is
  'Whether row level security lets this role insert (a), update (w) or delete (d) any rows of the table.';
revoke all on function credits.may_write_rows(name, oid, "char") from public, anon, authenticated, service_role;

create function credits.guarded_by_trigger(p_table oid, p_column name, p_event integer)
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select exists (
    select from pg_catalog.pg_trigger g
    where g.tgrelid = p_table and not g.tgisinternal and g.tgenabled in ('O', 'A')
      and g.tgtype & 2 = 2 and g.tgtype & p_event = p_event
      and credits.code_of(g.tgfoid) ~ ('new\.' || credits.as_pattern(p_column)))
$$;
comment on function credits.guarded_by_trigger(oid, name, integer) is
  'Whether a trigger before the event (4 insert, 16 update) looks at the new value of this column.';
revoke all on function credits.guarded_by_trigger(oid, name, integer) from public, anon, authenticated, service_role;

create function credits.diagnose_host_tables()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with roles(name) as (values ('anon'::name), ('authenticated')),
  columns as materialized (select c.* from credits.host_columns() c),
  writable as (
    select c.*, e.event, array_agg(r.name::text order by r.name) as writers
    from columns c
    cross join roles r
    cross join (values ('update', 'w'::"char", 16), ('insert', 'a', 4)) as e(event, command, bit)
    where has_column_privilege(r.name, c.table_oid, c.column_name, e.event)
      and credits.may_write_rows(r.name, c.table_oid, e.command)
      and has_schema_privilege(r.name, (select t.relnamespace from pg_catalog.pg_class t where t.oid = c.table_oid), 'usage')
      and not credits.guarded_by_trigger(c.table_oid, c.column_name, e.bit)
    group by c.table_oid, c.table_name, c.relname, c.column_name, c.is_counter, e.event
  )
  select case when w.is_counter then 'users_write_balance' else 'users_choose_plan' end,
    case when w.event = 'update' then 'critical' else 'high' end,
    w.table_name || '.' || quote_ident(w.column_name),
    format('%s may %s it over the API%s. Whoever does has %s for nothing.', array_to_string(w.writers, ' and '), w.event,
      case when w.event = 'insert' then ', with a value of their choice, by adding a row' else '' end,
      case when w.is_counter then 'credits' else 'a plan' end),
    credits.call_as_user(w.writers[1]::text, case w.event
      when 'update' then format('update %s set %I = %s', w.table_name, w.column_name, case when w.is_counter then '1000000' else '<another plan>' end)
      else format('insert into %s (%I, …) values (%s, …)', w.table_name, w.column_name, case when w.is_counter then '1000000' else '<another plan>' end) end),
    -- Revoking one column from a role that holds the whole table changes nothing: the others are granted anew.
    format('revoke %1$s on table %2$s from anon, authenticated; grant %1$s (%3$s) on table %2$s to authenticated;', w.event, w.table_name, (
      select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_catalog.pg_attribute a
      where a.attrelid = w.table_oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        and not exists (select from columns c where c.table_oid = a.attrelid and c.column_name = a.attname)
        and has_column_privilege('authenticated', a.attrelid, a.attnum, w.event)))
  from writable w

  union all
  select 'table_without_rls', 'high', t.name,
    format('Row level security is off, and %s may read it: everybody sees what everybody has.', string_agg(r.name, ' and ')),
    credits.call_as_user(min(r.name), format('select * from %s limit 5', t.name)),
    format('alter table %s enable row level security;  -- and a policy: using (auth.uid() = <the user''s column>)', t.name)
  from credits.host_tables() t cross join roles r
  where not t.rls and has_any_column_privilege(r.name, t.oid, 'select')
    and exists (select from columns c where c.table_oid = t.oid)
  group by t.oid, t.name

  union all
  select 'view_bypasses_rls', 'high', v.oid::regclass::text,
    format('It shows rows of %s with its owner''s rights, so row level security does not apply, and %s may read it.',
      string_agg(distinct d.refobjid::regclass::text, ', '), string_agg(distinct r.name, ' and ')),
    credits.call_as_user(min(r.name), format('select * from %s limit 5', v.oid::regclass)),
    case v.relkind when 'v' then format('alter view %s set (security_invoker = true);', v.oid::regclass)
      else format('revoke select on %s from anon, authenticated;', v.oid::regclass) end
  from pg_catalog.pg_class v
  join credits.host_schemas() s on s.oid = v.relnamespace
  join pg_catalog.pg_rewrite w on w.ev_class = v.oid
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> v.oid
  join pg_catalog.pg_class t on t.oid = d.refobjid and t.relrowsecurity
  cross join roles r
  where v.relkind in ('v', 'm') and has_any_column_privilege(r.name, v.oid, 'select')
    and not (s.name = 'public' and v.relname in (select credits.public_relations()))
    and not coalesce(v.reloptions && '{security_invoker=true,security_invoker=on,security_invoker=1}', false)
    and (t.oid in (select c.table_oid from columns c) or t.relnamespace = 'credits'::regnamespace
      or t.relnamespace = 'public'::regnamespace and (t.relname = 'usage' or t.relname in (select credits.public_relations())))
  group by v.oid, v.relkind

  union all
  select 'usage_may_be_written', 'medium', 'public.usage',
    format('%s may %s it over the API: the log of attempts, and every report made from it, is theirs to write. The ledger is not touched by it.',
      string_agg(distinct r.name, ' and '), string_agg(distinct e.event, ', ')),
    credits.call_as_user(min(r.name), 'delete from public.usage'),
    'revoke insert, update, delete, truncate on table public.usage from anon, authenticated;'
  from roles r cross join (values ('insert', 'a'::"char"), ('update', 'w'), ('delete', 'd')) as e(event, command)
  where has_table_privilege(r.name, 'public.usage', e.event)
    and credits.may_write_rows(r.name, 'public.usage'::regclass, e.command)
  having count(*) > 0
$$;
comment on function credits.diagnose_host_tables() is
  'Columns of the project that are worth money and that users may write, and rows that they may read of others.';
revoke all on function credits.diagnose_host_tables() from public, anon, authenticated, service_role;
