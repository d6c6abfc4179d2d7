-- What the edge functions share: who pays, is the request well formed, what does an answer look
-- like.

create function credits.check_request(
  p_amount bigint, p_description text, p_idempotency_key text, p_metadata jsonb,
  p_text_argument text default 'p_description')
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Each expression that a call comes by costs it time, so one says that all is well, and the
  -- others what is not.
  if p_amount between 1 and 9007199254740992 and coalesce(length(p_description) <= 2000, true)
     and coalesce(length(p_idempotency_key) between 1 and 255, true)
     and coalesce(p_metadata = '{}', true) then
    return jsonb '{}';
  end if;
  if p_amount is null or p_amount < 1 or p_amount > 9007199254740992 then
    perform credits.raise_error('invalid_amount', jsonb_build_object('amount', p_amount));
  end if;
  if length(p_description) > 2000 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', p_text_argument),
      'A text has at most 2000 characters.');
  end if;
  if length(p_idempotency_key) not between 1 and 255 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_idempotency_key"}',
      'An idempotency key has 1 to 255 characters.');
  end if;
  if jsonb_typeof(p_metadata) <> 'object' then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata"}',
      'Metadata is a JSON object.');
  end if;
  if octet_length(p_metadata::text) > 65536 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata"}',
      'Metadata has at most 65536 bytes.');
  end if;
  return coalesce(p_metadata, '{}');
end
$$;
comment on function credits.check_request(bigint, text, text, jsonb, text) is
  'Raises invalid_amount or invalid_argument for what no operation accepts, and answers the '
  'metadata. Null is a missing description, key or metadata.';
revoke all on function credits.check_request(bigint, text, text, jsonb, text)
  from public, anon, authenticated, service_role;

create function credits.paying_account(p_user_id uuid, p_workspace_id uuid default null,
  p_credit_type text default null)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
  v_status text;
