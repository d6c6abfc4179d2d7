create function credits.host_json_counters(p_functions credits.host_function[])
returns table (table_oid oid, table_name text, relname name, is_served boolean, column_name name, worth text, type oid)
language sql
stable
security invoker
set search_path = ''
as $$
  -- A json column is a balance when code takes one out of it: settings ->> 'credits'.
  with read as (
    select distinct m[1] as column_name
    from unnest(p_functions) f
    cross join lateral regexp_matches(f.code,
      '([a-z0-9_$]+)\)? ?->>? ?''(?:credits?|[a-z_]*_credits|credits_[a-z_]*|balance|coins|points|tokens|quota|plan|tier)''', 'g') m
    where f.code ~ '->>? ?'''
  )
  select t.oid, t.name, t.relname, t.is_served, a.attname, 'json', a.atttypid
  from credits.host_tables() t
  join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.atttypid in (114, 3802)
  join read r on r.column_name = lower(a.attname)
  where exists (select from unnest(p_functions) f
    where strpos(f.code, lower(t.relname)) > 0 and f.code ~ (credits.as_pattern(t.relname)) and f.code ~ (credits.as_pattern(a.attname) || '\)? ?->'))
$$;
comment on function credits.host_json_counters(credits.host_function[]) is
  'Json columns that the project''s own functions read credits or a plan from.';
revoke all on function credits.host_json_counters(credits.host_function[]) from public, anon, authenticated, service_role;

create function credits.diagnose_host_writes(p_functions credits.host_function[])
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with columns as materialized (
    select c.* from credits.host_columns() c
    union
    select j.* from credits.host_json_counters(p_functions) j
  ), writable as (
    select c.*, e.event, array_agg(r.name::text order by r.name) as writers
    from columns c
    cross join credits.api_roles() r
    cross join (values ('update', 'w'::"char", 16), ('insert', 'a', 4)) as e(event, command, bit)
    where c.is_served and has_column_privilege(r.name, c.table_oid, c.column_name, e.event)
      and has_schema_privilege(r.name, (select t.relnamespace from pg_catalog.pg_class t where t.oid = c.table_oid), 'usage')
      and credits.may_write_rows(r.name, c.table_oid, e.command, c.column_name)
      and not credits.guarded_by_trigger(c.table_oid, c.column_name, e.bit)
    group by c.table_oid, c.table_name, c.relname, c.is_served, c.column_name, c.worth, c.type, e.event
  ), told as (
    select w.*, case
        when w.worth = 'plan' and y.typcategory = 'B' then 'true'
        when w.worth = 'plan' and y.typcategory = 'D' then '''2099-01-01'''
        when w.worth = 'plan' and y.typcategory in ('S', 'E') then '''<another plan>'''
        when w.worth = 'plan' then '<another plan>'
        when w.worth = 'json' then '''{"credits": 1000000}'''
        when w.worth = 'used' then '0'
        when w.worth = 'role' and w.type = 16 then 'true' when w.worth = 'role' then '''admin''' else '1000000' end as value,
      -- Revoking one column from a role that holds the whole table changes nothing: the others are granted anew.
      (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_catalog.pg_attribute a
        where a.attrelid = w.table_oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
          and not exists (select from columns c where c.table_oid = a.attrelid and c.column_name = a.attname)
          and has_column_privilege(w.writers[cardinality(w.writers)], a.attrelid, a.attnum, w.event)) as others
    from writable w join pg_catalog.pg_type y on y.oid = w.type
  )
  select case t.worth when 'plan' then 'users_choose_plan' when 'role' then 'users_choose_role' else 'users_write_balance' end,
    case when t.event = 'update' or t.worth = 'role' then 'critical' else 'high' end,
    t.table_name || '.' || quote_ident(t.column_name),
    format('%s may %s it over the API%s. Whoever does has %s for nothing.', array_to_string(t.writers, ' and '), t.event,
      case when t.event = 'insert' then ', with a value of their choice, by adding a row' else '' end,
      case t.worth when 'plan' then 'a plan' when 'role' then 'the rights that go with it' else 'credits' end),
    credits.call_as_user(t.writers[1], case t.event
      when 'update' then format('update %s set %I = %s', t.table_name, t.column_name, t.value)
      else credits.insert_into(t.table_oid, t.column_name, t.value) end),
    format('revoke %s on table %s from %s;', t.event, t.table_name, credits.everybody())
      || case when t.others is null then '' else format(' grant %s (%s) on table %s to %s;', t.event, t.others, t.table_name,
        (select string_agg(quote_ident(x), ', ') from unnest(t.writers) as x)) end
  from told t

  union all
  select 'users_write_balance', 'critical', v.oid::regclass || '.' || quote_ident(a.attname),
    format('%s may %s through this view, which does it with its owner''s rights: row level security of the table does not apply, and everybody''s rows can be written that it shows.',
      string_agg(distinct r.name, ' and '), string_agg(distinct e.event, ' and ')),
    credits.call_as_user(min(r.name), format('update %s set %I = %s', v.oid::regclass, a.attname,
      case w.worth when 'used' then '0' when 'counter' then '1000000' else format('%I', a.attname) end)),
    format('revoke insert, update, delete on table %s from %s;  -- and alter view %s set (security_invoker = true);', v.oid::regclass, credits.everybody(), v.oid::regclass)
  from pg_catalog.pg_class v
  join credits.host_schemas() s on s.oid = v.relnamespace and s.is_served
  join pg_catalog.pg_attribute a on a.attrelid = v.oid and a.attnum > 0 and not a.attisdropped
  cross join lateral (select credits.worth_of(v.relname, a.attname, a.atttypid) as worth) w
  cross join credits.api_roles() r
  cross join (values ('update'), ('insert')) as e(event)
  where v.relkind = 'v' and w.worth is not null and not credits.is_invoker_view(v.reloptions)
    and not (s.name = 'public' and v.relname in (select credits.public_relations()))
    and pg_catalog.pg_column_is_updatable(v.oid, a.attnum, true)
    and has_schema_privilege(r.name, s.oid, 'usage') and has_column_privilege(r.name, v.oid, a.attnum, e.event)
  group by v.oid, a.attname, w.worth
