-- The ledger of an account, page by page. Times are no place to go on from: several rows may share
-- an instant. A cursor holds how far each chain has been read, by version, so a page is found at
-- once and every row comes once, also while new ones are added.

create function credits.entries_below(
  p_account_id uuid, p_credit_type text, p_version bigint, p_only_actor uuid, p_limit integer)
returns table (
  version bigint, credit_type text, operation_id uuid, kind credits.entry_kind, grant_id uuid,
  user_id uuid, amount bigint, balance_after bigint, related_operation_id uuid, description text,
  metadata jsonb, created_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_only_actor is null then
    return query
      select t.version, t.credit_type, t.operation_id, t.kind, t.grant_id, t.user_id, t.amount,
        t.balance_after, t.related_operation_id, t.description, t.metadata, t.created_at
      from public.credit_transactions t
      where t.account_id = p_account_id and t.credit_type = p_credit_type
        and t.version < p_version
      order by t.version desc limit p_limit;
    return;
  end if;
  return query
    select t.version, t.credit_type, t.operation_id, t.kind, t.grant_id, t.user_id, t.amount,
      t.balance_after, t.related_operation_id, t.description, t.metadata, t.created_at
    from public.credit_transactions t
    where t.account_id = p_account_id and t.credit_type = p_credit_type and t.version < p_version
      -- Only in workspaces does a reader see no more than their own, and those rows have an index.
      and t.user_id = p_only_actor and t.user_id <> t.account_id
    order by t.version desc limit p_limit;
end
$$;
comment on function credits.entries_below(uuid, text, bigint, uuid, integer) is
  'The newest p_limit ledger rows of a chain below a version; of one actor alone where one is '
  'named.';
revoke all on function credits.entries_below(uuid, text, bigint, uuid, integer)
  from public, anon, authenticated, service_role;

create function credits.write_cursor(p_account_id uuid, p_credit_type text, p_versions jsonb)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select translate(encode(convert_to(jsonb_build_object(
    'account', p_account_id, 'type', p_credit_type, 'below', p_versions)::text, 'UTF8'), 'base64'),
    E'+/=\n', '-_')
$$;
comment on function credits.write_cursor(uuid, text, jsonb) is
  'The cursor of a history that has been read down to these versions, as text for a URL.';
revoke all on function credits.write_cursor(uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.read_cursor(p_account_id uuid, p_credit_type text, p_cursor text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_text text := translate(p_cursor, '-_', '+/');
  v_cursor jsonb;
begin
  begin
    v_cursor := convert_from(
      decode(v_text || repeat('=', (4 - length(v_text) % 4) % 4), 'base64'), 'UTF8')::jsonb;
    if length(p_cursor) <= 8192 and jsonb_typeof(v_cursor -> 'below') = 'object'
       and p_cursor = credits.write_cursor(p_account_id, p_credit_type, v_cursor -> 'below')
       and not exists (
         select 1 from jsonb_each_text(v_cursor -> 'below') b where b.value::bigint < 0) then
      return v_cursor -> 'below';
    end if;
  exception when data_exception then
    null;
  end;
  perform credits.raise_error('invalid_argument', '{"argument": "p_cursor"}',
    'A cursor is the next_cursor of a page of the same history, unchanged.');
  return null;
end
$$;
comment on function credits.read_cursor(uuid, text, text) is
  'How far the chains of an account have been read: the version below which the next page starts, '
  'by credit type.';
revoke all on function credits.read_cursor(uuid, text, text)
  from public, anon, authenticated, service_role;

create function credits.history_page(
  p_account_id uuid, p_credit_type text, p_limit integer, p_versions jsonb, p_only_actor uuid,
  p_since timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    with found as (
      select t.*,
        -- Times follow versions. Where a clock had stepped back they would not, and versions
        -- decide.
        min(t.created_at) over (partition by t.credit_type order by t.version desc) as at
      from jsonb_each_text(p_versions) c
      cross join lateral credits.entries_below(
        p_account_id, c.key, c.value::bigint, p_only_actor, p_limit + 1) t
    ), numbered as (
      select f.*, row_number() over (order by f.at desc, f.credit_type, f.version desc) as nth
      from found f
      where p_since is null or f.at >= p_since
    ), page as (
      select n.* from numbered n where n.nth <= p_limit
    )
    select jsonb_build_object(
      'rows', (select coalesce(jsonb_agg(to_jsonb(p) - '{at, nth}'::text[] order by p.nth), '[]')
        from page p),
      'next_cursor', case when exists (select 1 from numbered n where n.nth > p_limit) then
        credits.write_cursor(p_account_id, p_credit_type, p_versions || (
          select jsonb_object_agg(l.credit_type, l.version)
          from (select p.credit_type, min(p.version) as version from page p group by 1) l)) end));
end
$$;
comment on function credits.history_page(uuid, text, integer, jsonb, uuid, timestamptz) is
  'A page of the ledger below these versions and not before p_since, newest first, and the cursor '
  'of the next one; null after the last.';
revoke all on function credits.history_page(uuid, text, integer, jsonb, uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.version_until(
  p_account_id uuid, p_credit_type text, p_version bigint, p_until timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_low bigint := 0;
  v_high bigint := p_version;
  v_middle bigint;
  v_entry record;
begin
  -- Times follow versions, so halves are left out, not rows: a chain may have millions.
  while p_until is not null and v_low < v_high loop
    v_middle := (v_low + v_high + 1) / 2;
    select t.version, t.created_at into v_entry from public.credit_transactions t
    where t.account_id = p_account_id and t.credit_type = p_credit_type
      and t.version <= v_middle and t.version > v_low
    order by t.version desc limit 1;
    if v_entry.created_at >= p_until then
      v_high := v_entry.version - 1;
    else
      v_low := v_middle;
    end if;
  end loop;
  return v_high;
end
$$;
comment on function credits.version_until(uuid, text, bigint, timestamptz) is
  'The version of the newest row of a chain before an instant, or a number below it that has no '
  'row after that one.';
revoke all on function credits.version_until(uuid, text, bigint, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.versions_until(p_account_id uuid, p_credit_type text, p_until timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_object_agg(b.credit_type,
      1 + credits.version_until(p_account_id, b.credit_type, b.version, p_until)), '{}')
    from credits.balances b
    where b.account_id = p_account_id and (p_credit_type is null or b.credit_type = p_credit_type));
end
$$;
comment on function credits.versions_until(uuid, text, timestamptz) is
  'The version below which the history of each chain starts: behind its newest row, or behind the '
  'newest before p_until.';
revoke all on function credits.versions_until(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.read_history(
  p_user_id uuid, p_credit_type text, p_limit integer, p_cursor text, p_since timestamptz,
  p_until timestamptz, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.reading_user(p_user_id);
  v_account_id uuid := credits.paying_account(v_user_id, p_workspace_id, p_credit_type);
  v_versions jsonb;
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.raise_error(
      'invalid_argument', jsonb_build_object('argument', 'p_limit', 'value', p_limit),
      'A page of the history has 1 to 1000 rows.');
  end if;
  if p_cursor is not null then
    v_versions := credits.read_cursor(v_account_id, p_credit_type, p_cursor);
  else
    v_versions := credits.versions_until(v_account_id, p_credit_type, p_until);
  end if;
  return jsonb_build_object('success', true, 'code', 'ok', 'account_id', v_account_id)
    || credits.history_page(v_account_id, p_credit_type, p_limit, v_versions,
      credits.only_actor(v_account_id, v_user_id), p_since);
end
$$;
comment on function credits.read_history(uuid, text, integer, text, timestamptz, timestamptz,
  uuid) is
  'What get_credit_history answers, after asking whether the caller may read it.';
revoke all on function credits.read_history(uuid, text, integer, text, timestamptz, timestamptz,
  uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.read_history(uuid, text, integer, text, timestamptz, timestamptz,
  uuid)
  to authenticated, service_role;

-- edge: result=HistoryPage callers=authenticated,service_role repeatable
--   A page of the ledger, newest first: 1 to 1000 rows. ``cursor`` is the ``next_cursor`` of the
--   page before.
--
--   Rows are from ``since`` on and before ``until``. ``iter_credit_history`` goes through all of
--   them. Of a workspace a member reads what they did themselves.
--
--   Raises:
--       InvalidArgument: another ``limit``, or a ``cursor`` of another history.
--       AccountNotFound, UnknownCreditType.
create function public.get_credit_history(
  p_user_id uuid default null, p_credit_type text default null, p_limit integer default 50,
  p_cursor text default null, p_since timestamptz default null, p_until timestamptz default null,
  p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.read_history(
  p_user_id, p_credit_type, p_limit, p_cursor, p_since, p_until, p_workspace_id);
comment on function public.get_credit_history(uuid, text, integer, text, timestamptz, timestamptz,
  uuid) is
  'The ledger of an account, newest first: p_limit rows (1 to 1000) from p_since on and before '
  'p_until, and next_cursor for the page after them, null after the last. Every row comes once. A '
  'signed-in user may leave p_user_id '
  'out; of a workspace a member reads what they did themselves.';
revoke all on function public.get_credit_history(uuid, text, integer, text, timestamptz,
  timestamptz, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_credit_history(uuid, text, integer, text, timestamptz,
  timestamptz, uuid)
  to authenticated, service_role;
