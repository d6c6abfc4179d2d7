create table credits.metered_rows (
  account_id uuid not null,
  table_name text not null,
  row_key text not null,
  operation_id uuid not null,
  constraint metered_rows_pkey primary key (account_id, table_name, row_key)
);
comment on table credits.metered_rows is 'Which operation paid for which row of a metered table, so that its deletion gives exactly that back.';
comment on column credits.metered_rows.row_key is 'The primary key of the row as a JSON object.';
alter table credits.metered_rows enable row level security;
revoke all on table credits.metered_rows from public, anon, authenticated, service_role;

create function credits.charge_row(
  p_account_id uuid, p_table_name text, p_row_key text, p_credit_type text, p_forced boolean default false)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_answer jsonb;
begin
  -- The owner acts, unless it is a workspace.
  v_answer := credits.consume(p_account_id, (
      select p_account_id from credits.accounts a where a.account_id = p_account_id and a.kind = 'person'),
    p_credit_type, 1, p_table_name, null,
    jsonb_build_object('table', p_table_name, 'row', p_row_key::jsonb), p_forced);
  if v_answer ->> 'code' <> 'ok' then
    perform credits.deny(v_answer, p_strict => true);
  end if;
  insert into credits.metered_rows (account_id, table_name, row_key, operation_id)
  values (p_account_id, p_table_name, p_row_key, (v_answer ->> 'operation_id')::uuid);
end
$$;
comment on function credits.charge_row(uuid, text, text, text, boolean) is 'Charges one credit for a row of a metered table, or raises the denial.';
revoke all on function credits.charge_row(uuid, text, text, text, boolean) from public, anon, authenticated, service_role;

create function credits.give_row_back(p_account_id uuid, p_table_name text, p_row_key text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid;
begin
  delete from credits.metered_rows m
  where m.account_id = p_account_id and m.table_name = p_table_name and m.row_key = p_row_key
  returning m.operation_id into v_operation_id;
  if found then
    perform credits.refund(p_account_id, null, v_operation_id, null, p_table_name || ' deleted', null);
  end if;
end
$$;
comment on function credits.give_row_back(uuid, text, text) is 'Gives back what a deleted row was charged. Does nothing for a row that was never charged.';
revoke all on function credits.give_row_back(uuid, text, text) from public, anon, authenticated, service_role;

create function credits.meter_row()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_credit_type text := tg_argv[0];
  v_owner_column text := tg_argv[1];
  v_table_name text := tg_table_schema || '.' || tg_table_name;
  v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  v_old_owner uuid := (v_old ->> v_owner_column)::uuid;
  v_new_owner uuid := (v_new ->> v_owner_column)::uuid;
  v_old_key text;
  v_new_key text;
begin
  select jsonb_object_agg(k.name, v_old -> k.name)::text, jsonb_object_agg(k.name, v_new -> k.name)::text
    into v_old_key, v_new_key
  from unnest(tg_argv[2:]) as k(name);
  if tg_op = 'UPDATE' and v_old_owner is not distinct from v_new_owner then
    update credits.metered_rows m set row_key = v_new_key
    where m.account_id = v_new_owner and m.table_name = v_table_name and m.row_key = v_old_key and v_old_key <> v_new_key;
    return null;
  end if;
  if v_old_owner is not null then
    perform credits.give_row_back(v_old_owner, v_table_name, v_old_key);
  end if;
  if tg_op <> 'DELETE' then
    if v_new_owner is null then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', v_owner_column, 'table', v_table_name),
        'A row of a metered table names who pays for it.');
    end if;
    perform credits.charge_row(credits.owning_account(v_new_owner, v_credit_type), v_table_name, v_new_key, v_credit_type);
  end if;
  return null;
end
$$;
comment on function credits.meter_row() is
  'Charges the owner of a new row, gives a deleted row back, and moves the charge when the owner changes, in the transaction of the write itself.';
revoke all on function credits.meter_row() from public, anon, authenticated, service_role;

