create function credits.unmeter_table(p_table text, p_gives_back boolean default true)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_table_id regclass := credits.named_table(p_table);
  v_meter credits.meters;
  v_trigger record;
  v_account_id uuid;
  v_keys text[];
  v_rows bigint := 0;
begin
  select * into v_meter from credits.meters m where m.table_id = v_table_id;
  if not found then
    return 0;
  end if;
  -- Those of partitions and children go with their table's, or are their own.
  for v_trigger in
    select g.tgrelid::regclass as relation, g.tgname as name
    from credits.table_family(v_table_id) f
    join pg_catalog.pg_trigger g on g.tgrelid = f and g.tgname like 'credits\_meter\_%'
      and g.tgparentid = 0
  loop
    execute format('drop trigger %I on %s', v_trigger.name, v_trigger.relation);
  end loop;
  if p_gives_back then
    for v_account_id, v_keys in
      select r.account_id, array_agg(r.row_key) from credits.metered_rows r
      where r.meter_id = v_meter.id and r.deleted_at is null
      group by r.account_id order by r.account_id
    loop
      v_rows := v_rows + cardinality(v_keys);
      perform credits.give_rows_back(v_account_id, v_meter.id, v_keys);
      perform credits.give_deleted_rows_back(v_account_id);
    end loop;
  end if;
  delete from credits.metered_rows r where r.meter_id = v_meter.id;
  delete from credits.meters m where m.id = v_meter.id;
  return v_rows;
end
$$;
comment on function credits.unmeter_table(text, boolean) is
  'Stops metering a table. What its rows were charged is given back, unless p_gives_back is false '
  'or the table was metered as used up by being created: then it stays spent. Answers for how '
  'many rows it was given back. Works for a table that was dropped, by the name that it had.';
revoke all on function credits.unmeter_table(text, boolean)
  from public, anon, authenticated, service_role;

create function credits.return_dropped_tables()
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
set lock_timeout = '1ms'
as $$
declare
  v_account_id uuid;
  v_rows bigint := 0;
begin
  for v_account_id in
    select distinct r.account_id from credits.metered_rows r
    join credits.meters m on m.id = r.meter_id
    where r.deleted_at is not null or not credits.table_exists(m.table_id)
    order by r.account_id
    limit 100
  loop
    begin
      v_rows := v_rows + credits.give_deleted_rows_back(v_account_id);
    exception when others then
      -- A busy account has its turn with its own next operation, or with the next run.
      raise warning 'credits: rows of account % are given back later: % (%)', v_account_id, sqlerrm,
        sqlstate;
    end;
  end loop;
  return v_rows;
end
$$;
comment on function credits.return_dropped_tables() is
  'Gives back what is still charged for rows that were deleted, alone or with their table, for up '
  'to a hundred accounts. Answers for how many rows.';
revoke all on function credits.return_dropped_tables()
  from public, anon, authenticated, service_role;
