create function credits.mark_frozen(p_account_id uuid, p_frozen boolean, p_reason text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_status text := case when p_frozen then 'frozen' else 'active' end;
begin
  perform credits.lock_account(p_account_id);
  update credits.accounts a set status = v_status, frozen_reason = case when p_frozen
    then coalesce(p_reason, '') end
  where a.account_id = p_account_id and a.status <> 'closed';
  update credits.balances b set account_status = v_status
  where b.account_id = p_account_id and b.account_status <> 'closed';
end
$$;
comment on function credits.mark_frozen(uuid, boolean, text) is
  'Stops all spending of an account, or allows it again.';
revoke all on function credits.mark_frozen(uuid, boolean, text)
  from public, anon, authenticated, service_role;

-- edge: result=StatusChange callers=service_role repeatable
--   Stop all spending until :meth:`unfreeze_account`.
--
--   Raises:
--       AccountNotFound.
create function public.freeze_account(p_user_id uuid, p_reason text default null,
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
  perform credits.mark_frozen(v_account_id, true, p_reason);
  return credits.respond(credits.account_answer(v_account_id) || '{"status": "frozen"}');
end
$$;
comment on function public.freeze_account(uuid, text, uuid) is
  'Stops all spending: consume, reserve and capture raise account_frozen until unfreeze_account. '
  'Credits, renewals, releases and refunds go on.';
revoke all on function public.freeze_account(uuid, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.freeze_account(uuid, text, uuid) to service_role;

create function credits.frozen_words()
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select format(
    'This account is frozen: nothing can be spent from it, and its credits stay. Write to %s to '
    'have it looked at.',
    coalesce(nullif(s.support_contact, ''), 'the support of this service'))
  from credits.settings s
$$;
comment on function credits.frozen_words() is
  'What the person is told whose account is frozen, and whom to write to.';
revoke all on function credits.frozen_words() from public, anon, authenticated, service_role;
