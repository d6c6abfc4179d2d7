-- Balances move in from a table or view of the project, or from rows that were read out of a file:
-- all of them or none. Each row is a grant under a key of its own, so that a second run finds the
-- first one's grants and adds nothing. An import is undone as long as nothing of it was spent.

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
