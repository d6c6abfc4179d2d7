-- edge: result=HttpClaim callers=service_role repeatable
--   Claim an ``Idempotency-Key`` for a request, or learn what came of it before.
--
--   ``key`` and ``fingerprint`` are hashes that the web application makes: of method, path and
--   key, and of the whole request. The claim lasts ``lease_seconds``; the same ``claim_id`` again
--   renews it. ``state`` says what to do: ``claimed``, work; ``working``, another request is at
--   it; ``answered``, give the stored answer; ``not_stored``, it was answered once and cannot be
--   answered again.
--
--   Raises:
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound, InvalidArgument.
create function public.claim_http_request(
  p_user_id uuid, p_key text, p_fingerprint text, p_claim_id uuid,
  p_lease_seconds integer default 60
)
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
  if p_fingerprint is null or length(p_fingerprint) not between 1 and 255 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_fingerprint"}',
      'A fingerprint has 1 to 255 characters.');
  end if;
  if p_lease_seconds is null or p_lease_seconds not between 1 and 3600 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_lease_seconds', 'value', p_lease_seconds),
      'A claim lasts for 1 to 3600 seconds.');
  end if;
  v_account_id := credits.paying_account(p_user_id);
  return credits.respond(
    credits.claim_answer(v_account_id, p_key, p_fingerprint, p_claim_id, p_lease_seconds)
    || jsonb_build_object('success', true, 'code', 'ok', 'body_limit', (
      select s.stored_body_bytes from credits.settings s)));
end
$$;
comment on function public.claim_http_request(uuid, text, text, uuid, integer) is
  'Claims an Idempotency-Key for one HTTP request, renews the claim, or answers what the '
  'request before was answered. Raises idempotency_conflict for another request under the same '
  'key.';
revoke all on function public.claim_http_request(uuid, text, text, uuid, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.claim_http_request(uuid, text, text, uuid, integer)
  to service_role;

create function credits.claim_answer(
  p_account_id uuid, p_key text, p_fingerprint text, p_claim_id uuid, p_lease_seconds integer
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_until timestamptz := v_now + make_interval(secs => p_lease_seconds);
  -- A run is remembered for longer than its lease: after that it is continued, not begun anew.
  v_expires_at timestamptz := v_until + (select s.stored_answer_retention from credits.settings s);
  v_answer credits.stored_answers;
begin
  -- What has expired is forgotten by the way, a few at a time.
  delete from credits.stored_answers s
  where s.account_id = p_account_id and s.request_key in (
    select e.request_key from credits.stored_answers e
    where e.account_id = p_account_id and e.expires_at <= v_now
      and (e.claimed_until is null or e.claimed_until <= v_now)
    limit 10
    for update skip locked
  );
  insert into credits.stored_answers as s (
    account_id, request_key, fingerprint, claim_id, claimed_until, created_at, expires_at)
  values (p_account_id, p_key, p_fingerprint, p_claim_id, v_until, v_now, v_expires_at)
  on conflict (account_id, request_key) do nothing;

  select s.* into v_answer
  from credits.stored_answers s
  where s.account_id = p_account_id and s.request_key = p_key
  for update;
  if not found then
    -- The request that had it has just given it up.
    return credits.claim_answer(p_account_id, p_key, p_fingerprint, p_claim_id, p_lease_seconds);
  end if;
  if v_answer.fingerprint <> p_fingerprint then
    perform credits.raise_error('idempotency_conflict', '{"differs_in": ["request"]}');
  end if;
  if v_answer.status is not null then
    return jsonb_build_object(
      'state', case when v_answer.body is null then 'not_stored' else 'answered' end,
      'run_id', v_answer.run_id, 'status', v_answer.status, 'headers', v_answer.headers,
      'body', encode(v_answer.body, 'base64'));
  end if;
  if v_answer.claim_id <> p_claim_id and v_answer.claimed_until > v_now then
    return jsonb_build_object('state', 'working', 'run_id', v_answer.run_id);
  end if;
  update credits.stored_answers s
  set claim_id = p_claim_id, claimed_until = v_until, expires_at = v_expires_at
  where s.account_id = p_account_id and s.request_key = p_key;
  return jsonb_build_object('state', 'claimed', 'run_id', v_answer.run_id);
end
$$;
comment on function credits.claim_answer(uuid, text, text, uuid, integer) is
  'One claim on one key: made, renewed, taken over from a server that died, or refused because '
  'another request is at work or has been answered.';
revoke all on function credits.claim_answer(uuid, text, text, uuid, integer)
  from public, anon, authenticated, service_role;

create function credits.check_http_claim(p_key text, p_claim_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_key is null or length(p_key) not between 1 and 255 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_key"}',
      'A key has 1 to 255 characters.');
  end if;
  if p_claim_id is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_claim_id"}',
      'A claim has an id of its own.');
  end if;
end
$$;
comment on function credits.check_http_claim(text, uuid) is
  'Raises invalid_argument for a key or a claim that cannot be one.';
revoke all on function credits.check_http_claim(text, uuid)
  from public, anon, authenticated, service_role;
