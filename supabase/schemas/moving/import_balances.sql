-- Balances move in from a table or view of the project, all of them or none. One grant per row, under a key of its own: a
-- second run finds the first one's grants and adds nothing.

create function credits.import_rows(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name)
returns table (user_id text, amount numeric, expires_at timestamptz)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- What a statement answers that is made when it runs, plpgsql_check cannot know.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_is_number boolean := (
    select t.typcategory = 'N' from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = p_table and a.attname = p_balance_column and not a.attisdropped);
begin
  -- A text that is no number is a problem of its row, and no error of the whole.
  return query execute format(case when v_is_number then 'select lower(%1$I::text), %2$I::numeric, %4$s from %3$s'
    else 'select lower(%1$I::text), case
        when btrim(%2$I::text) ~ ''^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{1,3})?$'' then btrim(%2$I::text)::numeric
        when %2$I is not null then ''NaN'' end, %4$s
      from %3$s' end, p_user_column, p_balance_column, p_table,
    case when p_expires_column is null then 'null::timestamptz' else format('%I::timestamptz', p_expires_column) end);
end
$$;
comment on function credits.import_rows(regclass, name, name, name) is 'The balances as they stand in the project''s table or view.';
revoke all on function credits.import_rows(regclass, name, name, name) from public, anon, authenticated, service_role;

create function credits.import_key(p_key text, p_expires_at timestamptz)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  -- In seconds, so that it means the same in every time zone.
  select p_key || coalesce(':@' || extract(epoch from p_expires_at)::text, '')
$$;
comment on function credits.import_key(text, timestamptz) is
  'The idempotency key of one lot: that of its import, and when the lot expires.';
revoke all on function credits.import_key(text, timestamptz) from public, anon, authenticated, service_role;

create function credits.import_ids(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name)
returns table (user_id text, id uuid, amount numeric, expires_at timestamptz)
language sql
volatile
security invoker
set search_path = ''
as $$
  select r.user_id, case when r.user_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then r.user_id::uuid end, r.amount,
    r.expires_at
  from credits.import_rows(p_table, p_user_column, p_balance_column, p_expires_column) r
$$;
comment on function credits.import_ids(regclass, name, name, name) is 'The balances, with the id of the user where it is one.';
revoke all on function credits.import_ids(regclass, name, name, name) from public, anon, authenticated, service_role;

create function credits.import_problems(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name,
  p_credit_type text, p_source text, p_key text)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  with judged as (
    select r.user_id, r.amount, case
      when r.user_id is null then 'no user'
      when r.id is null then 'the user is not a UUID'
      when r.amount is null then 'no balance'
      when r.amount = 'NaN' then 'the balance is not a number'
      when r.amount < 0 then 'the balance is negative'
      when r.amount <> trunc(r.amount) then 'the balance is not a whole number'
      when r.amount > 9007199254740992 then 'the balance is too large'
      when count(*) over (partition by r.user_id, r.expires_at) > 1 then 'several rows for one user'
      when r.amount > 0 and r.expires_at <= now() and k.request is null then 'it has expired'
      when a.kind = 'workspace' then 'a workspace, and no user'
      when a.status = 'closed' then 'the account is closed'
      when a.account_id is null and u.id is null then 'no such user in auth.users'
      when k.request is not null and (k.request ->> 'amount')::numeric <> r.amount then 'imported before, with another balance'
      when k.request is not null and k.request ->> 'source' <> p_source then 'imported before, from another source'
      when k.request is null and b.balance + r.amount > 9007199254740992 then 'the balance is too large beside what the account has'
    end as problem
    -- Compared as ids, so that their indexes serve: as texts it is every row with every user.
    from credits.import_ids(p_table, p_user_column, p_balance_column, p_expires_column) r
    left join auth.users u on u.id = r.id
    left join credits.accounts a on a.account_id = r.id
    -- One look-up per row: that all have the same key, the planner does not expect, and would compare every row with every key.
    left join lateral (
      select k.request from credits.idempotency_keys k
      where k.account_id = a.account_id
        and k.idempotency_key = credits.import_key(p_key, r.expires_at) limit 1) k on true
    left join credits.balances b on b.account_id = a.account_id and b.credit_type = p_credit_type
  )
  select coalesce(jsonb_agg(to_jsonb(c) order by c.problem), '[]')
  from (
    select j.problem, count(*) as rows, (array_agg(distinct j.user_id))[1:10] as users
    from judged j where j.problem is not null group by j.problem) c
$$;
comment on function credits.import_problems(regclass, name, name, name, text, text, text) is
  'What keeps rows from being imported, with how many there are of it and the first ten users.';
revoke all on function credits.import_problems(regclass, name, name, name, text, text, text) from public, anon, authenticated, service_role;

