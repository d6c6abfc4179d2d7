create function credits.take(
  p_account_id uuid, inout p_balance credits.balances, p_amount bigint, p_kind credits.entry_kind, p_operation_id uuid, p_user_id uuid,
  p_description text, p_metadata jsonb)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_amount;
  v_take bigint;
  v_grant record;
begin
  for v_grant in
    select g.id, g.remaining - g.held as free
    from public.credit_grants g
    where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.is_open and g.remaining > g.held
      and g.starts_at <= p_balance.settled_at and (g.expires_at is null or g.expires_at > p_balance.settled_at)
      and g.frozen_at is null and (p_balance.allowance is not null or g.source = 'plan')
    order by g.priority, g.expires_at, g.starts_at, g.id
  loop
    v_take := least(v_left, v_grant.free);
    update public.credit_grants g set remaining = g.remaining - v_take, spent = g.spent + v_take
    where g.account_id = p_account_id and g.id = v_grant.id;
    p_balance.version := p_balance.version + 1;
    p_balance.balance := p_balance.balance - v_take;
    insert into public.credit_transactions (
      account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, description, metadata,
      created_at)
    values (
      p_account_id, p_balance.credit_type, p_balance.version, p_operation_id, v_grant.id, p_user_id, p_kind, -v_take,
      p_balance.balance, p_description, p_metadata, p_balance.settled_at);
    v_left := v_left - v_take;
    exit when v_left = 0;
  end loop;
  if v_left > 0 then
    raise exception 'the books of account % disagree: % % credits are missing', p_account_id, v_left, p_balance.credit_type
      using hint = 'Run `sonas verify`. Nothing has been changed.';
  end if;
  p_balance.used := p_balance.used + p_amount;
end
$$;
comment on function credits.take(uuid, credits.balances, bigint, credits.entry_kind, uuid, uuid, text, jsonb) is
  'Spends from the grants in burn order, one ledger row per grant. The caller has made sure that there is enough.';
revoke all on function credits.take(uuid, credits.balances, bigint, credits.entry_kind, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.stock_unlimited(p_account_id uuid, inout p_balance credits.balances, p_amount bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_free bigint;
begin
  if p_balance.allowance is not null then
    return;
  end if;
  select coalesce(sum(g.remaining - g.held), 0) into v_free
  from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = p_balance.credit_type and g.source = 'plan' and g.is_open
    and g.voided_at is null and g.frozen_at is null
    and (g.expires_at is null or g.expires_at > p_balance.settled_at);
  if v_free < p_amount then
    p_balance := (select i.p_balance from credits.issue_allowance(p_account_id, p_balance, p_amount - v_free,
      (select t.plan_id from credits.terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at) t),
      null, gen_random_uuid(), 'unlimited allowance') i);
  end if;
end
$$;
comment on function credits.stock_unlimited(uuid, credits.balances, bigint) is
  'An unlimited allowance is granted as it is spent: puts what is lacking into the plan grant. Does nothing for a counted allowance.';
revoke all on function credits.stock_unlimited(uuid, credits.balances, bigint) from public, anon, authenticated, service_role;

create function credits.consume(
  p_account_id uuid, p_user_id uuid, p_credit_type text, p_amount bigint, p_description text, p_idempotency_key text,
  p_metadata jsonb, p_forced boolean default false)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_operation_id uuid := gen_random_uuid();
  v_request jsonb;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_credit_type);
  if v_balance.account_id is null or v_balance.account_status = 'closed'
     or (v_balance.user_id is null and p_user_id = p_account_id) then
    return null;
  end if;
  if p_idempotency_key is not null then
    v_request := jsonb_build_object('function', 'consume_credits', 'user_id', p_user_id, 'credit_type', p_credit_type,
      'amount', p_amount, 'description', p_description, 'metadata', p_metadata);
    v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
    if v_answer is not null then
      return v_answer;
    end if;
  end if;
  if v_balance.account_status <> 'active' then
    perform credits.raise_error('account_frozen');
  end if;

  if v_balance.allowance is null then
    v_balance := credits.stock_unlimited(p_account_id, v_balance, p_amount);
  elsif v_balance.balance - v_balance.withheld - v_balance.reserved < p_amount then
    if not p_forced then
      return credits.refuse(p_account_id, v_balance, v_operation_id, p_amount, p_user_id, p_description, p_metadata);
    end if;
    v_balance := (select i.p_balance from credits.issue_allowance(p_account_id, v_balance,
      p_amount - (v_balance.balance - v_balance.withheld - v_balance.reserved), null, null, gen_random_uuid(),
      'existed before it was metered') i);
  end if;
  v_balance := credits.take(p_account_id, v_balance, p_amount, 'consume', v_operation_id, p_user_id, p_description, p_metadata);

  update credits.balances b set
    version = v_balance.version, balance = v_balance.balance, used = v_balance.used, settled_at = v_balance.settled_at
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  insert into public.usage (
    account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id, created_at)
  values (
    p_account_id, p_user_id, p_credit_type, p_amount, 'allowed', p_description, p_metadata, v_operation_id, v_balance.settled_at);

  v_answer := credits.answer(v_balance, v_operation_id, p_amount);
  if p_idempotency_key is not null then
    perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer, v_balance.settled_at);
  end if;
  return v_answer;
end
$$;
comment on function credits.consume(uuid, uuid, text, bigint, text, text, jsonb, boolean) is
  'Locks the balance, compares, then spends: all of the amount or nothing. Null when there is no such balance, or when it is a workspace''s and nobody acts for it. p_forced counts what existed before a limit was metered, however many.';
revoke all on function credits.consume(uuid, uuid, text, bigint, text, text, jsonb, boolean)
  from public, anon, authenticated, service_role;

create function public.consume_credits(
  p_user_id uuid, p_credit_type text, p_amount bigint default 1, p_description text default null,
  p_idempotency_key text default null, p_metadata jsonb default '{}', p_workspace_id uuid default null,
  p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_answer jsonb;
begin
  perform credits.check_request(p_amount, p_description, p_idempotency_key, p_metadata);
  if p_workspace_id is null then
    v_answer := credits.consume(p_user_id, p_user_id, p_credit_type, p_amount, p_description, p_idempotency_key,
      coalesce(p_metadata, '{}'));
  end if;
  -- A person who has the balance is the common case and costs no look-up; every other one is sorted out here.
  if v_answer is null then
    v_answer := credits.consume(credits.paying_account(p_user_id, p_workspace_id, coalesce(p_credit_type, '')), p_user_id,
      p_credit_type, p_amount, p_description, p_idempotency_key, coalesce(p_metadata, '{}'));
  end if;
  if v_answer ->> 'code' <> 'ok' then
    return credits.deny(v_answer, p_strict);
  end if;
  return v_answer;
end
$$;
comment on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean) is
  'Spends p_amount whole credits, all or nothing. Answers a JSON object; running out is an answer (success false, HTTP 402) and is on record in usage, unless p_strict raises it. The same p_idempotency_key takes effect once.';
revoke all on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.consume_credits(uuid, text, bigint, text, text, jsonb, uuid, boolean) to service_role;
