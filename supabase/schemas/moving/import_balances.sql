-- Balances move in from a table or view of the project, or from rows that were read out of a file:
-- all of them or none. Each row is a grant under a key of its own, so that a second run finds the
-- first one's grants and adds nothing. An import is undone as long as nothing of it was spent.

create type credits.import_row as (
  named text,
  user_id uuid,
  users bigint,
  amount numeric,
  expires_at timestamptz,
  source text
);
comment on type credits.import_row is
  'One balance of an import: how its user is named there, who that is, of how many users that is '
  'the name, and what becomes a grant. Without a source it has that of the import.';

create function credits.import_amount(p_text text, p_rounding text)
returns numeric
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  -- A text that is no number is a problem of its row, and no error of the whole.
  v_amount numeric := case
    when btrim(p_text) ~ '^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{1,3})?$'
      then btrim(p_text)::numeric
    when p_text is not null then 'NaN' end;
begin
  return case p_rounding
    when 'floor' then floor(v_amount)
    when 'ceil' then ceil(v_amount)
    when 'round' then round(v_amount)
    else v_amount end;
end
$$;
comment on function credits.import_amount(text, text) is
  'A balance as it is written, with its fraction rounded as the import says; NaN for no number.';
revoke all on function credits.import_amount(text, text)
  from public, anon, authenticated, service_role;

create function credits.import_cells(
  p_table regclass, p_rows jsonb, p_user_column name, p_balance_column name,
  p_expires_column name, p_source_column name)
returns table (named text, amount text, expires_at timestamptz, source text)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- What a statement answers that is made when it runs, plpgsql_check cannot know.
-- @plpgsql_check_options: extra_warnings = false
begin
  if p_rows is null then
    return query execute format('select lower(btrim(%I::text)), %I::text, %s, %s from %s',
      p_user_column, p_balance_column,
      case when p_expires_column is null then 'null::timestamptz'
        else format('%I::timestamptz', p_expires_column) end,
      case when p_source_column is null then 'null' else format('%I::text', p_source_column) end,
      p_table);
    return;
  end if;
  return query
  select lower(btrim(e.value ->> p_user_column)), e.value ->> p_balance_column,
    (e.value ->> p_expires_column)::timestamptz, e.value ->> p_source_column
  from jsonb_array_elements(p_rows) e(value);
exception when data_exception then
  if p_rows is null then
    raise;
  end if;
  perform credits.raise_error('invalid_argument', '{"argument": "p_rows"}',
    'Rows are a JSON array of objects, and what expires does so at a time in ISO 8601.');
end
$$;
comment on function credits.import_cells(regclass, jsonb, name, name, name, name) is
  'The balances as they stand in the table or view of the project, or in rows out of a file.';
revoke all on function credits.import_cells(regclass, jsonb, name, name, name, name)
  from public, anon, authenticated, service_role;

create function credits.import_rows(
  p_table regclass, p_rows jsonb, p_user_column name, p_balance_column name,
  p_expires_column name, p_source_column name, p_user_key text, p_rounding text)
returns credits.import_row[]
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_rows credits.import_row[];
begin
  with users as (
    select lower(u.email) as email, min(u.id::text)::uuid as id, count(*) as users
    from auth.users u where p_user_key = 'email' and u.email <> '' group by 1
  ), named as (
    select c.named, case when p_user_key = 'email' then m.id
        when c.named ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then c.named::uuid end as id,
      coalesce(m.users, 1) as users, credits.import_amount(c.amount, p_rounding) as amount,
      c.expires_at, c.source
    from credits.import_cells(
      p_table, p_rows, p_user_column, p_balance_column, p_expires_column, p_source_column) c
    left join users m on m.email = c.named
  )
  -- In the order in which accounts are locked.
  select coalesce(array_agg(row(n.named, n.id, n.users, n.amount, n.expires_at, n.source)
    ::credits.import_row order by n.id, n.expires_at, n.source), '{}') into v_rows
  from named n;
  return v_rows;
end
$$;
comment on function credits.import_rows(regclass, jsonb, name, name, name, name, text, text) is
  'What is to be imported, read once: whose it is by id or by e-mail, and how much.';
revoke all on function credits.import_rows(regclass, jsonb, name, name, name, name, text, text)
  from public, anon, authenticated, service_role;

