-- What a statement did to the rows of one owner, charged and given back as a whole.

create function credits.change_metered_rows(
  p_account_id uuid, p_meter_id uuid, p_changes credits.metered_change[])
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_meter credits.meters;
  v_old_keys text[];
  v_new_key_of jsonb;
  v_moved record;
  v_taken text[];
begin
  select * into strict v_meter from credits.meters m where m.id = p_meter_id;

  -- The owner kept the row under another key: the charge follows. All are taken before one is put,
  -- for keys may be swapped.
  select array_agg(c.old_key), jsonb_object_agg(c.old_key, c.new_key) into v_old_keys, v_new_key_of
  from unnest(p_changes) c
  where c.old_owner = p_account_id and c.new_owner = p_account_id and c.old_key <> c.new_key;
  if v_old_keys is not null then
    -- One pass over the index, and a look-up for each row: no join of all with all, whatever the
    -- planner believes.
    with moved as (
      delete from credits.metered_rows m
      where m.account_id = p_account_id and m.meter_id = p_meter_id and m.row_key = any (v_old_keys)
        and m.deleted_at is null
      returning v_new_key_of ->> m.row_key as new_key, m.operation_id, m.amount
    )
    select array_agg(d.new_key) as keys, array_agg(d.operation_id) as operations,
      array_agg(d.amount) as amounts
      into v_moved
    from moved d;
    insert into credits.metered_rows (account_id, meter_id, row_key, operation_id, amount)
    select p_account_id, p_meter_id, r.row_key, r.operation_id, r.amount
    from unnest(v_moved.keys, v_moved.operations, v_moved.amounts) as r(row_key, operation_id,
      amount)
    on conflict (account_id, meter_id, row_key, operation_id) do update
      set amount = metered_rows.amount + excluded.amount;
  end if;

  -- A row whose amount has changed is given back and charged anew. One that is used up by being
  -- created is charged once.
  select array_agg(case when c.new_owner = p_account_id then c.new_key else c.old_key end)
    into v_taken
  from unnest(p_changes) c
  where c.old_owner = p_account_id and (
    c.new_owner is distinct from p_account_id
      or (v_meter.gives_back and c.old_amount <> c.new_amount));
  if v_taken is not null then
    perform credits.give_rows_back(p_account_id, p_meter_id, v_taken);
  end if;
end
$$;
comment on function credits.change_metered_rows(uuid, uuid, credits.metered_change[]) is
  'Moves the charges of an account''s metered rows that have a new key, and gives back those of '
  'the rows that it lost.';
revoke all on function credits.change_metered_rows(uuid, uuid, credits.metered_change[])
  from public, anon, authenticated, service_role;

create function credits.give_rows_back(p_account_id uuid, p_meter_id uuid, p_row_keys text[])
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  update credits.metered_rows m set deleted_at = v_now
  where m.account_id = p_account_id and m.meter_id = p_meter_id and m.row_key = any (p_row_keys)
    and m.deleted_at is null;
  if not found then
    return;
  end if;
  -- An account that is gone is closed by itself, and gives back then: its deletion waits for
  -- nobody.
  if credits.is_living(p_account_id) then
    perform credits.give_deleted_rows_back(p_account_id);
  end if;
exception when others then
  -- Nothing about credits stops a deletion. What could not be given back now is marked, and given
  -- back later.
  raise warning 'credits: the charges of deleted rows of account % are given back later: % (%)',
    p_account_id, sqlerrm, sqlstate;
  update credits.metered_rows m set deleted_at = v_now
  where m.account_id = p_account_id and m.meter_id = p_meter_id and m.row_key = any (p_row_keys)
    and m.deleted_at is null;
end
$$;
comment on function credits.give_rows_back(uuid, uuid, text[]) is
  'Gives back what rows that an account has no longer were charged. Does nothing for rows that '
  'were never charged, and raises nothing.';
revoke all on function credits.give_rows_back(uuid, uuid, text[])
  from public, anon, authenticated, service_role;

create function credits.give_deleted_rows_back(p_account_id uuid)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_dropped uuid[] := (select array_agg(m.id) from credits.meters m
    where not credits.table_exists(m.table_id));
  v_credit_type text;
  v_spend record;
  v_rows bigint := 0;
