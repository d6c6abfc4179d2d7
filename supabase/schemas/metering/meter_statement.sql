-- The triggers of a metered table. Postgres hands each statement over as a whole, so that many rows
-- cost little more than one, and the owners are locked in one order.

create function credits.meter_statement()
returns trigger
language plpgsql
security definer
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
as $$
declare
  v_old text := credits.metered_columns(tg_relid);
  v_new text := v_old;
  v_changes credits.metered_change[];
begin
  if v_old is null then
    return null;
  end if;
  -- Old and new rows of an UPDATE come in the same order. What is the same in both is no change;
  -- where a partition is metered row by row, it may have lost its charge on the way to another.
  execute case tg_op
    when 'INSERT' then format(
      'select array_agg(row(null, null, null, n.owner, n.key, n.amount)::credits.metered_change)
       from (select %s from new_rows t) n', v_new)
    when 'DELETE' then format(
      'select array_agg(row(o.owner, o.key, o.amount, null, null, null)::credits.metered_change)
       from (select %s from old_rows t) o', v_old)
    else format(
      'select array_agg(case when (o.owner, o.key, o.amount) is distinct from (n.owner, n.key, '
        'n.amount)
         then row(o.owner, o.key, o.amount, n.owner, n.key, n.amount)::credits.metered_change
         else row(null, null, null, n.owner, n.key, n.amount)::credits.metered_change end)
       from (select row_number() over () as nth, %1$s from old_rows t) o
       full join (select row_number() over () as nth, %1$s from new_rows t) n on n.nth = o.nth
       where (o.owner, o.key, o.amount) is distinct from (n.owner, n.key, n.amount) or $1',
         v_old) end
    into v_changes
    using tg_op = 'UPDATE' and credits.has_new_partitions(tg_relid);
  if v_changes is not null then
    perform credits.meter_changes(tg_argv[0]::uuid, v_changes);
  end if;
  return null;
exception when others then
  if tg_op <> 'DELETE' then
    raise;
  end if;
  raise warning 'credits: deleted rows of % were not given back: % (%)', tg_relid::regclass,
    sqlerrm, sqlstate;
  return null;
end
$$;
comment on function credits.meter_statement() is
  'Charges owners for their new rows, gives deleted rows back, and moves the charge when owner or '
  'key change, in the transaction of the write itself.';
revoke all on function credits.meter_statement() from public, anon, authenticated, service_role;

create function credits.meter_changes(
  p_meter_id uuid, p_changes credits.metered_change[], p_forced boolean default false)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
  v_owner_id uuid;
  v_gained boolean;
  v_changes credits.metered_change[];
  v_charged bigint := 0;
begin
  select m.credit_type into v_credit_type from credits.meters m where m.id = p_meter_id;
  if not found then
    return 0;
  end if;
  for v_owner_id, v_gained, v_changes in
    select o.owner_id, bool_or(c.new_owner is not distinct from o.owner_id), array_agg(c)
    from unnest(p_changes) c
    cross join lateral (select c.old_owner union select c.new_owner) as o(owner_id)
    where o.owner_id is not null
    group by o.owner_id order by o.owner_id
  loop
    perform credits.change_metered_rows(v_owner_id, p_meter_id, v_changes);
    -- A row whose owner has no account, or none any more, costs nothing.
    if v_gained and credits.metered_account(v_owner_id, v_credit_type) is not null then
      v_charged := v_charged + credits.charge_rows(v_owner_id, p_meter_id, v_changes, p_forced);
    end if;
  end loop;
  return v_charged;
end
$$;
comment on function credits.meter_changes(uuid, credits.metered_change[], boolean) is
  'Does what a statement did to metered rows for each of the owners, in the order of their ids. '
  'Answers how many rows were charged.';
revoke all on function credits.meter_changes(uuid, credits.metered_change[], boolean)
  from public, anon, authenticated, service_role;

create function credits.metered_account(p_owner_id uuid, p_credit_type text)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if not credits.is_living(p_owner_id)
     or exists (select 1 from credits.accounts a where a.account_id = p_owner_id
     and a.status = 'closed') then
    return null;
  end if;
  -- The owner of a row is a person or a workspace; a person's account may still have to be opened.
  if exists (select 1 from credits.accounts a where a.account_id = p_owner_id
    and a.kind = 'workspace') then
    return p_owner_id;
  end if;
  return credits.paying_account(p_owner_id, null, p_credit_type);
end
$$;
comment on function credits.metered_account(uuid, text) is
  'The account that pays for a row of a metered table; null where its owner has none.';
revoke all on function credits.metered_account(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.meter_row_of_new_partition()
returns trigger
language plpgsql
security definer
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
as $$
declare
  v_columns text := credits.metered_columns(tg_relid);
  v_change credits.metered_change;
begin
  if v_columns is null then
    return null;
  end if;
  if tg_op <> 'INSERT' then
    execute format('select s.owner, s.key, s.amount from (select %s from (select ($1).*) t) s',
      v_columns)
      into v_change.old_owner, v_change.old_key, v_change.old_amount using old;
  end if;
  if tg_op <> 'DELETE' then
    execute format('select s.owner, s.key, s.amount from (select %s from (select ($1).*) t) s',
      v_columns)
      into v_change.new_owner, v_change.new_key, v_change.new_amount using new;
  end if;
  if v_change.old_key is null or v_change.new_key is null
     or (v_change.old_owner, v_change.old_key, v_change.old_amount)
       is distinct from (v_change.new_owner, v_change.new_key, v_change.new_amount) then
    perform credits.meter_changes(tg_argv[0]::uuid, array[v_change]);
  end if;
  return null;
exception when others then
  if tg_op <> 'DELETE' then
    raise;
  end if;
  raise warning 'credits: a deleted row of % was not given back: % (%)', tg_relid::regclass,
    sqlerrm, sqlstate;
  return null;
end
$$;
comment on function credits.meter_row_of_new_partition() is
  'Meters row by row what is written to a partition that is younger than the last call of '
  'meter_table, which gives it the triggers of a statement.';
revoke all on function credits.meter_row_of_new_partition()
  from public, anon, authenticated, service_role;

create function credits.meter_truncate()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.sweep_meter(tg_argv[0]::uuid);
  return null;
exception when others then
  raise warning 'credits: truncated rows of % were not given back: % (%)', tg_relid::regclass,
    sqlerrm, sqlstate;
  return null;
end
$$;
comment on function credits.meter_truncate() is
  'Gives back what the rows were charged that a truncated table or partition had.';
revoke all on function credits.meter_truncate() from public, anon, authenticated, service_role;

create function credits.sweep_meter(p_meter_id uuid)
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
  v_account_id uuid;
  v_keys text[];
  v_rows bigint := 0;
begin
  select m.table_id into v_table_id from credits.meters m where m.id = p_meter_id;
  for v_account_id, v_keys in execute format(
    'select m.account_id, array_agg(m.row_key) from credits.metered_rows m
     left join (select %s from %s t) r on r.owner = m.account_id and r.key = m.row_key
     where m.meter_id = %L and m.deleted_at is null and r.key is null
     group by m.account_id order by m.account_id', credits.metered_columns(v_table_id), v_table_id,
       p_meter_id)
  loop
    perform credits.give_rows_back(v_account_id, p_meter_id, v_keys);
    v_rows := v_rows + cardinality(v_keys);
  end loop;
  return v_rows;
end
$$;
comment on function credits.sweep_meter(uuid) is
  'Gives back the charges of all rows that a metered table has no longer. Answers how many.';
revoke all on function credits.sweep_meter(uuid) from public, anon, authenticated, service_role;

create function credits.metered_columns(p_table_id oid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_owner text;
  v_key text;
  v_amount text;
begin
  select
    max(format('t.%I', a.attname)) filter (where g.tgname = 'credits_meter_owner'),
    string_agg(format('t.%I', a.attname), ', ' order by k.nth)
      filter (where g.tgname = 'credits_meter_key'),
    max(format('coalesce(t.%I, 0)::bigint', a.attname))
      filter (where g.tgname = 'credits_meter_amount')
    into v_owner, v_key, v_amount
  from pg_catalog.pg_trigger g
  cross join lateral unnest(g.tgattr) with ordinality as k(attnum, nth)
  join pg_catalog.pg_attribute a on a.attrelid = g.tgrelid and a.attnum = k.attnum
  where g.tgrelid = p_table_id
    and g.tgname in ('credits_meter_owner', 'credits_meter_key', 'credits_meter_amount');
  -- A key that is too long for an index is told by its hash.
  return format(
    '%s as owner, (select case when length(j.key) <= 400 then j.key
       else encode(sha256(convert_to(j.key, ''UTF8'')), ''hex'') end
     from (select jsonb_build_array(%s)::text as key) j) as key, %s as amount',
    v_owner, v_key, coalesce(v_amount, '1::bigint'))
  where v_owner is not null and v_key is not null;
end
$$;
comment on function credits.metered_columns(oid) is
  'Owner, key and amount of a metered row t, as a select list with the columns'' names of this '
  'moment. Null where the table has lost the triggers that know them.';
revoke all on function credits.metered_columns(oid) from public, anon, authenticated, service_role;
