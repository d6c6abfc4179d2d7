-- Balances move in from a table or view of the project, all of them or none. One grant per row, under a key of its own: a
-- second run finds the first one's grants and adds nothing.

create function credits.import_rows(p_table regclass, p_user_column name, p_balance_column name)
returns table (user_id text, amount numeric)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- What a statement answers that is made when it runs, plpgsql_check cannot know.
-- @plpgsql_check_options: extra_warnings = false
begin
  return query execute format('select lower(%I::text), %I::numeric from %s', p_user_column, p_balance_column, p_table);
end
$$;
comment on function credits.import_rows(regclass, name, name) is 'The balances as they stand in the project''s table or view.';
revoke all on function credits.import_rows(regclass, name, name) from public, anon, authenticated, service_role;

create function credits.import_problems(p_table regclass, p_user_column name, p_balance_column name, p_key text)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  with judged as (
    select r.user_id, r.amount, case
      when r.user_id is null then 'no user'
      when r.user_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then 'the user is not a UUID'
      when r.amount is null then 'no balance'
      when r.amount < 0 then 'the balance is negative'
      when r.amount <> trunc(r.amount) then 'the balance is not a whole number'
      when r.amount > 9007199254740992 then 'the balance is too large'
      when count(*) over (partition by r.user_id) > 1 then 'several rows for one user'
      when a.status = 'closed' then 'the account is closed'
      when a.account_id is null and u.id is null then 'no such user in auth.users'
      when k.request is not null and (k.request ->> 'amount')::numeric <> r.amount then 'imported before, with another balance'
    end as problem
    from credits.import_rows(p_table, p_user_column, p_balance_column) r
    left join auth.users u on u.id::text = r.user_id
    left join credits.accounts a on a.account_id::text = r.user_id
    left join credits.idempotency_keys k on k.account_id = a.account_id and k.idempotency_key = p_key
  )
  select coalesce(jsonb_agg(to_jsonb(c) order by c.problem), '[]')
  from (
    select j.problem, count(*) as rows, (array_agg(j.user_id order by j.user_id))[1:10] as users
    from judged j where j.problem is not null group by j.problem) c
$$;
comment on function credits.import_problems(regclass, name, name, text) is
  'What keeps rows from being imported, with how many there are of it and the first ten users.';
revoke all on function credits.import_problems(regclass, name, name, text) from public, anon, authenticated, service_role;

create function credits.import_table(p_table text, p_columns name[])
returns regclass
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_table regclass := coalesce(to_regclass(p_table), to_regclass('public.' || p_table));
  v_column name;
begin
  if not exists (
    select from pg_catalog.pg_class c join credits.host_schemas() s on s.oid = c.relnamespace
    where c.oid = v_table and c.relkind in ('r', 'p', 'v', 'm', 'f')) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_table', 'value', p_table),
      'Pass a table or view of your project, with its schema if that is not public.');
  end if;
  foreach v_column in array p_columns loop
    if not exists (select from pg_catalog.pg_attribute a
      where a.attrelid = v_table and a.attname = v_column and a.attnum > 0 and not a.attisdropped) then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'column', 'value', v_column, 'known', (
        select jsonb_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
        where a.attrelid = v_table and a.attnum > 0 and not a.attisdropped)),
        format('%s has no column %s.', v_table, v_column));
    end if;
  end loop;
  return v_table;
end
$$;
comment on function credits.import_table(text, name[]) is
  'The table or view of the project that a call names, with these columns. Raises invalid_argument.';
revoke all on function credits.import_table(text, name[]) from public, anon, authenticated, service_role;

create function credits.import_grants(
  p_table regclass, p_user_column name, p_balance_column name, p_credit_type text, p_source text, p_key text)
returns table (granted bigint, replayed bigint, total numeric)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_row record;
  v_answer jsonb;
begin
  granted := 0;
  replayed := 0;
  for v_row in
    select r.user_id::uuid as user_id, r.amount::bigint as amount
    from credits.import_rows(p_table, p_user_column, p_balance_column) r
    where r.amount > 0 order by 1
  loop
    v_answer := credits.grant_to(credits.paying_account(v_row.user_id, null, p_credit_type), v_row.user_id, p_credit_type,
      v_row.amount, p_source, 'opening balance', null, p_key, '{}');
    granted := granted + 1;
    replayed := replayed + (v_answer ->> 'replayed')::boolean::integer;
  end loop;

  -- What is proven is read back from the ledger, row by row.
  select sum(t.amount) filter (where t.amount = r.amount) into total
  from credits.import_rows(p_table, p_user_column, p_balance_column) r
  join credits.idempotency_keys k on k.account_id = r.user_id::uuid and k.idempotency_key = p_key
  join public.credit_transactions t on t.account_id = k.account_id and t.operation_id = k.operation_id and t.kind = 'grant'
  where r.amount > 0;
  total := coalesce(total, 0);
  return next;
end
$$;
comment on function credits.import_grants(regclass, name, name, text, text, text) is
  'Issues the opening grants, and adds up those of them that the ledger has with the very amount of their row.';
revoke all on function credits.import_grants(regclass, name, name, text, text, text) from public, anon, authenticated, service_role;

create function public.import_balances(
  p_table text, p_user_column text, p_balance_column text, p_credit_type text, p_source text default 'top_up',
  p_expected_total bigint default null, p_dry_run boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_table regclass := credits.import_table(p_table, array[p_user_column, p_balance_column]::name[]);
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
  -- The table is read three times, and has to say the same each time.
  if (select c.relkind <> 'm' from pg_catalog.pg_class c where c.oid = v_table) then
    execute format('lock table %s in share mode', v_table);
  end if;

  select count(*) as rows, coalesce(trunc(sum(r.amount) filter (where r.amount between 0 and 9007199254740992)), 0) as total,
    count(*) filter (where r.amount = 0) as empty into v_rows
  from credits.import_rows(v_table, p_user_column, p_balance_column) r;
  v_answer := jsonb_build_object('success', false, 'code', 'unusable_rows', 'credit_type', p_credit_type, 'rows', v_rows.rows,
    'empty', v_rows.empty, 'total', v_rows.total, 'expected_total', p_expected_total, 'granted', 0, 'replayed', 0,
    'granted_total', 0, 'dry_run', p_dry_run,
    'problems', credits.import_problems(v_table, p_user_column, p_balance_column, v_key));
  if v_answer -> 'problems' <> '[]' then
    return v_answer;
  end if;
  if v_rows.total <> p_expected_total then
    return v_answer || '{"code": "totals_differ"}';
  end if;

  begin
    select * into v_done from credits.import_grants(v_table, p_user_column, p_balance_column, p_credit_type, p_source, v_key);
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
comment on function public.import_balances(text, text, text, text, text, bigint, boolean) is
  'Takes the balances of a table or view of the project over, as grants of p_source that never expire: all rows, or none. Answers rows, total, granted, granted_total and problems; success is false, and nothing has changed, when a row cannot be used, or when the totals differ from each other or from p_expected_total. A second run adds nothing. p_dry_run takes everything back.';
revoke all on function public.import_balances(text, text, text, text, text, bigint, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.import_balances(text, text, text, text, text, bigint, boolean) to service_role;