create function credits.import_key(p_key text, p_row credits.import_row)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  -- In seconds, so that it means the same in every time zone.
  select p_key || coalesce(':@' || extract(epoch from p_row.expires_at)::text, '')
    || coalesce('/' || p_row.source, '')
$$;
comment on function credits.import_key(text, credits.import_row) is
  'The idempotency key of one lot: that of its import, when the lot expires, and its source where '
  'lots have one of their own.';
revoke all on function credits.import_key(text, credits.import_row)
  from public, anon, authenticated, service_role;

create function credits.import_problems(
  p_rows credits.import_row[], p_user_key text, p_credit_type text, p_source text, p_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return (
    with judged as (
      select r.named, case
        when r.named is null then 'no user'
        when r.users > 1 then 'several users have this e-mail'
        when r.user_id is null and p_user_key = 'email' then 'no such user in auth.users'
        when r.user_id is null then 'the user is not a UUID'
        when r.amount is null then 'no balance'
        when r.amount = 'NaN' then 'the balance is not a number'
        when r.amount < 0 then 'the balance is negative'
        when r.amount <> trunc(r.amount) then 'the balance is not a whole number'
        when r.amount > 9007199254740992 then 'the balance is too large'
        when not exists (select 1 from credits.grant_sources s
          where s.id = coalesce(r.source, p_source) and s.may_be_granted) then 'no such source'
        when count(*) over (partition by r.user_id, r.expires_at, r.source) > 1
          then 'several rows for one user'
        when r.amount > 0 and r.expires_at <= now() and k.request is null then 'it has expired'
        when a.kind = 'workspace' then 'a workspace, and no user'
        when a.status = 'closed' then 'the account is closed'
        when a.account_id is null and u.id is null then 'no such user in auth.users'
        when (k.request ->> 'amount')::numeric <> r.amount
          then 'imported before, with another balance'
        when k.request ->> 'source' <> coalesce(r.source, p_source)
          then 'imported before, from another source'
        when k.request is null and b.balance + r.amount > 9007199254740992
          then 'the balance is too large beside what the account has'
      end as problem
      from unnest(p_rows) r
      left join auth.users u on u.id = r.user_id
      left join credits.accounts a on a.account_id = r.user_id
      left join lateral (
        select k.request from credits.idempotency_keys k
        where k.account_id = r.user_id and k.idempotency_key = credits.import_key(p_key, r)
        limit 1) k on true
      left join credits.balances b
        on b.account_id = a.account_id and b.credit_type = p_credit_type
    )
    select coalesce(jsonb_agg(to_jsonb(c) order by c.problem), '[]')
    from (
      select j.problem, count(*) as rows, (array_agg(distinct j.named))[1:10] as users
      from judged j where j.problem is not null group by j.problem) c);
end
$$;
comment on function credits.import_problems(credits.import_row[], text, text, text, text) is
  'What keeps rows from being imported, with how many there are of it and the first ten users.';
revoke all on function credits.import_problems(credits.import_row[], text, text, text, text)
  from public, anon, authenticated, service_role;

create function credits.is_of_import(p_idempotency_key text, p_key text)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select p_idempotency_key = p_key or starts_with(p_idempotency_key, p_key || ':@')
    or starts_with(p_idempotency_key, p_key || '/')
$$;
comment on function credits.is_of_import(text, text) is
  'Whether a key is that of a lot of the import with this key.';
revoke all on function credits.is_of_import(text, text)
  from public, anon, authenticated, service_role;

create function credits.imported_elsewhere(
  p_rows credits.import_row[], p_credit_type text, p_key text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_object_agg(f.key, f.users order by f.key), '{}')
    from (
      select regexp_replace(k.idempotency_key, '^import:(.*?)(#[0-9]+)?:[^:]*(:@[^:]*)?$', '\1')
          as key,
        count(distinct r.user_id) as users
      from unnest(p_rows) r
      join lateral (
        select k.idempotency_key, k.request from credits.idempotency_keys k
        where k.account_id = r.user_id and k.idempotency_key like 'import:%' offset 0) k on true
      where r.amount > 0 and not credits.is_of_import(k.idempotency_key, p_key)
        and k.request ->> 'credit_type' = p_credit_type
        and k.request ->> 'description' = 'opening balance'
        and not exists (select 1 from credits.undone_imports u
          where credits.is_of_import(k.idempotency_key, u.import_key))
      group by 1) f);
