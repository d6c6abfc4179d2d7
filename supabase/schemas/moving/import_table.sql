-- The table or view that an import reads, found by the name that a person gives it. No other
-- session writes to it meanwhile.

create function credits.import_table(
  p_table text, p_user_column text, p_balance_column text, p_expires_column text,
  p_source_column text)
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
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_table', 'value', p_table),
      'Pass a table or view of your project, with its schema if that is not public.'
        || coalesce(' These columns are in: ' || (
        select string_agg(distinct t.name, ', ') from credits.host_tables() t
        where (select count(*) from pg_catalog.pg_attribute a
          where a.attrelid = t.oid and a.attname in (p_user_column, p_balance_column)
            and not a.attisdropped) = 2) || '.', ''));
  end if;
  foreach v_column in array array[p_user_column, p_balance_column, p_expires_column,
    p_source_column] loop
    if v_column <> all (v_columns) then
      perform credits.raise_error('invalid_argument',
        jsonb_build_object('argument', 'column', 'value', v_column, 'known', v_columns),
        format('%s has no column %s. It has %s.', v_table, v_column,
          array_to_string(v_columns, ', ')));
    end if;
  end loop;
  select format_type(a.atttypid, null) into v_type
  from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
  where a.attrelid = v_table and a.attname = p_balance_column
    and t.typcategory not in ('N', 'S') and a.atttypid <> all (array['json', 'jsonb']::regtype[]);
  if found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'column', 'value', p_balance_column, 'type', v_type),
      format('%s.%s is %s, which is no balance. Import from a view that makes a number of it.',
        v_table, p_balance_column, v_type));
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
comment on function credits.import_table(text, text, text, text, text) is
  'The table or view of the project that a call names, with these columns, the second of which '
  'can be a balance. Raises invalid_argument.';
revoke all on function credits.import_table(text, text, text, text, text)
  from public, anon, authenticated, service_role;

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
    where p_table in (n.nspname || '.' || c.relname, case when n.nspname = 'public'
      then c.relname end)
    order by n.nspname <> 'public' limit 1)::regclass);
end
$$;
comment on function credits.find_table(text) is
  'The table or view of this name, in schema public if it names none; null when there is none.';
revoke all on function credits.find_table(text) from public, anon, authenticated, service_role;

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
  -- Of a view, the tables behind it. Supabase's own stay open, or nobody could sign in meanwhile;
  -- if one of them changes between two readings, the totals differ.
  for v_table in
    with recursive behind as (
      select p_table::oid as oid
      union
      select d.refobjid from behind b
      join pg_catalog.pg_rewrite r on r.ev_class = b.oid
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass
        and d.objid = r.oid
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
  'Locks a table of the project, or those that a view reads, against writes until the transaction '
  'ends.';
revoke all on function credits.keep_still(regclass) from public, anon, authenticated, service_role;

create function credits.import_origin(p_table text, p_is_file boolean)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_is_file then
    return 'file ' || p_table;
  end if;
  -- A table may be gone by the time its import is undone.
  return coalesce(credits.find_table(p_table)::text,
    case when p_table like '%.%' then p_table else 'public.' || p_table end);
end
$$;
comment on function credits.import_origin(text, boolean) is
  'What an import is known by: the table or view it came from, or the name that was given to a '
  'file.';
revoke all on function credits.import_origin(text, boolean)
  from public, anon, authenticated, service_role;

create function credits.import_name(
  p_origin text, p_balance_column text, p_credit_type text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_undone bigint := (
    select count(*) from credits.undone_imports u
    where u.origin = p_origin and u.balance_column = p_balance_column
      and u.credit_type = p_credit_type);
begin
  return format('import:%s:%s%s:%s', p_origin, p_balance_column,
    case when v_undone > 0 then '#' || v_undone + 1 end, p_credit_type);
end
$$;
comment on function credits.import_name(text, text, text) is
  'The key of an import. One that was undone has used its key up; the next one has another.';
revoke all on function credits.import_name(text, text, text)
  from public, anon, authenticated, service_role;
