create function credits.set_credit_channels(
  p_user_id uuid, p_by_mail boolean, p_in_app boolean, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid := credits.paying_account(v_user_id, p_workspace_id);
begin
  insert into credits.message_preferences as f (account_id, user_id, by_mail, in_app)
  values (v_account_id, v_user_id, coalesce(p_by_mail, true), coalesce(p_in_app, true))
  on conflict (account_id, user_id) do update set
    by_mail = coalesce(p_by_mail, f.by_mail), in_app = coalesce(p_in_app, f.in_app);
  return credits.alerts_answer(v_account_id, v_user_id);
end
$$;
comment on function credits.set_credit_channels(uuid, boolean, boolean, uuid) is
  'What set_credit_channels does, after asking who calls.';
revoke all on function credits.set_credit_channels(uuid, boolean, boolean, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.set_credit_channels(uuid, boolean, boolean, uuid)
  to authenticated, service_role;

-- edge: result=Alerts callers=authenticated,service_role repeatable required=user_id
--   Tell the user about the account by mail, in the app, both or neither. None leaves it as it is.
--
--   What they must know, such as a payment that failed, is mailed all the same.
--
--   Raises:
--       AccountNotFound.
create function public.set_credit_channels(
  p_user_id uuid default null, p_by_mail boolean default null, p_in_app boolean default null,
  p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.set_credit_channels(p_user_id, p_by_mail, p_in_app, p_workspace_id);
comment on function public.set_credit_channels(uuid, boolean, boolean, uuid) is
  'Whether a person is told about an account by mail and in the app. Payments that failed and '
  'other plans are mailed all the same.';
revoke all on function public.set_credit_channels(uuid, boolean, boolean, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.set_credit_channels(uuid, boolean, boolean, uuid)
  to authenticated, service_role;
