-- edge: result=Clock callers=service_role repeatable
--   Make an account a test account, which it stays.
--
--   Raises:
--       AccountNotFound.
create function public.mark_test_account(p_user_id uuid, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(p_user_id, p_workspace_id);
begin
  update credits.accounts a set is_test = true where a.account_id = v_account_id;
  return credits.respond(credits.account_answer(v_account_id) || jsonb_build_object('now', (
    select coalesce(a.test_now, statement_timestamp())
    from credits.accounts a where a.account_id = v_account_id)));
end
$$;
comment on function public.mark_test_account(uuid, uuid) is
  'Makes an account a test account, which may have a clock of its own (set_test_clock). It stays '
  'one.';
revoke all on function public.mark_test_account(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.mark_test_account(uuid, uuid) to service_role;
