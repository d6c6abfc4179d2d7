-- edge: result=WebhookSecret callers=service_role
--   Give an endpoint a new secret. For a day both sign, so that the receiver can change over.
--
--   Raises:
--       EndpointNotFound: the account has no such endpoint.
--       Forbidden, AccountNotFound.
create function public.rotate_credit_webhook_secret(
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
  v_until timestamptz := clock_timestamp() + interval '1 day';
begin
  delete from credits.webhook_secrets s
  where s.account_id = v_account_id and s.endpoint_id = p_endpoint_id
    and s.expires_at is not null;
  update credits.webhook_secrets s set expires_at = v_until
  where s.account_id = v_account_id and s.endpoint_id = p_endpoint_id;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'account_id', v_account_id, 'endpoint_id', p_endpoint_id,
    'url', v_endpoint.url, 'old_until', v_until,
    'secret', credits.make_webhook_secret(v_account_id, p_endpoint_id)));
end
$$;
comment on function public.rotate_credit_webhook_secret(uuid, uuid, uuid) is
  'Gives an endpoint a new secret, which is answered. The one before signs too, for a day; one '
  'before that no more. Raises endpoint_not_found.';
revoke all on function public.rotate_credit_webhook_secret(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.rotate_credit_webhook_secret(uuid, uuid, uuid) to service_role;