begin
  if v_dropped is not null then
    update credits.metered_rows r set deleted_at = v_now
    where r.account_id = p_account_id and r.meter_id = any (v_dropped) and r.deleted_at is null;
  end if;
  if not exists (
    select 1 from credits.metered_rows r where r.account_id = p_account_id
      and r.deleted_at is not null) then
    return 0;
  end if;
  -- Balances are locked first, in the one order, so that whatever the charges are, they stay.
  for v_credit_type in
    select m.credit_type from credits.meters m
    where exists (
      select 1 from credits.metered_rows r
      where r.account_id = p_account_id and r.meter_id = m.id and r.deleted_at is not null)
    order by m.credit_type
  loop
    perform credits.lock_balance(p_account_id, v_credit_type);
  end loop;
  for v_spend in
    with deleted as (
      delete from credits.metered_rows r
      using credits.meters m
      where r.account_id = p_account_id and m.id = r.meter_id and r.deleted_at is not null
      returning r.operation_id, r.amount, m.table_name, m.gives_back
    )
    select d.operation_id, d.table_name, sum(d.amount)::bigint as amount, count(*) as row_count,
      bool_and(d.gives_back) as gives_back
    from deleted d group by d.operation_id, d.table_name
  loop
    v_rows := v_rows + v_spend.row_count;
    continue when not v_spend.gives_back;
    perform credits.give_spend_back(p_account_id, v_spend.operation_id, v_spend.amount,
      v_spend.table_name || ' deleted');
  end loop;
  return v_rows;
end
$$;
comment on function credits.give_deleted_rows_back(uuid) is
  'Gives back what is still charged for an account''s rows that were deleted, alone or with their '
  'table. Answers for how many rows.';
revoke all on function credits.give_deleted_rows_back(uuid)
  from public, anon, authenticated, service_role;

create function credits.give_spend_back(p_account_id uuid, p_operation_id uuid, p_amount bigint,
  p_reason text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_refundable bigint;
begin
  -- Support may have given it back before.
  select -sum(t.amount) into v_refundable
  from public.credit_transactions t
  where t.account_id = p_account_id
    and (t.operation_id = p_operation_id and t.kind in ('consume', 'capture')
      or t.related_operation_id = p_operation_id and t.kind = 'refund');
  if v_refundable > 0 then
    perform credits.refund(p_account_id, null, p_operation_id, least(p_amount, v_refundable),
      p_reason, null);
  end if;
end
$$;
comment on function credits.give_spend_back(uuid, uuid, bigint, text) is
  'Refunds a part of a spend, or what is left of it to refund. Does nothing where all of it was '
  'refunded.';
revoke all on function credits.give_spend_back(uuid, uuid, bigint, text)
  from public, anon, authenticated, service_role;

create function credits.charge_rows(
  p_account_id uuid, p_meter_id uuid, p_changes credits.metered_change[], p_forced boolean)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_meter credits.meters;
  v_known text[];
  v_new record;
  v_answer jsonb;
begin
  select * into strict v_meter from credits.meters m where m.id = p_meter_id;
  -- What has a charge already stays as it is: two triggers may report one row.
  select coalesce(array_agg(m.row_key), '{}') into v_known
  from credits.metered_rows m
  where m.account_id = p_account_id and m.meter_id = p_meter_id and m.deleted_at is null
    and m.row_key = any (array(select c.new_key from unnest(p_changes) c
      where c.new_owner = p_account_id));
  select array_agg(c.new_key) as keys, array_agg(c.new_amount) as amounts,
    sum(c.new_amount)::bigint as amount,
    min(c.new_amount) as least_amount
    into v_new
  from unnest(p_changes) c
  where c.new_owner = p_account_id and c.new_amount <> 0
    and (c.old_owner is distinct from p_account_id or c.old_amount is distinct from c.new_amount)
    and (v_meter.gives_back or c.old_owner is null)
    and c.new_key <> all (v_known);
  if v_new.keys is null then
    return 0;
  end if;
  if v_new.least_amount < 0 then
    perform credits.raise_error('invalid_amount',
      jsonb_build_object('amount', v_new.least_amount, 'table', v_meter.table_name));
  end if;

  -- The owner acts, unless it is a workspace.
  v_answer := credits.consume(p_account_id, (
      select a.account_id from credits.accounts a where a.account_id = p_account_id
        and a.kind = 'person'),
    v_meter.credit_type, v_new.amount, v_meter.table_name, null,
    jsonb_build_object('table', v_meter.table_name, 'rows', cardinality(v_new.keys)), p_forced);
  -- Closed while the statement waited: a row of an owner who is gone costs nothing.
  if v_answer is null then
    return 0;
  elsif v_answer ->> 'code' <> 'ok' then
    perform credits.deny(v_answer, p_strict => true);
  end if;
  insert into credits.metered_rows (account_id, meter_id, row_key, operation_id, amount)
  select p_account_id, p_meter_id, r.row_key, (v_answer ->> 'operation_id')::uuid, r.amount
  from unnest(v_new.keys, v_new.amounts) as r(row_key, amount);
  return cardinality(v_new.keys);
end
$$;
comment on function credits.charge_rows(uuid, uuid, credits.metered_change[], boolean) is
  'Charges an account in one spend for the rows that it gained, or raises the denial. Answers for '
  'how many.';
revoke all on function credits.charge_rows(uuid, uuid, credits.metered_change[], boolean)
  from public, anon, authenticated, service_role;
