-- edge: result=WebhookTest callers=service_role
--   Send a message of the kind ``webhook.test`` to an endpoint, and to no other.
--
--   Raises:
--       EndpointNotFound: the account has no such endpoint.
--       Forbidden, AccountNotFound.
create function public.test_credit_webhook(
  p_user_id uuid, p_endpoint_id uuid, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.overseen_account(p_user_id, p_workspace_id);
  v_endpoint public.credit_webhooks := credits.endpoint_of(v_account_id, p_endpoint_id);
  v_now timestamptz := clock_timestamp();
  v_message_id uuid;
begin
  insert into credits.outbox (account_id, kind, data, created_at, routed_at)
  values (v_account_id, 'webhook.test',
    jsonb_build_object('account_id', v_account_id, 'at', v_now), v_now, v_now)
  returning id into v_message_id;
  perform credits.queue_delivery(v_account_id, 'webhook', p_endpoint_id, v_message_id, v_now);
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'account_id', v_account_id, 'endpoint_id', v_endpoint.id,
    'message_id', v_message_id));
end
$$;
comment on function public.test_credit_webhook(uuid, uuid, uuid) is
  'Sends a message of the kind webhook.test to one endpoint. Raises endpoint_not_found.';
revoke all on function public.test_credit_webhook(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.test_credit_webhook(uuid, uuid, uuid) to service_role;
