create function credits.account_tables()
returns table (name text, found_by text, ordered_by text)
language sql
stable
security invoker
set search_path = ''
as $$
  select o.name,
    -- $1 is the person, $2 the accounts that they may have acted on. A usage table of the project's
    -- names no account.
    concat_ws(' or ',
      case when t.has_account then 'r.account_id = $1' end,
      case when t.has_user then case when t.has_account and not o.is_usage
        then 'r.account_id = any ($2) and ' else '' end
        || 'r.user_id = $1' end,
      -- Who asked is in the request, or for a spend in the ledger.
      case when t.has_request
        then 'r.account_id = any ($2) and (r.request ->> ''user_id'' = $1::text
        or r.request is null and exists (select 1 from public.credit_transactions o
          where o.account_id = r.account_id and o.operation_id = r.operation_id
            and o.user_id = $1))' end),
    concat_ws(', ', case when t.has_time then 'r.created_at' end, coalesce((
      select string_agg(format('r.%I', a.attname), ', '
        order by array_position(i.indkey::smallint[], a.attnum))
      from pg_catalog.pg_index i
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
      where i.indrelid = o.oid and i.indisprimary), 'to_jsonb(r)'))
  from credits.own_relations() o
  cross join lateral (
    select bool_or(a.attname = 'account_id' and a.atttypid = 'uuid'::regtype) as has_account,
      bool_or(a.attname = 'user_id' and a.atttypid = 'uuid'::regtype) as has_user,
      bool_or(a.attname = 'request' and a.atttypid = 'jsonb'::regtype) as has_request,
      bool_or(a.attname = 'created_at') as has_time
    from pg_catalog.pg_attribute a where a.attrelid = o.oid and a.attnum > 0
      and not a.attisdropped) t
  -- What a provider charged is the seller's, and says nothing about anybody.
  where o.kind = 'table' and (t.has_account or t.has_user) and o.name <> 'credits.operation_costs'
$$;
comment on function credits.account_tables() is
  'The system''s tables that have rows of somebody, how these are found and in which order they '
  'come: read from the catalog so that none is forgotten.';
revoke all on function credits.account_tables() from public, anon, authenticated, service_role;

create function credits.export_rows(p_account_id uuid, p_table text, p_offset bigint,
  p_limit integer)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
-- What a statement answers that is made when it runs, plpgsql_check cannot know.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_table record;
  v_rows jsonb;
begin
  select t.name, t.found_by, t.ordered_by into strict v_table from credits.account_tables() t
    where t.name = p_table;
  execute format(
    'select coalesce(jsonb_agg(to_jsonb(x)), ''[]'') from (
       select r.* from %s r where %s order by %s offset $3 limit $4) x',
    v_table.name, v_table.found_by, v_table.ordered_by)
    into v_rows
    using p_account_id, array(select a.account_id from credits.accounts a
      where a.kind = 'workspace'), p_offset, p_limit;
  return v_rows;
end
$$;
comment on function credits.export_rows(uuid, text, bigint, integer) is
  'The rows of somebody in one of the system''s tables, oldest first; p_limit null for all from '
  'p_offset on.';
revoke all on function credits.export_rows(uuid, text, bigint, integer) from public, anon,
  authenticated, service_role;

-- edge: result=AccountExport callers=service_role repeatable slow
--   Everything that is stored about one user, table by table, also of a closed account.
--
--   A user with very many rows does not fit into one answer: read one ``table`` after the other
--   then, ``limit`` rows from ``offset`` on, while ``more`` is True.
--
--   Raises:
--       InvalidArgument: no such table, or too much for one answer.
--       AccountNotFound.
create function public.export_account(
  p_user_id uuid, p_table text default null, p_offset bigint default null,
  p_limit integer default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_names text[] := array(select t.name from credits.account_tables() t order by t.name);
  v_name text;
  v_rows jsonb;
  v_tables jsonb := jsonb '{}';
  v_more boolean := false;
begin
  if not exists (select from credits.accounts a where a.account_id = p_user_id
    and a.kind = 'person') then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id));
  end if;
  if p_table is not null and p_table <> all (v_names) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_table',
      'value', p_table, 'known', v_names),
      'Pass one of the known tables, or none for all of them.');
  end if;
  if p_offset < 0 or p_offset is not null and p_table is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_offset"}',
      'Pass how many rows of p_table have been read.');
  end if;
  if p_limit < 1 or p_limit is not null and p_table is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_limit"}',
      'Pass how many rows of p_table to read, 1 or more.');
  end if;
  begin
    foreach v_name in array coalesce(case when p_table is not null then array[p_table] end,
      v_names) loop
      v_rows := credits.export_rows(p_user_id, v_name, coalesce(p_offset, 0), p_limit + 1);
      v_more := jsonb_array_length(v_rows) > p_limit;
      if v_more then
        v_rows := v_rows - -1;
      end if;
      v_tables := v_tables || jsonb_build_object(v_name, v_rows);
    end loop;
  exception when program_limit_exceeded then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', case
      when p_table is null then 'p_table' else 'p_limit' end),
      'It is too much for one answer. Read table by table (p_table), a number of rows at a time '
      '(p_offset, p_limit), as `sonas export` does.');
  end;
  return jsonb_build_object('success', true, 'code', 'ok', 'account_id', p_user_id,
    'exported_at', statement_timestamp(),
    'names', v_names, 'tables', v_tables, 'more', coalesce(v_more, false));
end
$$;
comment on function public.export_account(uuid, text, bigint, integer) is
  'Everything that the credit system has stored about one user, table by table: the rows of their '
  'account, and what they did in workspaces. Also of a closed account. With p_table, the rows of '
  'that table alone from p_offset on, p_limit at most; more says whether there are others. Raises '
  'account_not_found.';
revoke all on function public.export_account(uuid, text, bigint, integer) from public, anon,
  authenticated, service_role;
grant execute on function public.export_account(uuid, text, bigint, integer) to service_role;
