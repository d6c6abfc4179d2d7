create function credits.grant_to(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_source text, p_description text,
  p_expires_at timestamptz, p_idempotency_key text, p_metadata jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_operation_id uuid := gen_random_uuid();
  v_issued record;
  v_request jsonb := jsonb_build_object('function', 'grant_credits', 'user_id', p_user_id, 'credit_type', p_credit_type,
    'amount', p_amount, 'source', p_source, 'description', p_description, 'expires_at', p_expires_at, 'metadata', p_metadata);
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_credit_type);
  if v_balance.account_status = 'closed' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  if p_expires_at <= v_balance.settled_at or not isfinite(p_expires_at) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_expires_at', 'now', v_balance.settled_at),
      'A grant expires in the future, or never (null).');
  end if;
  if v_balance.kind = 'limit' and p_expires_at is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_expires_at'),
      'A limit counts what exists, so what is granted to it never expires.');
  end if;
  v_issued := credits.issue(p_account_id, v_balance, p_user_id, v_operation_id, p_source, p_amount, v_balance.settled_at,
    p_expires_at, null, p_description, p_metadata);
  -- Settled, for what is frozen now freezes what comes in, too.
  v_balance := credits.apply_due(p_account_id, v_issued.p_balance);
  v_answer := credits.answer(v_balance, v_operation_id, p_amount)
    || jsonb_build_object('grant_id', v_issued.p_grant_id);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer, v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.grant_to(uuid, uuid, text, bigint, text, text, timestamptz, text, jsonb) is
  'Issues a grant beside the plan''s allowance.';
revoke all on function credits.grant_to(uuid, uuid, text, bigint, text, text, timestamptz, text, jsonb)
  from public, anon, authenticated, service_role;

-- edge: result=Grant callers=service_role keyed
--   Give ``amount`` credits beside the allowance, until ``expires_at`` (None: for ever).
--
--   ``source`` is rollover, trial, promotion, compensation, top_up or goodwill, and decides the
--   order of spending.
--
--   Raises:
--       InvalidArgument: another source, or an ``expires_at`` that is past or for a limit.
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound, UnknownCreditType, InvalidAmount.
create function public.grant_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_source text default 'promotion', p_description text default null,
  p_expires_at timestamptz default null, p_idempotency_key text default null, p_metadata jsonb default '{}',
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(p_amount, p_description, p_idempotency_key, p_metadata);
  if not exists (select from credits.grant_sources s where s.id = p_source and s.may_be_granted) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_source', 'value', p_source, 'known', (
      select jsonb_agg(s.id order by s.id) from credits.grant_sources s where s.may_be_granted)),
      'The source says where the credits come from; the plan''s allowance is granted by the calendar alone.');
  end if;
  return credits.grant_to(credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, '')), p_user_id,
    p_credit_type, p_amount, p_source, p_description, p_expires_at, p_idempotency_key, coalesce(p_metadata, '{}'));
end
$$;
comment on function public.grant_credits(uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid) is
  'Gives an account p_amount whole credits beside its allowance, until p_expires_at (null: for ever). Answers grant_id. p_source: rollover, trial, promotion, compensation, top_up or goodwill.';
revoke all on function public.grant_credits(uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.grant_credits(uuid, text, bigint, text, text, timestamptz, text, jsonb, uuid) to service_role;