begin
  if p_user_id is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_user_id"}',
      'Pass the id of the acting user.');
  end if;
  -- A member whose own account is gone is one no longer, whether or not the membership has been
  -- ended.
  if p_workspace_id is not null and (not exists (
      select 1 from public.credit_workspace_members m where m.account_id = p_workspace_id
        and m.user_id = p_user_id)
    or exists (
      select 1 from credits.accounts a where a.account_id = p_user_id
        and not credits.is_living(p_user_id))) then
    perform credits.raise_error('account_not_found',
      jsonb_build_object('user_id', p_user_id, 'workspace_id', p_workspace_id));
  end if;

  select b.account_status into v_status from credits.balances b
  where b.account_id = v_account_id and (p_credit_type is null or b.credit_type = p_credit_type)
  limit 1;
  if not found or v_status = 'closed' then
    -- The sign-up trigger may have failed, or the credit type is younger than the account: mend it
    -- now.
    if p_credit_type is not null and not exists (select from credits.credit_types t
      where t.id = p_credit_type) then
      perform credits.raise_error('unknown_credit_type',
        jsonb_build_object('credit_type', p_credit_type,
        'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
    end if;
    if not credits.is_living(v_account_id) then
      perform credits.raise_error('account_not_found',
        jsonb_build_object('user_id', p_user_id, 'workspace_id', p_workspace_id));
    end if;
    perform credits.open_account(v_account_id, case when p_workspace_id is null then 'person'
      else 'workspace' end);
    select a.status into v_status from credits.accounts a where a.account_id = v_account_id;
  end if;
  if v_status = 'closed' or not credits.is_living(v_account_id)
     or (p_workspace_id is null and exists (
       select from credits.accounts a where a.account_id = v_account_id
         and a.kind = 'workspace')) then
    perform credits.raise_error('account_not_found',
      jsonb_build_object('user_id', p_user_id, 'workspace_id', p_workspace_id));
  end if;
  return v_account_id;
end
$$;
comment on function credits.paying_account(uuid, uuid, text) is
  'The account that pays: the workspace when one is named and the user is its member, else the '
  'user. Opens an account that is missing. Raises account_not_found, unknown_credit_type, '
  'invalid_argument.';
revoke all on function credits.paying_account(uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.require_spender(p_account_id uuid, p_user_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_role text;
begin
  select m.role into v_role from public.credit_workspace_members m
  where m.account_id = p_account_id and m.user_id = p_user_id;
  if v_role is null then
    perform credits.raise_error('account_not_found', jsonb_build_object(
      'user_id', p_user_id, 'workspace_id', p_account_id));
  elsif v_role = 'viewer' then
    perform credits.raise_error('forbidden', '{"role": "viewer"}',
      'A viewer reads and spends nothing. Ask an owner or an admin of the workspace.');
  end if;
end
$$;
comment on function credits.require_spender(uuid, uuid) is
  'Raises account_not_found or forbidden for who may not spend from a workspace. Call it with the '
  'balance locked: a member who was removed meanwhile is one no longer.';
revoke all on function credits.require_spender(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.available(p_balance credits.balances)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case when p_balance.allowance is not null then p_balance.balance - p_balance.withheld
    - p_balance.reserved end;
end
$$;
comment on function credits.available(credits.balances) is
  'What a settled balance has to spend: what its grants hold, less what is withheld and what live '
  'holds have pinned. Null while it is unlimited. The fast roads compare the same in the '
  'statement that charges.';
revoke all on function credits.available(credits.balances)
  from public, anon, authenticated, service_role;

create function credits.answer(p_balance credits.balances, p_operation_id uuid, p_amount bigint)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', p_operation_id, 'credit_type',
    p_balance.credit_type,
    'amount', p_amount,
    'remaining', credits.available(p_balance),
    'limit', p_balance.allowance, 'used', p_balance.used,
    'reserved', p_balance.reserved + p_balance.reserved_unlimited,
    'unlimited', p_balance.allowance is null, 'period_end', p_balance.period_end, 'replayed',
    false);
end
$$;
comment on function credits.answer(credits.balances, uuid, bigint) is
  'The answer of an operation that took effect.';
revoke all on function credits.answer(credits.balances, uuid, bigint)
  from public, anon, authenticated, service_role;

create function credits.refuse(
  p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_amount bigint,
  p_user_id uuid, p_description text,
  p_metadata jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.log_denial(p_account_id, p_balance, p_operation_id, p_amount,
    credits.available(p_balance), p_user_id,
    p_description, p_metadata);
  return credits.denial(p_account_id, p_balance, p_operation_id, p_amount);
end
$$;
comment on function credits.refuse(uuid, credits.balances, uuid, bigint, uuid, text, jsonb) is
  'Puts a denial on record in usage, and answers it.';
revoke all on function credits.refuse(uuid, credits.balances, uuid, bigint, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.log_denial(
  p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_required bigint,
  p_available bigint, p_user_id uuid,
  p_description text, p_metadata jsonb, p_budget jsonb default null)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  -- Denials cost the caller nothing, so a row of them is small: what explains it, whatever came
  -- along.
  v_metadata jsonb := case when octet_length(p_metadata::text) <= 400 then p_metadata
    else jsonb_strip_nulls(jsonb_build_object('actor', left(p_metadata ->> 'actor', 40),
      'operator', left(p_metadata ->> 'operator', 40), 'is_shortened', true)) end;
begin
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id,
      created_at)
  values (
    p_account_id, p_user_id, p_balance.credit_type, 0, 'denied',
    case when octet_length(p_description) <= 240 then p_description
      else left(p_description, 59) || '…' end,
    v_metadata || jsonb_build_object('required', p_required, 'available', p_available) || case
      when p_budget is null
      then '{}'
        else jsonb_build_object('budget',
        p_budget - '{scope, scope_value, hours, frees}'::text[]) end,
    p_operation_id, p_balance.settled_at);
end
$$;
comment on function credits.log_denial(uuid, credits.balances, uuid, bigint, bigint, uuid, text,
  jsonb, jsonb) is
  'Puts a denial on record in usage with what was asked and what there was, within 1 kB: long '
  'words are cut, large metadata is left out.';
revoke all on function credits.log_denial(uuid, credits.balances, uuid, bigint, bigint, uuid, text,
  jsonb, jsonb)
  from public, anon, authenticated, service_role;

create function credits.denial(p_account_id uuid, p_balance credits.balances, p_operation_id uuid,
  p_amount bigint)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select credits.answer(p_balance, p_operation_id, p_amount) || jsonb_build_object(
    'success', false,
    'code', case p_balance.kind when 'limit' then 'limit_reached' else 'insufficient_credits' end,
    'details', jsonb_build_object(
      'operation_id', p_operation_id,
      'required', p_amount,
      'available', credits.available(p_balance),
      'resets_at', credits.renews_at(p_account_id, p_balance.credit_type, p_balance.period_end),
      'plan', n.plan_id, 'next_step', credits.next_step(n.plan_id, p_balance.credit_type))
      || case when p_balance.allowance = 0 and f.free_credits <> 'own'
        then jsonb_build_object('free_credits', f.free_credits) else '{}' end
      || (select jsonb_build_object('workspace_id', a.account_id) from credits.accounts a
        where a.account_id = p_account_id and a.kind = 'workspace'
        union all select '{}' limit 1)
      || (select case when d.open > 0 then jsonb_build_object('debt', d.open) else '{}' end
        from credits.debt_of(p_account_id, p_balance.credit_type) d(open)))
  from (
    select (select t.plan_id
      from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at) t)
      as plan_id) n
  cross join (select credits.free_credits_of(p_account_id) as free_credits) f
$$;
comment on function credits.denial(uuid, credits.balances, uuid, bigint) is
  'The answer of an operation that cannot be had: what it required, what there is, when it '
  'renews, on which plan.';
revoke all on function credits.denial(uuid, credits.balances, uuid, bigint)
  from public, anon, authenticated, service_role;

create function credits.explain_denial(p_answer jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select p_answer || jsonb_build_object(
    'message', case p_answer ->> 'code'
      when 'limit_reached'
        then format('The limit of the plan %s is reached: %s more %s wanted, %s left.',
        p_answer #>> '{details,plan}', p_answer #>> '{details,required}',
        p_answer ->> 'credit_type', p_answer #>> '{details,available}')
      when 'member_cap_reached' then credits.budget_words(p_answer)
      else format('Not enough %s credits: %s required, %s available.',
        p_answer ->> 'credit_type', p_answer #>> '{details,required}',
        p_answer #>> '{details,available}') end,
    'hint', credits.denial_hint(p_answer, s.upgrade_url),
    'details', (p_answer -> 'details') || jsonb_build_object('upgrade_url',
      credits.upgrade_url((p_answer #>> '{details,workspace_id}')::uuid)))
  from credits.settings s
$$;
comment on function credits.explain_denial(jsonb) is
  'Adds to a denial what people need: a message, a hint, and where to upgrade.';
revoke all on function credits.explain_denial(jsonb) from public, anon, authenticated, service_role;

create function credits.denial_hint(p_answer jsonb, p_upgrade_url text)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when p_answer ->> 'code' = 'member_cap_reached' then credits.budget_hint(p_answer)
    when d.free_credits = 'anonymous'
    then format('Sign up to get free credits, or upgrade at %s.', p_upgrade_url)
    when d.free_credits = 'other_account'
    then format('Another account of yours has the free credits. Use that one, or upgrade at %s.',
      p_upgrade_url)
    else upper(left(w.ways, 1)) || substr(w.ways, 2) || '.' end
  from (
    select case when p_answer ->> 'code' = 'insufficient_credits'
        then p_answer #>> '{details,free_credits}' end as free_credits,
      (p_answer #>> '{details,resets_at}')::timestamptz as resets_at,
      case p_answer #>> '{details,next_step}'
        when 'upgrade' then 'upgrade at ' || p_upgrade_url
        when 'buy_credits' then 'buy credits at ' || p_upgrade_url end
        || case when p_answer #>> '{details,workspace_id}' is null then ''
          else ', as owners and admins of the workspace may' end as more) d
  cross join lateral (
    select coalesce(nullif(concat_ws(', or ', d.more, case
      when d.resets_at is not null then format('wait until %s UTC, when the allowance renews',
        to_char(d.resets_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))
      when p_answer ->> 'code' = 'limit_reached'
      then 'delete something that counts towards the limit' end), ''),
      'ask those who run this app') as ways) w
$$;
comment on function credits.denial_hint(jsonb, text) is
  'What people can do who are denied: the next step, wait, or delete something.';
revoke all on function credits.denial_hint(jsonb, text)
  from public, anon, authenticated, service_role;

create function credits.deny(p_answer jsonb, p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_answer jsonb := credits.explain_denial(p_answer);
begin
  if p_strict then
    -- What is raised leaves no record, so there is no operation to ask about.
    perform credits.raise_error(v_answer ->> 'code', (v_answer -> 'details') - 'operation_id',
      v_answer ->> 'hint');
  end if;
  -- Through PostgREST this is a 402 whose transaction commits, so that the denial stays on record.
  perform set_config('response.status', '402', true);
  return v_answer;
end
$$;
comment on function credits.deny(jsonb, boolean) is
  'Answers a denial with HTTP status 402 and commits; in strict mode raises it instead, so that '
  'the caller''s own writes do not survive.';
revoke all on function credits.deny(jsonb, boolean) from public, anon, authenticated, service_role;

create function credits.respond(p_answer jsonb, p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_answer ->> 'code' <> 'ok' then
    return credits.deny(p_answer, p_strict);
  end if;
  -- A denial earlier in this transaction is not how this call ended. An empty status leaves
  -- PostgREST its own.
  if current_setting('response.status', true) = '402' then
    perform set_config('response.status', '', true);
  end if;
  return p_answer;
end
$$;
comment on function credits.respond(jsonb, boolean) is
  'How a public function answers: a denial with status 402, a success without the 402 of a denial '
  'before it. A host''s own status stays.';
revoke all on function credits.respond(jsonb, boolean)
  from public, anon, authenticated, service_role;