create function credits.imported_elsewhere(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name,
  p_credit_type text, p_key text)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_object_agg(f.key, f.users order by f.key), '{}')
  from (
    select regexp_replace(k.idempotency_key, '^import:(.*?):[^:]*(:@[^:]*)?$', '\1') as key,
      count(distinct a.account_id) as users
    from credits.import_ids(p_table, p_user_column, p_balance_column, p_expires_column) r
    join credits.accounts a on a.account_id = r.id
    join lateral (
      select k.idempotency_key, k.request from credits.idempotency_keys k
      where k.account_id = a.account_id and k.idempotency_key like 'import:%' offset 0) k on true
    where k.idempotency_key <> p_key and
      not starts_with(k.idempotency_key, p_key || ':@') and k.request ->> 'credit_type' = p_credit_type and r.amount > 0
      and k.request ->> 'description' = 'opening balance'
    group by 1) f
$$;
comment on function credits.imported_elsewhere(regclass, name, name, name, text, text) is
  'From which other tables or columns these users have opening balances of this type, and how many of them: the same money, maybe.';
revoke all on function credits.imported_elsewhere(regclass, name, name, name, text, text) from public, anon, authenticated, service_role;

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
    where p_table in (n.nspname || '.' || c.relname, case when n.nspname = 'public' then c.relname end)
    order by n.nspname <> 'public' limit 1)::regclass);
end
$$;
comment on function credits.find_table(text) is 'The table or view of this name, in schema public if it names none; null when there is none.';
revoke all on function credits.find_table(text) from public, anon, authenticated, service_role;

create function credits.import_table(
  p_table text, p_user_column text, p_balance_column text, p_expires_column text)
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
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_table', 'value', p_table),
      'Pass a table or view of your project, with its schema if that is not public.' || coalesce(' These columns are in: ' || (
        select string_agg(distinct t.name, ', ') from credits.host_tables() t
        where (select count(*) from pg_catalog.pg_attribute a
          where a.attrelid = t.oid and a.attname in (p_user_column, p_balance_column) and not a.attisdropped) = 2) || '.', ''));
  end if;
  foreach v_column in array array[p_user_column, p_balance_column, p_expires_column] loop
    if v_column <> all (v_columns) then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'column', 'value', v_column, 'known', v_columns),
        format('%s has no column %s. It has %s.', v_table, v_column, array_to_string(v_columns, ', ')));
    end if;
  end loop;
  select format_type(a.atttypid, null) into v_type
  from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
  where a.attrelid = v_table and a.attname = p_balance_column
    and t.typcategory not in ('N', 'S') and a.atttypid <> all (array['json', 'jsonb']::regtype[]);
  if found then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'column', 'value', p_balance_column, 'type', v_type),
      format('%s.%s is %s, which is no balance. Import from a view that makes a number of it.', v_table, p_balance_column, v_type));
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
comment on function credits.import_table(text, text, text, text) is
  'The table or view of the project that a call names, with these columns, the second of which can be a balance. Raises invalid_argument.';