create function credits.owning_account(p_owner_id uuid, p_credit_type text)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- The owner of a row is a person or a workspace; a person's account may still have to be opened.
  if exists (select from credits.accounts a where a.account_id = p_owner_id and a.kind = 'workspace') then
    return p_owner_id;
  end if;
  return credits.paying_account(p_owner_id, null, p_credit_type);
end
$$;
comment on function credits.owning_account(uuid, text) is 'The account that pays for a row of a metered table. Raises account_not_found.';
revoke all on function credits.owning_account(uuid, text) from public, anon, authenticated, service_role;

create function credits.give_table_back()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_row record;
begin
  for v_row in
    select m.account_id, m.table_name, m.row_key from credits.metered_rows m
    where m.table_name = tg_table_schema || '.' || tg_table_name
    order by m.account_id, m.row_key
  loop
    perform credits.give_row_back(v_row.account_id, v_row.table_name, v_row.row_key);
  end loop;
  return null;
end
$$;
comment on function credits.give_table_back() is 'Gives back what all rows were charged when a metered table is truncated.';
revoke all on function credits.give_table_back() from public, anon, authenticated, service_role;

create function credits.meter_table(p_table regclass, p_credit_type text, p_owner_column text)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_table_name text;
  v_key text[];
  v_arguments text;
  v_owner_id uuid;
  v_row_key text;
  v_counted bigint := 0;
begin
  select n.nspname || '.' || c.relname into v_table_name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = p_table;
  if not exists (select from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type', p_credit_type));
  end if;
  if not exists (
    select from pg_catalog.pg_attribute a
    where a.attrelid = p_table and a.attname = p_owner_column and a.atttypid = 'uuid'::regtype) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_owner_column', 'value', p_owner_column),
      format('%s needs a column %s of type uuid that names who pays.', v_table_name, p_owner_column));
  end if;
  select array_agg(a.attname::text order by a.attnum) into v_key
  from pg_catalog.pg_index i
  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
  where i.indrelid = p_table and i.indisprimary;
  if v_key is null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_table', 'value', v_table_name),
      format('%s needs a primary key, so that a deleted row gives back its own charge.', v_table_name));
  end if;

  select string_agg(quote_literal(v.value), ', ') into v_arguments
  from unnest(array[p_credit_type, p_owner_column] || v_key) as v(value);
  execute format('create or replace trigger credits_meter_row after insert or delete or update of %s on %s for each row execute function credits.meter_row(%s)',
    (select string_agg(quote_ident(v.value), ', ') from unnest(p_owner_column || v_key) as v(value)), p_table, v_arguments);
  execute format('create or replace trigger credits_give_table_back after truncate on %s for each statement execute function credits.give_table_back()', p_table);

  -- A limit counts what exists, also what was there before it was metered.
  if (select t.kind from credits.credit_types t where t.id = p_credit_type) = 'limit' then
    for v_owner_id, v_row_key in execute format(
      'select t.%1$I as owner_id, jsonb_build_object(%2$s)::text as row_key from %3$s t
       where t.%1$I is not null and not exists (
         select from credits.metered_rows m where m.account_id = t.%1$I and m.table_name = %4$L
           and m.row_key = jsonb_build_object(%2$s)::text)
         and coalesce(
           (select a.status <> ''closed'' from credits.accounts a where a.account_id = t.%1$I),
           exists (select from auth.users u where u.id = t.%1$I))
       order by t.%1$I', p_owner_column,
      (select string_agg(format('%L, t.%I', v.value, v.value), ', ') from unnest(v_key) as v(value)), p_table, v_table_name)
    loop
      perform credits.charge_row(credits.owning_account(v_owner_id, p_credit_type), v_table_name, v_row_key,
        p_credit_type, p_forced => true);
      v_counted := v_counted + 1;
    end loop;
  end if;
  return v_counted;
end
$$;
comment on function credits.meter_table(regclass, text, text) is
  'Meters a table of the host project: select credits.meter_table(''public.projects'', ''project'', ''owner_id''). From then on each new row costs its owner one credit and its deletion gives that back, in the same transaction; a denial is a 402. For a limit, rows that exist already are counted; answers how many. Safe to repeat.';
revoke all on function credits.meter_table(regclass, text, text) from public, anon, authenticated, service_role;
