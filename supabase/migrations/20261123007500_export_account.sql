create function credits.account_tables()
returns table (name text, has_account boolean, has_user boolean, has_time boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  select format('%I.%I', n.nspname, c.relname), t.has_account, t.has_user, t.has_time
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select bool_or(a.attname = 'account_id' and a.atttypid = 'uuid'::regtype) as has_account,
      bool_or(a.attname = 'user_id' and a.atttypid = 'uuid'::regtype) as has_user, bool_or(a.attname = 'created_at') as has_time
    from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) t
  where c.relkind in ('r', 'p') and (t.has_account or t.has_user)
    and (n.nspname = 'credits'
      or n.nspname = 'public' and (c.relname = 'usage' or c.relname in (select credits.public_relations())))
$$;
comment on function credits.account_tables() is
  'The system''s tables that have rows of somebody, read from the catalog so that none is forgotten.';
revoke all on function credits.account_tables() from public, anon, authenticated, service_role;

create function public.export_account(p_user_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_table record;
  v_rows jsonb;
  v_tables jsonb := jsonb '{}';
begin
  if not exists (select from credits.accounts a where a.account_id = p_user_id and a.kind = 'person') then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id));
  end if;
  for v_table in select t.* from credits.account_tables() t order by t.name loop
    execute format('select coalesce(jsonb_agg(to_jsonb(r)%s), ''[]'') from %s r where false%s%s',
      case when v_table.has_time then ' order by r.created_at' else '' end, v_table.name,
      case when v_table.has_account then ' or r.account_id = $1' else '' end,
      case when v_table.has_user then ' or r.user_id = $1' else '' end) into v_rows using p_user_id;
    v_tables := v_tables || jsonb_build_object(v_table.name, v_rows);
  end loop;
  return jsonb_build_object('success', true, 'code', 'ok', 'account_id', p_user_id, 'exported_at', statement_timestamp(),
    'tables', v_tables);
end
$$;
comment on function public.export_account(uuid) is
  'Everything that the credit system has stored about one user, table by table: the rows of their account, and what they did in workspaces. Also of a closed account. Raises account_not_found.';
revoke all on function public.export_account(uuid) from public, anon, authenticated, service_role;
grant execute on function public.export_account(uuid) to service_role;