revoke all on function credits.import_table(text, text, text, text) from public, anon, authenticated, service_role;

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
  -- Of a view, the tables behind it. Supabase's own stay open, or nobody could sign in meanwhile; if one of them changes
  -- between two readings, the totals differ.
  for v_table in
    with recursive behind as (
      select p_table::oid as oid
      union
      select d.refobjid from behind b
      join pg_catalog.pg_rewrite r on r.ev_class = b.oid
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
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
  'Locks a table of the project, or those that a view reads, against writes until the transaction ends.';
revoke all on function credits.keep_still(regclass) from public, anon, authenticated, service_role;

create function credits.import_grants(
  p_table regclass, p_user_column name, p_balance_column name, p_expires_column name,
  p_credit_type text, p_source text, p_key text)
returns table (granted bigint, replayed bigint, total numeric)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_row record;
  v_told_at timestamptz := clock_timestamp();
begin
  select count(*), count(k.operation_id) into granted, replayed
  from credits.import_rows(p_table, p_user_column, p_balance_column, p_expires_column) r
  left join lateral (
    select k.operation_id from credits.idempotency_keys k
    where k.account_id = r.user_id::uuid
      and k.idempotency_key = credits.import_key(p_key, r.expires_at) limit 1) k on true
  where r.amount > 0;
  for v_row in
    select r.user_id::uuid as user_id, r.amount::bigint as amount, r.expires_at,
      row_number() over (order by r.user_id, r.expires_at) as nth
    from credits.import_rows(p_table, p_user_column, p_balance_column, p_expires_column) r
    left join lateral (
      select k.operation_id from credits.idempotency_keys k
      where k.account_id = r.user_id::uuid
      and k.idempotency_key = credits.import_key(p_key, r.expires_at) limit 1) k on true
    where r.amount > 0 and k.operation_id is null order by r.user_id, r.expires_at
  loop
    perform credits.grant_to(
      credits.paying_account(v_row.user_id, null, p_credit_type), v_row.user_id,
      row(p_credit_type, v_row.amount, p_source, 'opening balance', null, v_row.expires_at, null, null,
        null, '{}')::credits.grant_order, credits.import_key(p_key, v_row.expires_at));
    if clock_timestamp() > v_told_at + interval '1 second' then
      v_told_at := clock_timestamp();
      raise notice using message = concat('imported ', v_row.nth, ' of ', granted - replayed);
    end if;
  end loop;

  -- What is proven is read back from the ledger, row by row.
  select sum(t.amount) filter (where t.amount = r.amount) into total
  from credits.import_rows(p_table, p_user_column, p_balance_column, p_expires_column) r
  join lateral (
    select k.account_id, k.operation_id from credits.idempotency_keys k
    where k.account_id = r.user_id::uuid
      and k.idempotency_key = credits.import_key(p_key, r.expires_at) limit 1) k on true
  join lateral (
    select t.amount from public.credit_transactions t
    where t.account_id = k.account_id and t.operation_id = k.operation_id and t.kind = 'grant' limit 1) t on true
  where r.amount > 0;
  total := coalesce(total, 0);
  return next;
end
$$;
comment on function credits.import_grants(regclass, name, name, name, text, text, text) is
  'Issues the opening grants, and adds up those of them that the ledger has with the very amount of their row.';
revoke all on function credits.import_grants(regclass, name, name, name, text, text, text) from public, anon, authenticated, service_role;

-- edge: result=BalanceImport callers=service_role repeatable slow
--   Take the balances of a table or view over as grants: all rows, or none.
--
--   With ``expires_column`` each row is a lot that expires then (null: never), and a user may have
--   several; without it nothing expires.
--
--   Nothing changes when a row cannot be used, when the totals differ from each other or from
--   ``expected_total`` (credits), or with ``dry_run``. A second run adds nothing.
--
--   Raises:
--       InvalidArgument: no such table, column or source.
--       UnknownCreditType.
create function public.import_balances(
  p_table text, p_user_column text, p_balance_column text, p_credit_type text, p_source text default 'top_up',
  p_expected_total bigint default null, p_dry_run boolean default false, p_expires_column text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_table regclass := credits.import_table(p_table, p_user_column, p_balance_column, p_expires_column);
  v_key text := format('import:%s:%s:%s', v_table, p_balance_column, p_credit_type);
  v_rows record;
  v_done record;
  v_answer jsonb;
begin
  if not exists (select from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type', p_credit_type,
      'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
  end if;
  if not exists (select from credits.grant_sources s where s.id = p_source and s.may_be_granted) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_source', 'value', p_source, 'known', (
      select jsonb_agg(s.id order by s.id) from credits.grant_sources s where s.may_be_granted)));
  end if;
  -- The table is read several times, and has to say the same each time.
  perform credits.keep_still(v_table);

  select count(*) as rows, coalesce(trunc(sum(r.amount) filter (where r.amount between 0 and 9007199254740992)), 0) as total,
    count(*) filter (where r.amount = 0) as empty into v_rows
  from credits.import_rows(v_table, p_user_column, p_balance_column, p_expires_column) r;
  v_answer := jsonb_build_object('success', false, 'code', 'unusable_rows', 'credit_type', p_credit_type, 'rows', v_rows.rows,
    'empty', v_rows.empty, 'total', v_rows.total, 'expected_total', p_expected_total, 'granted', 0, 'replayed', 0,
    'granted_total', 0, 'dry_run', p_dry_run,
    'elsewhere', credits.imported_elsewhere(v_table, p_user_column, p_balance_column, p_expires_column, p_credit_type, v_key),
    'problems', credits.import_problems(v_table, p_user_column, p_balance_column, p_expires_column, p_credit_type, p_source, v_key));
  if v_answer -> 'problems' <> '[]' then
    return v_answer;
  end if;
  if v_rows.total <> p_expected_total then
    return v_answer || '{"code": "totals_differ"}';
  end if;

  begin
    select * into v_done from credits.import_grants(v_table, p_user_column, p_balance_column, p_expires_column, p_credit_type, p_source, v_key);
    v_answer := v_answer || jsonb_build_object('success', v_done.total = v_rows.total,
      'code', case when v_done.total = v_rows.total then 'ok' else 'totals_differ' end,
      'granted', v_done.granted, 'replayed', v_done.replayed, 'granted_total', v_done.total);
    if p_dry_run or v_done.total <> v_rows.total then
      raise exception using errcode = 'PTRBK', message = 'nothing of it stays';
    end if;
  exception when sqlstate 'PTRBK' then null;
  end;
  return v_answer;
end
$$;
comment on function public.import_balances(text, text, text, text, text, bigint, boolean, text) is
  'Takes the balances of a table or view of the project over, as grants of p_source: all rows, or none. With p_expires_column each row is a lot that expires then (null: never), and a user may have several; without it nothing expires. Answers rows, total, granted, granted_total, problems, and elsewhere: how many of the users have an opening balance of this type already from which other table; success is false, and nothing has changed, when a row cannot be used, or when the totals differ from each other or from p_expected_total. A second run adds nothing. p_dry_run takes everything back.';
revoke all on function public.import_balances(text, text, text, text, text, bigint, boolean, text)
  from public, anon, authenticated, service_role;
grant execute on function public.import_balances(text, text, text, text, text, bigint, boolean, text) to service_role;
