-- edge: result=HttpClaimDropped callers=service_role repeatable
--   Give an ``Idempotency-Key`` back: the request failed or was denied, and may be sent again.
--
--   ``dropped`` is False when the claim was not there any more.
--
--   Raises:
--       AccountNotFound, InvalidArgument.
create function public.drop_http_claim(p_user_id uuid, p_key text, p_claim_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  perform credits.check_http_claim(p_key, p_claim_id);
  v_account_id := credits.paying_account(p_user_id);
  delete from credits.stored_answers s
  where s.account_id = v_account_id and s.request_key = p_key and s.claim_id = p_claim_id;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'dropped', found));
end
$$;
comment on function public.drop_http_claim(uuid, text, uuid) is
  'Gives a claimed Idempotency-Key back after a failure or a denial. The next request under it '
  'is a new one.';
revoke all on function public.drop_http_claim(uuid, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.drop_http_claim(uuid, text, uuid) to service_role;
