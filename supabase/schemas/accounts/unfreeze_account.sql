-- edge: result=StatusChange callers=service_role repeatable
--   Allow a frozen account to spend again.
--
--   Raises:
--       AccountNotFound.
create function public.unfreeze_account(p_user_id uuid, p_reason text default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  perform credits.check_request(1, p_reason, null, null, 'p_reason');
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  perform credits.mark_frozen(v_account_id, false, p_reason);
  return credits.respond(credits.account_answer(v_account_id) || '{"status": "active"}');
end
$$;
comment on function public.unfreeze_account(uuid, text, uuid) is
  'Allows a frozen account to spend again.';
revoke all on function public.unfreeze_account(uuid, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.unfreeze_account(uuid, text, uuid) to service_role;
