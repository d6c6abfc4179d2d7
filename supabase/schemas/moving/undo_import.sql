-- An import is taken back as long as nothing of it was spent: all of its grants, or none.
create table credits.undone_imports (
  import_key text not null,
  origin text not null,
  balance_column text not null,
  credit_type text not null,
  grants bigint not null,
  total numeric not null,
  reason text not null,
  undone_at timestamptz not null,
  constraint undone_imports_pkey primary key (import_key)
);
comment on table credits.undone_imports is
  'Imports that were taken back. Their keys are used up, so that the next import from the same '
  'place grants anew. Few rows, about no account.';
alter table credits.undone_imports enable row level security;
revoke all on table credits.undone_imports from public, anon, authenticated, service_role;

create function credits.grants_of_import(p_key text)
returns table (account_id uuid, grant_id uuid)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select t.account_id, t.grant_id
  from credits.idempotency_keys k
  join public.credit_transactions t
    on t.account_id = k.account_id and t.operation_id = k.operation_id and t.kind = 'grant'
  where credits.is_of_import(k.idempotency_key, p_key)
  order by t.account_id, t.grant_id;
end
$$;
comment on function credits.grants_of_import(text) is
  'The grants of an import, in the order in which accounts are locked. Reads all keys.';
revoke all on function credits.grants_of_import(text)
  from public, anon, authenticated, service_role;

create function credits.take_import_back(
  p_key text, p_reason text, out p_grants bigint, out p_total numeric, out p_spent jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_of record;
  v_grant public.credit_grants;
  v_spent uuid[] := array[]::uuid[];
begin
  p_grants := 0;
  p_total := 0;
  for v_of in select g.account_id, g.grant_id from credits.grants_of_import(p_key) g loop
    perform credits.lock_grant(v_of.account_id, v_of.grant_id);
    select * into v_grant from public.credit_grants g
    where g.account_id = v_of.account_id and g.id = v_of.grant_id;
    if v_grant.spent > 0 or v_grant.held > 0 then
      v_spent := v_spent || v_of.account_id;
    elsif v_grant.remaining > 0 and exists (
      select 1 from credits.accounts a
      where a.account_id = v_of.account_id and a.status <> 'closed') then
      perform credits.revoke(v_of.account_id, null, v_of.grant_id, p_reason);
      p_grants := p_grants + 1;
      p_total := p_total + v_grant.remaining;
    end if;
  end loop;
  p_spent := jsonb_build_object('problem', 'spent from, or held', 'rows', cardinality(v_spent),
    'users', to_jsonb(v_spent[1:10]));
end
$$;
comment on function credits.take_import_back(text, text) is
  'Voids what the grants of an import have, and says of which accounts something was spent.';
revoke all on function credits.take_import_back(text, text)
  from public, anon, authenticated, service_role;

-- edge: result=ImportUndone callers=service_role slow
--   Take an import back: all of its grants, or none of them if one was spent from or is held.
--
--   The arguments are those of the import; its table may be gone by now. What has expired or was
--   revoked since is left as it is. An import from the same place then grants anew.
--
--   Raises:
--       InvalidArgument: nothing was imported from there, or it was undone.
--       UnknownCreditType.
create function public.undo_import(
  p_table text, p_balance_column text, p_credit_type text,
  p_reason text default 'import undone', p_dry_run boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_origin text;
  v_key text;
  v_done record;
  v_answer jsonb;
  v_now timestamptz := clock_timestamp();
begin
  perform credits.check_request(1, p_reason, null, null, 'p_reason');
  perform credits.check_import(p_credit_type, 'top_up', 'id', null, null);
  select o.origin, o.key into v_origin, v_key
  from (
    select f.origin, credits.import_name(f.origin, p_balance_column, p_credit_type) as key
    from unnest(array[credits.import_origin(p_table, false), credits.import_origin(p_table, true)])
      as f(origin)) o
  where exists (select 1 from credits.grants_of_import(o.key));
  if not found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_table', 'value', p_table),
      'Nothing was imported from there and not undone. Name table, column and type of the import.');
  end if;
  begin
    select * into v_done from credits.take_import_back(v_key, coalesce(p_reason, 'import undone'));
    v_answer := jsonb_build_object('success', v_done.p_spent -> 'rows' = '0',
      'code', case when v_done.p_spent -> 'rows' = '0' then 'ok' else 'spent' end,
      'credit_type', p_credit_type, 'grants', v_done.p_grants, 'total', v_done.p_total,
      'dry_run', p_dry_run, 'problems', case when v_done.p_spent -> 'rows' = '0' then '[]'
        else jsonb_build_array(v_done.p_spent) end);
    if p_dry_run or v_done.p_spent -> 'rows' <> '0' then
      raise exception using errcode = 'PTRBK', message = 'nothing of it stays';
    end if;
    insert into credits.undone_imports (
      import_key, origin, balance_column, credit_type, grants, total, reason, undone_at)
    values (v_key, v_origin, p_balance_column, p_credit_type, v_done.p_grants, v_done.p_total,
      coalesce(p_reason, 'import undone'), v_now);
  exception when sqlstate 'PTRBK' then null;
  end;
  return case when v_answer ->> 'code' = 'ok' then credits.respond(v_answer) else v_answer end;
end
$$;
comment on function public.undo_import(text, text, text, text, boolean) is
  'Takes the grants of an import back, all of them or none: success is false, and nothing has '
  'changed, when one was spent from or is held. p_table, p_balance_column and p_credit_type are '
  'those of the import. p_dry_run takes everything back.';
revoke all on function public.undo_import(text, text, text, text, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.undo_import(text, text, text, text, boolean) to service_role;
