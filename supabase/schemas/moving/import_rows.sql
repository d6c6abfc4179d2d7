-- Rows of an import as they are read: whose each is, what becomes a grant, and what keeps a row
-- from being one. An import is all rows or none.

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
