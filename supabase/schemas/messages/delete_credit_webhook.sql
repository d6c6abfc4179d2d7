-- edge: result=WebhookEndpoint callers=service_role repeatable
--   Send nothing more to an endpoint. What waits for it is dropped.
--
--   Raises:
--       EndpointNotFound: the account has no such endpoint, or has none any more.
--       Forbidden, AccountNotFound.
create function public.delete_credit_webhook(
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
  v_channel text := credits.channel_name('webhook', p_endpoint_id);
begin
  delete from credits.deliveries d where d.account_id = v_account_id and d.channel = v_channel;
  delete from credits.channels c where c.account_id = v_account_id and c.channel = v_channel;
  delete from public.credit_webhooks w
  where w.account_id = v_account_id and w.id = p_endpoint_id;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'account_id', v_account_id, 'endpoint_id', p_endpoint_id,
    'url', v_endpoint.url));
end
$$;
comment on function public.delete_credit_webhook(uuid, uuid, uuid) is
  'Sends nothing more to an endpoint; what waits for it is dropped. Raises endpoint_not_found.';
revoke all on function public.delete_credit_webhook(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.delete_credit_webhook(uuid, uuid, uuid) to service_role;
