-- edge: result=HttpAnswerStored callers=service_role repeatable
--   Keep the answer to a request whose ``Idempotency-Key`` was claimed.
--
--   ``body`` is in base64; None, or one above the setting ``stored_body_bytes``, is not kept: the
--   request then counts as answered, and a repeat of it is refused. ``stored`` is False when the
--   claim has lapsed and another has taken over. Of one account the newest
--   ``stored_bodies_per_account`` bodies are kept.
--
--   Raises:
--       AccountNotFound, InvalidArgument.
create function public.store_http_answer(
  p_user_id uuid, p_key text, p_claim_id uuid, p_http_status integer, p_headers jsonb default '{}',
  p_body text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_now timestamptz := clock_timestamp();
  v_body bytea;
  v_limit integer;
  v_kept integer;
  v_is_stored boolean;
  v_expires_at timestamptz;
begin
  perform credits.check_http_claim(p_key, p_claim_id);
  if p_http_status is null or p_http_status not between 100 and 599 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_http_status', 'value', p_http_status),
      'A status is 100 to 599.');
  end if;
  if p_headers is null or jsonb_typeof(p_headers) <> 'object'
    or octet_length(p_headers::text) > 16384 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_headers"}',
      'Headers are a JSON object of up to 16384 bytes.');
  end if;
  select s.stored_body_bytes, s.stored_bodies_per_account, v_now + s.stored_answer_retention
    into v_limit, v_kept, v_expires_at
  from credits.settings s;
  begin
    v_body := decode(p_body, 'base64');
  exception when invalid_parameter_value then
    perform credits.raise_error('invalid_argument', '{"argument": "p_body"}',
      'A body is in base64.');
  end;
  v_account_id := credits.paying_account(p_user_id);
  update credits.stored_answers s
  set status = p_http_status, headers = p_headers, claim_id = null, claimed_until = null,
    body = case when octet_length(v_body) <= v_limit then v_body end, expires_at = v_expires_at
  where s.account_id = v_account_id and s.request_key = p_key and s.claim_id = p_claim_id;
  v_is_stored := found;
  perform credits.drop_oldest_bodies(v_account_id, v_kept);
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'stored', v_is_stored));
end
$$;
comment on function public.store_http_answer(uuid, text, uuid, integer, jsonb, text) is
  'Keeps what a claimed HTTP request was answered, for as long as the settings say. A body that '
  'is too big is not kept: the request cannot be answered again then.';
revoke all on function public.store_http_answer(uuid, text, uuid, integer, jsonb, text)
  from public, anon, authenticated, service_role;
grant execute on function public.store_http_answer(uuid, text, uuid, integer, jsonb, text)
  to service_role;
