create function credits.read_history(
  p_user_id uuid, p_credit_type text, p_limit integer, p_before timestamptz, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.reading_user(p_user_id);
  v_account_id uuid := credits.paying_account(v_user_id, p_workspace_id, p_credit_type);
  v_only_actor uuid := credits.only_actor(v_account_id, v_user_id);
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_limit', 'value', p_limit),
      'A page of the history has 1 to 1000 entries.');
  end if;
  return jsonb_build_object('success', true, 'code', 'ok', 'account_id', v_account_id, 'entries', (
    select coalesce(jsonb_agg(to_jsonb(h) order by h.created_at desc, h.credit_type, h.version desc), '[]')
    from (
      select t.version, t.credit_type, t.operation_id, t.kind, t.grant_id, t.user_id, t.amount, t.balance_after,
        t.related_operation_id, t.description, t.metadata, t.created_at
      from credits.balances b
      cross join lateral (
        -- Times follow versions, so the newest rows of each type are at the end of its chain.
        select * from public.credit_transactions x
        where x.account_id = b.account_id and x.credit_type = b.credit_type and (p_before is null or x.created_at < p_before)
          and (v_only_actor is null or x.user_id = v_only_actor)
        order by x.version desc limit p_limit) t
      where b.account_id = v_account_id and (p_credit_type is null or b.credit_type = p_credit_type)
      order by t.created_at desc, t.credit_type, t.version desc limit p_limit) h));
end
$$;
comment on function credits.read_history(uuid, text, integer, timestamptz, uuid) is
  'What get_credit_history answers, after asking whether the caller may read it.';
revoke all on function credits.read_history(uuid, text, integer, timestamptz, uuid) from public, anon, authenticated, service_role;
grant execute on function credits.read_history(uuid, text, integer, timestamptz, uuid) to authenticated, service_role;

-- edge: result=HistoryPage.entries callers=authenticated,service_role repeatable
--   The ledger, newest first: 1 to 1000 rows older than ``before``.
--
--   Raises:
--       InvalidArgument: another ``limit``.
--       AccountNotFound, UnknownCreditType.
create function public.get_credit_history(
  p_user_id uuid default null, p_credit_type text default null, p_limit integer default 50,
  p_before timestamptz default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.read_history(p_user_id, p_credit_type, p_limit, p_before, p_workspace_id);
comment on function public.get_credit_history(uuid, text, integer, timestamptz, uuid) is
  'The ledger of an account, newest first: p_limit rows (1 to 1000) before p_before. A signed-in user may leave p_user_id out.';
revoke all on function public.get_credit_history(uuid, text, integer, timestamptz, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_credit_history(uuid, text, integer, timestamptz, uuid) to authenticated, service_role;