end
$$;
comment on function credits.imported_elsewhere(credits.import_row[], text, text) is
  'From which other tables or columns these users have opening balances of this type, and how many '
  'of them: the same money, maybe.';
revoke all on function credits.imported_elsewhere(credits.import_row[], text, text)
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

create function credits.import_grants(
  p_rows credits.import_row[], p_credit_type text, p_source text, p_key text)
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
  from unnest(p_rows) r
  left join lateral (
    select k.operation_id from credits.idempotency_keys k
    where k.account_id = r.user_id and k.idempotency_key = credits.import_key(p_key, r)
    limit 1) k on true
  where r.amount > 0;
  for v_row in
    select r.user_id, r.amount::bigint as amount, r.expires_at, r.source,
      credits.import_key(p_key, r) as key, row_number() over () as nth
    from unnest(p_rows) r
    left join lateral (
      select k.operation_id from credits.idempotency_keys k
      where k.account_id = r.user_id and k.idempotency_key = credits.import_key(p_key, r)
      limit 1) k on true
    where r.amount > 0 and k.operation_id is null
  loop
    perform credits.grant_to(
      credits.paying_account(v_row.user_id, null, p_credit_type), v_row.user_id,
      row(p_credit_type, v_row.amount, coalesce(v_row.source, p_source), 'opening balance', null,
        v_row.expires_at, null, null, null, '{}')::credits.grant_order, v_row.key);
    if clock_timestamp() > v_told_at + interval '1 second' then
      v_told_at := clock_timestamp();
      raise notice using message = concat('imported ', v_row.nth, ' of ', granted - replayed);
    end if;
  end loop;

  -- What is proven is read back from the ledger, row by row.
  select coalesce(sum(t.amount) filter (where t.amount = r.amount), 0) into total
  from unnest(p_rows) r
  join lateral (
    select k.account_id, k.operation_id from credits.idempotency_keys k
    where k.account_id = r.user_id and k.idempotency_key = credits.import_key(p_key, r)
    limit 1) k on true
  join lateral (
    select t.amount from public.credit_transactions t
    where t.account_id = k.account_id and t.operation_id = k.operation_id and t.kind = 'grant'
    limit 1) t on true
  where r.amount > 0;
  return next;
end
$$;
comment on function credits.import_grants(credits.import_row[], text, text, text) is
  'Issues the opening grants, and adds up those of them that the ledger has with the very amount '
  'of '
  'their row.';
revoke all on function credits.import_grants(credits.import_row[], text, text, text)
  from public, anon, authenticated, service_role;

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

