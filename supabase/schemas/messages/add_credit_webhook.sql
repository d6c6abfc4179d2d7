-- edge: result=WebhookSecret callers=service_role
--   Send messages about the account to ``url``, signed after Standard Webhooks.
--
--   ``kinds`` are the kinds of message, None for all. The answer has the ``secret``, which cannot
--   be read again. Addresses inside a network are refused when a message is sent.
--
--   Raises:
--       InvalidArgument: not an http address, an unknown kind, or more than 20 endpoints.
--       Forbidden: of a workspace, by others than its owners and admins.
--       AccountNotFound.
create function public.add_credit_webhook(
  p_user_id uuid, p_url text, p_kinds text[] default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.overseen_account(p_user_id, p_workspace_id);
  v_endpoint_id uuid;
begin
  if p_url is null or length(p_url) > 2000
     or p_url !~* '^https?://[^[:space:]/?#@]+([/?#]\S*)?$' then
    perform credits.refuse_argument('p_url', 'An endpoint is an http or https address.');
  end if;
  if cardinality(p_kinds) = 0 or exists (
    select 1 from unnest(p_kinds) k(id)
    where k.id is null or not exists (select 1 from credits.message_kinds m where m.id = k.id)) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_kinds',
      'known', (select jsonb_agg(m.id order by m.id) from credits.message_kinds m)),
      'Pass kinds of message that there are, or none for all of them.');
  end if;
  if (select count(*) from public.credit_webhooks w where w.account_id = v_account_id) >= 20 then
    perform credits.refuse_argument('p_url', 'An account has 20 endpoints at most.');
  end if;
  insert into public.credit_webhooks (account_id, url, kinds)
  values (v_account_id, p_url, p_kinds)
  returning id into v_endpoint_id;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'account_id', v_account_id, 'endpoint_id', v_endpoint_id,
    'url', p_url, 'secret', credits.make_webhook_secret(v_account_id, v_endpoint_id)));
end
$$;
comment on function public.add_credit_webhook(uuid, text, text[], uuid) is
  'Sends messages about an account to an address, signed after Standard Webhooks. Answers '
  'endpoint_id, and secret: the only time that it can be read.';
revoke all on function public.add_credit_webhook(uuid, text, text[], uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.add_credit_webhook(uuid, text, text[], uuid) to service_role;
