create function credits.set_status(p_account_id uuid, p_status text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz;
begin
  select max(b.settled_at) into v_at from credits.lock_account(p_account_id) b;
  perform credits.book_pending_plan(p_account_id, v_at);
  update public.subscriptions s set
    status = p_status,
    past_due_since = case when p_status = 'past_due' then coalesce(s.past_due_since, v_at) end
  where s.account_id = p_account_id and s.status <> p_status;
  -- Recovery thaws the same grants and catches up on the allowance of the running period.
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.set_status(uuid, text) is 'Books what has fallen due under the old status, then changes it.';
revoke all on function credits.set_status(uuid, text) from public, anon, authenticated, service_role;

-- edge: result=StatusChange callers=service_role repeatable
--   Record whether the subscription is paid for.
--
--   ``status`` is active, trialing, past_due or canceled.
--
--   Raises:
--       InvalidArgument: another status.
--       AccountNotFound.
create function public.set_subscription_status(p_user_id uuid, p_status text, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  if p_status is null or p_status not in ('active', 'trialing', 'past_due', 'canceled') then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_status', 'value', p_status),
      'The status is active, trialing, past_due or canceled.');
  end if;
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  perform credits.set_status(v_account_id, p_status);
  return credits.account_answer(v_account_id) || jsonb_build_object('status', p_status);
end
$$;
comment on function public.set_subscription_status(uuid, text, uuid) is
  'Records whether the subscription is paid for. past_due: no new allowance, and after the plan''s grace plan credits are frozen and the default plan''s limits apply; active again: they thaw.';
revoke all on function public.set_subscription_status(uuid, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.set_subscription_status(uuid, text, uuid) to service_role;