$$;
comment on function credits.diagnose_host_writes(credits.host_function[]) is
  'Columns of the project that are worth money and that users may write.';
revoke all on function credits.diagnose_host_writes(credits.host_function[]) from public, anon, authenticated, service_role;

create function credits.diagnose_host_reads()
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with recursive money(oid) as materialized (
    select distinct c.table_oid from credits.host_columns() c
    union
    select t.oid from pg_catalog.pg_class t
    where t.relrowsecurity and (t.relnamespace = 'credits'::regnamespace
      or t.relnamespace = 'public'::regnamespace and (t.relname = 'usage' or t.relname in (select credits.public_relations())))
  ), uses as materialized (
    select distinct w.ev_class as view, d.refobjid as used
    from pg_catalog.pg_rewrite w
    join pg_catalog.pg_class v on v.oid = w.ev_class and v.relkind in ('v', 'm')
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> w.ev_class
  ), shown(view, base) as (
    select u.view, u.used from uses u join pg_catalog.pg_class t on t.oid = u.used and t.relrowsecurity where u.used in (select m.oid from money m)
    union
    -- A view over a view. An inner one with its caller's rights asks whoever asks the outer one.
    select u.view, s.base from shown s join uses u on u.used = s.view
    join pg_catalog.pg_class v on v.oid = s.view and not credits.is_invoker_view(v.reloptions)
  )
  select 'table_without_rls', 'high', t.name,
    format('Row level security is off, and %s may read it: everybody sees what everybody has.', string_agg(r.name, ' and ')),
    credits.call_as_user(min(r.name), format('select * from %s limit 5', t.name)),
    format('alter table %s enable row level security;  -- and a policy: using (auth.uid() = <the user''s column>)', t.name)
  from credits.host_tables() t cross join credits.api_roles() r
  where not t.rls and t.is_served and has_any_column_privilege(r.name, t.oid, 'select')
    and has_schema_privilege(r.name, (select c.relnamespace from pg_catalog.pg_class c where c.oid = t.oid), 'usage')
    and t.oid in (select m.oid from money m)
    -- A list of prices belongs to nobody.
    and exists (select from pg_catalog.pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
      and (a.attname ~* '(user|owner|account|customer|profile|member|org|team|workspace|email)'
        or a.attname = 'id' and a.atttypid = 'uuid'::regtype and t.relname !~* '(plan|pack|package|price|product|tier|feature)s?$'))
  group by t.oid, t.name

  union all
  select 'view_bypasses_rls', 'high', v.oid::regclass::text,
    format('It shows rows of %s with its owner''s rights, so row level security does not apply, and %s may read it.',
      string_agg(distinct b.base::regclass::text, ', '), string_agg(distinct r.name, ' and ')),
    credits.call_as_user(min(r.name), format('select * from %s limit 5', v.oid::regclass)),
    case v.relkind when 'v' then format('alter view %s set (security_invoker = true);', v.oid::regclass)
      else format('revoke select on %s from %s;', v.oid::regclass, credits.everybody()) end
  from shown b
  join pg_catalog.pg_class v on v.oid = b.view
  join credits.host_schemas() s on s.oid = v.relnamespace and s.is_served
  cross join credits.api_roles() r
  where has_any_column_privilege(r.name, v.oid, 'select') and has_schema_privilege(r.name, s.oid, 'usage')
    and not (s.name = 'public' and v.relname in (select credits.public_relations()))
    and not (v.relkind = 'v' and credits.is_invoker_view(v.reloptions))
    -- It asks itself whose rows they are.
    and not (v.relkind = 'v' and pg_catalog.pg_get_viewdef(v.oid) ~ 'auth\.(uid|jwt|email)\(')
  group by v.oid, v.relkind

  union all
  select 'usage_may_be_written', 'medium', 'public.usage',
    format('%s may %s it over the API: the log of attempts, and every report made from it, is theirs to write. The ledger is not touched by it.',
      string_agg(distinct r.name, ' and '), string_agg(distinct e.event, ', ')),
    credits.call_as_user(min(r.name), 'delete from public.usage'),
    format('revoke insert, update, delete, truncate on table public.usage from %s;', credits.everybody())
  from credits.api_roles() r cross join (values ('insert', 'a'::"char"), ('update', 'w'), ('delete', 'd')) as e(event, command)
  where (has_table_privilege(r.name, 'public.usage', e.event)
      or e.event <> 'delete' and has_any_column_privilege(r.name, 'public.usage', e.event))
    and credits.may_write_rows(r.name, 'public.usage'::regclass, e.command)
  having count(*) > 0
$$;
comment on function credits.diagnose_host_reads() is
  'Rows of the project that users may read of others, and what they may write into the log of attempts.';
revoke all on function credits.diagnose_host_reads() from public, anon, authenticated, service_role;
