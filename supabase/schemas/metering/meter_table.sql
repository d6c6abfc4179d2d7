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
  on conflict (table_id) do update set table_name = excluded.table_name,
    gives_back = excluded.gives_back
  returning id into v_meter_id;

  -- A statement reports to the table that it names: the table itself, or a partition or child of
  -- it.
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
  'Meters a table of the host project: select credits.meter_table(''public.projects'', '
  '''project'', ''owner_id''). From then on each new row costs its owner one credit, or what '
  'p_amount_column of the row says, and its deletion gives that back unless p_gives_back is '
  'false, in the same transaction; a denial is a 402. For a limit, rows that exist already are '
  'counted; answers how many. Safe to repeat, as one does for new partitions. Without a schema '
  'the table is looked for in public.';
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
  return coalesce(to_regclass(p_table), case when p_table !~ '[.]'
    then to_regclass('public.' || p_table) end,
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
comment on function credits.table_words(regclass) is
  'Schema and name of a table, as people read it.';
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
comment on function credits.table_exists(regclass) is
  'Whether a metered table has not been dropped.';
revoke all on function credits.table_exists(regclass)
  from public, anon, authenticated, service_role;

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
comment on function credits.table_family(regclass) is
  'A table with its partitions or children, theirs included.';
revoke all on function credits.table_family(regclass)
  from public, anon, authenticated, service_role;

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
      join pg_catalog.pg_trigger g on g.tgrelid = f and g.tgname = 'credits_meter_new_partition'
        and g.tgenabled <> 'D');
end
$$;
comment on function credits.has_new_partitions(oid) is
  'Whether a metered table has partitions that are younger than the last call of meter_table.';
revoke all on function credits.has_new_partitions(oid)
  from public, anon, authenticated, service_role;

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
    perform credits.raise_error('unknown_credit_type',
      jsonb_build_object('credit_type', p_credit_type));
  end if;
  if not exists (
    select 1 from pg_catalog.pg_attribute a
    where a.attrelid = p_table_id and a.attname = p_owner_column
      and a.atttypid = 'uuid'::regtype) then
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
      format('%s needs a column %s of whole numbers that says what a row costs.', v_words,
        p_amount_column));
  end if;
  if not exists (select 1 from pg_catalog.pg_index i where i.indrelid = p_table_id
    and i.indisprimary) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_table', 'value', v_words),
      format('%s needs a primary key, so that a deleted row gives back its own charge.', v_words));
  end if;
  if exists (
    select 1 from pg_catalog.pg_class c
    where c.oid = p_table_id and (c.relispartition or c.relkind not in ('r', 'p'))) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_table', 'value', v_words),
      format('%s is a partition or no table. Meter the table that it belongs to.', v_words));
  end if;
  select m.credit_type into v_other from credits.meters m
  where m.table_id = p_table_id and m.credit_type <> p_credit_type;
  if found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_credit_type', 'value', p_credit_type),
      format('%s is metered as %s already. Call credits.unmeter_table first.', v_words, v_other));
  end if;
  select a.attname into v_other
  from pg_catalog.pg_trigger g
  join pg_catalog.pg_attribute a on a.attrelid = g.tgrelid and a.attnum = g.tgattr[0]
  where g.tgrelid = p_table_id and g.tgname = 'credits_meter_owner' and a.attname <> p_owner_column;
  if found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_owner_column', 'value', p_owner_column),
      format('The rows of %s are paid for by %s already. Call credits.unmeter_table first.',
        v_words, v_other));
  end if;
end
$$;
comment on function credits.check_meter(regclass, text, text, text) is
  'Raises unknown_credit_type, or invalid_argument with a sentence about what the table lacks to '
  'be metered so.';
revoke all on function credits.check_meter(regclass, text, text, text)
  from public, anon, authenticated, service_role;

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
        where i.indrelid = (select m.table_id from credits.meters m where m.id = p_meter_id)
          and i.indisprimary
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
      v_mark.name, (select string_agg(quote_ident(c), ', ') from unnest(v_mark.columns) c),
        p_relation, p_meter_id);
  end loop;
end
$$;
comment on function credits.put_meter_marks(regclass, uuid, text, text) is
  'Puts the triggers that never fire on a metered table: their lists of columns say which are '
  'owner, key and amount, whatever these are called later.';
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
    'create or replace trigger credits_meter_insert after insert on %1$s
       referencing new table as new_rows
       for each statement execute function credits.meter_statement(%2$L);
     create or replace trigger credits_meter_update after update on %1$s
       referencing old table as old_rows new table as new_rows
       for each statement execute function credits.meter_statement(%2$L);
     create or replace trigger credits_meter_delete after delete on %1$s
       referencing old table as old_rows
       for each statement execute function credits.meter_statement(%2$L);
     create or replace trigger credits_meter_truncate after truncate on %1$s
       for each statement execute function credits.meter_truncate(%2$L)', p_relation, p_meter_id);
  if v_relation.relkind = 'p' and not v_relation.relispartition and not exists (
    select 1 from pg_catalog.pg_trigger g
    where g.tgrelid = p_relation and g.tgname = 'credits_meter_new_partition') then
    execute format(
      'create trigger credits_meter_new_partition after insert or update or delete on %s
       for each row execute function credits.meter_row_of_new_partition(%L)', p_relation,
         p_meter_id);
  elsif v_relation.relkind = 'r' and v_relation.relispartition then
    execute format('alter table %s disable trigger credits_meter_new_partition', p_relation);
  end if;
end
$$;
comment on function credits.put_meter_triggers(regclass, uuid) is
  'Puts the triggers that charge on a metered table, one of its partitions or one of its children.';
revoke all on function credits.put_meter_triggers(regclass, uuid)
  from public, anon, authenticated, service_role;

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
       where m.account_id = r.owner and m.meter_id = %L and m.row_key = r.key
         and m.deleted_at is null)
     group by r.owner order by r.owner', credits.metered_columns(v_table_id), v_table_id,
       p_meter_id)
  loop
    v_counted := v_counted + credits.meter_changes(p_meter_id, v_changes, p_forced => true);
  end loop;
  return v_counted;
end
$$;
comment on function credits.count_existing_rows(uuid) is
  'Charges for the rows of a metered table that have no charge, however many they are, where they '
  'count towards a limit. Answers how many.';
revoke all on function credits.count_existing_rows(uuid)
  from public, anon, authenticated, service_role;
