-- edge: result=DeadLettersRetried callers=service_role repeatable
--   Send messages again that were given up: one, or all of the account. They keep their id.
--
--   An endpoint that was disabled is used again. ``retried`` is how many were queued.
--
--   Raises:
--       MessageNotFound: there is no such dead letter.
--       Forbidden, AccountNotFound.
create function public.retry_credit_dead_letters(
  p_user_id uuid, p_message_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.overseen_account(p_user_id, p_workspace_id);
  v_now timestamptz := clock_timestamp();
  v_channel text;
  v_rows bigint;
  v_count bigint := 0;
begin
  if p_message_id is not null and not exists (
    select 1 from credits.deliveries d
    where d.account_id = v_account_id and d.message_id = p_message_id) then
    perform credits.raise_error('message_not_found', jsonb_build_object(
      'message_id', p_message_id));
  end if;
  for v_channel in
    select distinct d.channel from credits.deliveries d
    where d.account_id = v_account_id and d.state = 'dead'
      and (p_message_id is null or d.message_id = p_message_id)
    order by d.channel
  loop
    -- The channel first, as for a worker.
    update credits.channels c set due_at = least(c.due_at, v_now)
    where c.account_id = v_account_id and c.channel = v_channel;
    update credits.deliveries d set state = 'waiting', attempts = 0, settled_at = null
    where d.account_id = v_account_id and d.channel = v_channel and d.state = 'dead'
      and (p_message_id is null or d.message_id = p_message_id);
    get diagnostics v_rows = row_count;
    v_count := v_count + v_rows;
    update public.credit_webhooks w set disabled_at = null, disabled_reason = null
    where w.account_id = v_account_id and w.disabled_at is not null
      and v_channel = credits.channel_name('webhook', w.id);
  end loop;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'account_id', v_account_id, 'retried', v_count));
end
$$;
comment on function public.retry_credit_dead_letters(uuid, uuid, uuid) is
  'Queues messages again that were given up, one or all of an account, under the ids that they '
  'had; uses a disabled endpoint again. Raises message_not_found.';
revoke all on function public.retry_credit_dead_letters(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.retry_credit_dead_letters(uuid, uuid, uuid) to service_role;