create function credits.check_import(
  p_credit_type text, p_source text, p_user_key text, p_rounding text, p_rows jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text := case
    when p_user_key is null or p_user_key not in ('id', 'email') then 'p_user_key'
    when p_rounding not in ('floor', 'ceil', 'round') then 'p_rounding'
    when p_rows is not null and jsonb_typeof(p_rows) <> 'array' then 'p_rows' end;
begin
  if not exists (select 1 from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object(
      'credit_type', p_credit_type,
      'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
  elsif not exists (
    select 1 from credits.grant_sources s where s.id = p_source and s.may_be_granted) then
    perform credits.raise_error('invalid_argument', jsonb_build_object(
      'argument', 'p_source', 'value', p_source, 'known', (
        select jsonb_agg(s.id order by s.id) from credits.grant_sources s where s.may_be_granted)));
  elsif v_argument is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', v_argument),
      'Users are known by id or email; fractions are rounded by floor, ceil or round; rows are a '
      'JSON array.');
  end if;
end
$$;
comment on function credits.check_import(text, text, text, text, jsonb) is
  'Raises unknown_credit_type or invalid_argument for an import that cannot be.';
revoke all on function credits.check_import(text, text, text, text, jsonb)
  from public, anon, authenticated, service_role;

-- edge: result=BalanceImport callers=service_role repeatable slow reads=rows:import_rows
--   Take the balances of a table or view over as grants: all rows, or none.
--
--   With ``expires_column`` each row is a lot that expires then (null: never), and a user may have
--   several; without it nothing expires. ``source_column`` has the source of each. ``user_key``
--   says how the user column names users: by ``id`` or by ``email``. ``rounding`` says what becomes
--   of fractions (``floor``, ``ceil``, ``round``); without it they are refused. With ``rows`` the
--   balances are in these mappings, and ``table`` is the name by which a second run knows them.
--
--   Nothing changes when a row cannot be used, when the totals differ from each other or from
--   ``expected_total`` (credits), or with ``dry_run``. A second run adds nothing.
--
--   Raises:
--       InvalidArgument: no such table, column or source.
--       UnknownCreditType.
create function public.import_balances(
  p_table text, p_user_column text, p_balance_column text, p_credit_type text,
  p_source text default 'top_up', p_expected_total bigint default null,
  p_dry_run boolean default false, p_expires_column text default null,
  p_source_column text default null, p_user_key text default 'id',
  p_rounding text default null, p_rows jsonb default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_table regclass;
  v_key text;
  v_rows credits.import_row[];
  v_done record;
  v_answer jsonb;
begin
  if p_rows is null then
    v_table := credits.import_table(
      p_table, p_user_column, p_balance_column, p_expires_column, p_source_column);
  end if;
  perform credits.check_import(p_credit_type, p_source, p_user_key, p_rounding, p_rows);
  if p_table is null or length(p_table) not between 1 and 120 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_table"}',
      'Give the rows a name of 1 to 120 characters.');
  end if;
  v_key := credits.import_name(
    credits.import_origin(p_table, p_rows is not null), p_balance_column, p_credit_type);
  if v_table is not null then
    -- What is imported is not spent meanwhile.
    perform credits.keep_still(v_table);
  end if;
  v_rows := credits.import_rows(v_table, p_rows, p_user_column, p_balance_column,
    p_expires_column, p_source_column, p_user_key, p_rounding);
  select jsonb_build_object('success', false, 'code', 'unusable_rows',
    'credit_type', p_credit_type, 'rows', count(*), 'empty', count(*) filter (where r.amount = 0),
    'total', coalesce(trunc(sum(r.amount) filter (
      where r.amount between 0 and 9007199254740992)), 0),
    'expected_total', p_expected_total, 'granted', 0, 'replayed', 0, 'granted_total', 0,
    'dry_run', p_dry_run,
    'elsewhere', credits.imported_elsewhere(v_rows, p_credit_type, v_key),
    'problems', credits.import_problems(v_rows, p_user_key, p_credit_type, p_source, v_key))
    into v_answer
  from unnest(v_rows) r;
  if v_answer -> 'problems' <> '[]' then
    return v_answer;
  elsif (v_answer ->> 'total')::numeric <> p_expected_total then
    return v_answer || '{"code": "totals_differ"}';
  end if;

  begin
    select * into v_done from credits.import_grants(v_rows, p_credit_type, p_source, v_key);
    v_answer := v_answer || jsonb_build_object(
      'success', v_done.total = (v_answer ->> 'total')::numeric,
      'code', case when v_done.total = (v_answer ->> 'total')::numeric then 'ok'
        else 'totals_differ' end,
      'granted', v_done.granted, 'replayed', v_done.replayed, 'granted_total', v_done.total);
    if p_dry_run or not (v_answer ->> 'success')::boolean then
      raise exception using errcode = 'PTRBK', message = 'nothing of it stays';
    end if;
  exception when sqlstate 'PTRBK' then null;
  end;
  return case when v_answer ->> 'code' = 'ok' then credits.respond(v_answer) else v_answer end;
end
$$;
comment on function public.import_balances(
  text, text, text, text, text, bigint, boolean, text, text, text, text, jsonb) is
  'Takes the balances of a table or view of the project over, as grants of p_source: all rows, or '
  'none. With p_expires_column each row is a lot that expires then (null: never), and a user may '
  'have several; without it nothing expires. p_source_column has the source of each. p_user_key '
  'says whether users are named by id or by email, p_rounding what becomes of fractions (floor, '
  'ceil, round; else they are refused). With p_rows the balances are in these objects, and p_table '
  'is a name for them. Answers rows, total, granted, granted_total, problems, and elsewhere: how '
  'many of the users have an opening balance of this type already from which other table; success '
  'is false, and nothing has changed, when a row cannot be used, or when the totals differ from '
  'each other or from p_expected_total. A second run adds nothing. p_dry_run takes everything '
  'back.';
revoke all on function public.import_balances(
  text, text, text, text, text, bigint, boolean, text, text, text, text, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.import_balances(
  text, text, text, text, text, bigint, boolean, text, text, text, text, jsonb) to service_role;
