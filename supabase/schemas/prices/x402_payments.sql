-- Payments that agents make for a call (x402). A signature is one payment, whoever presents it and
-- however often: its row is claimed first, settled with the facilitator outside of any transaction,
-- and pays for one run of one request.

create table credits.x402_payments (
  payment_key text not null constraint x402_payments_pkey primary key,
  account_id uuid not null,
  user_id uuid not null,
  workspace_id uuid,
  payer text not null,
  network text not null,
  asset text not null,
  paid numeric not null,
  credit_type text not null,
  credits bigint not null,
  request_hash text not null,
  state text not null default 'claimed',
  claim_id uuid,
  claimed_at timestamptz not null,
  transaction text,
  pack_id text,
  identifier text,
  presented jsonb,
  created_at timestamptz not null default clock_timestamp(),
  constraint x402_payments_state_is_known
    check (state in ('claimed', 'unknown', 'failed', 'settled', 'served')),
  constraint x402_payments_settled_has_a_transaction
    check ((state in ('settled', 'served')) = (transaction is not null))
);
comment on table credits.x402_payments is
  'Payments of agents, by network, asset, payer and nonce: claimed, then settled or failed '
  '(unknown while the facilitator has not said), then served.';
comment on column credits.x402_payments.claim_id is
  'Who works on it: settles it, or runs the request that it pays for.';
comment on column credits.x402_payments.identifier is
  'What the agent calls it (payment-identifier): another signature under the same name pays for '
  'nothing.';
comment on column credits.x402_payments.presented is
  'What was signed and for which offer, until it is known whether it was settled.';
create index x402_payments_account_id_identifier_idx on credits.x402_payments
  (account_id, identifier) where identifier is not null;
create index x402_payments_unknown_idx on credits.x402_payments (claimed_at)
  where state in ('claimed', 'unknown');
alter table credits.x402_payments enable row level security;
revoke all on table credits.x402_payments from public, anon, authenticated, service_role;

-- edge: result=X402Claim callers=service_role
--   Claim a payment for a request: to settle it, or once it is settled to run the request, once.
--
--   ``claim_id`` is None for who has to leave it to another. Without ``user_id`` the account is one
--   of kind payer, of this address, which is opened for it. With ``pack_id`` the credits are those
--   of the pack, for an account that keeps them. What was paid under ``identifier`` before is
--   answered, and nothing is claimed.
--
--   Raises:
--       AccountNotFound, UnknownCreditType, InvalidAmount, InvalidArgument.
create function public.claim_x402_payment(
  p_payment_key text, p_payer text, p_request_hash text, p_credit_type text, p_amount bigint,
  p_network text default null, p_asset text default null, p_paid_amount numeric default null,
  p_pack_id text default null, p_identifier text default null, p_presented jsonb default null,
  p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_user_id uuid := coalesce(p_user_id, credits.payer_id(p_network, p_payer));
  v_account_id uuid;
  v_payment credits.x402_payments;
  v_claim_id uuid := gen_random_uuid();
  v_credits bigint := credits.credits_for(p_pack_id, p_credit_type, p_amount, p_user_id);
begin
  perform credits.check_request(p_amount, null, null, null);
  perform credits.check_payment(p_payment_key, p_payer, p_network, p_asset, p_paid_amount,
    p_request_hash, p_presented);
  if p_user_id is null then
    perform credits.open_payer(v_user_id);
  end if;
  v_account_id := credits.paying_account(v_user_id, p_workspace_id, coalesce(p_credit_type, ''));
  v_payment := credits.paid_under(v_account_id, p_identifier, p_payment_key);
  if v_payment.payment_key is not null then
    return credits.payment_state(v_payment, null, v_account_id, p_request_hash);
  end if;
  insert into credits.x402_payments as x (payment_key, account_id, user_id, workspace_id, payer,
    network, asset, paid, credit_type, credits, request_hash, claim_id, claimed_at, pack_id,
    identifier, presented)
  values (p_payment_key, v_account_id, v_user_id, p_workspace_id, lower(p_payer), p_network,
    lower(p_asset), p_paid_amount, p_credit_type, v_credits, p_request_hash, v_claim_id, v_now,
    p_pack_id, p_identifier, p_presented)
  on conflict (payment_key) do update set claim_id = v_claim_id, claimed_at = v_now,
    account_id = excluded.account_id, user_id = excluded.user_id,
    workspace_id = excluded.workspace_id, request_hash = excluded.request_hash,
    paid = excluded.paid, credit_type = excluded.credit_type, credits = excluded.credits,
    pack_id = excluded.pack_id, identifier = excluded.identifier, presented = excluded.presented,
    state = case x.state when 'failed' then 'claimed' else x.state end
    -- Where no money has moved, anybody may try. Else who works on it keeps it for two minutes,
    -- and then it is taken up where it was left.
    where x.state = 'failed' or x.request_hash = p_request_hash and x.account_id = v_account_id
      and x.state in ('claimed', 'unknown', 'settled')
      and (x.claim_id is null or x.claimed_at < v_now - interval '2 minutes')
  returning x.* into v_payment;
  if not found then
    select x.* into v_payment from credits.x402_payments x where x.payment_key = p_payment_key;
    v_claim_id := null;
  end if;
  return credits.payment_state(v_payment, v_claim_id, v_account_id, p_request_hash);
end
$$;
comment on function public.claim_x402_payment(
  text, text, text, text, bigint, text, text, numeric, text, text, jsonb, uuid, uuid) is
  'Claims an agent''s payment for one request. Answers its state and claim_id, which is null while '
  'another one works on it, or it was used up. Without p_user_id it pays from an account of kind '
  'payer.';
revoke all on function public.claim_x402_payment(
  text, text, text, text, bigint, text, text, numeric, text, text, jsonb, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.claim_x402_payment(
  text, text, text, text, bigint, text, text, numeric, text, text, jsonb, uuid, uuid)
  to service_role;

create function credits.payment_state(
  p_payment credits.x402_payments, p_claim_id uuid, p_account_id uuid, p_request_hash text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'state', p_payment.state, 'claim_id', p_claim_id, 'user_id', p_payment.user_id,
    'same_request', p_payment.request_hash = p_request_hash
      and p_payment.account_id = p_account_id));
end
$$;
comment on function credits.payment_state(credits.x402_payments, uuid, uuid, text) is
  'The answer to who claims a payment.';
revoke all on function credits.payment_state(credits.x402_payments, uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.credits_for(
  p_pack_id text, p_credit_type text, p_amount bigint, p_user_id uuid)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_pack public.credit_packs;
begin
  if p_pack_id is null then
    return p_amount;
  end if;
  select * into v_pack from public.credit_packs p where p.id = p_pack_id;
  -- A payer's account spends nothing but for the call that was paid for, so it keeps no pack.
  if not found or v_pack.credit_type is distinct from p_credit_type or p_user_id is null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_pack_id',
      'pack_id', p_pack_id), 'It is a pack of this credit type, for an account that keeps it.');
  end if;
  return v_pack.credits;
end
$$;
comment on function credits.credits_for(text, text, bigint, uuid) is
  'How many credits a payment is for: those of the pack, else the amount.';
revoke all on function credits.credits_for(text, text, bigint, uuid)
  from public, anon, authenticated, service_role;

create function credits.paid_under(p_account_id uuid, p_identifier text, p_payment_key text)
returns credits.x402_payments
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment credits.x402_payments;
begin
  if p_identifier is not null then
    if p_identifier !~ '^[A-Za-z0-9_-]{16,128}$' then
      perform credits.refuse_argument('p_identifier',
        'A payment is called by 16 to 128 letters, digits, hyphens and underscores.');
    end if;
    -- One after the other, so that two signatures under one name are seen.
    perform 1 from credits.accounts a where a.account_id = p_account_id for no key update;
    select * into v_payment from credits.x402_payments x
    where x.account_id = p_account_id and x.identifier = p_identifier
      and x.payment_key <> p_payment_key and x.state <> 'failed' limit 1;
  end if;
  return v_payment;
end
$$;
comment on function credits.paid_under(uuid, text, text) is
  'Another payment of the account under the same name that was not refused.';
revoke all on function credits.paid_under(uuid, text, text)
  from public, anon, authenticated, service_role;

create function credits.check_payment(
  p_payment_key text, p_payer text, p_network text, p_asset text, p_paid_amount numeric,
  p_request_hash text, p_presented jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if jsonb_typeof(p_presented) <> 'object' or octet_length(p_presented::text) > 32768 then
    perform credits.refuse_argument('p_presented',
      'What was presented is an object of at most 32 kB.');
  end if;
  if coalesce(length(p_payment_key) between 10 and 500 and length(p_payer) between 1 and 200
      and length(p_network) between 1 and 100 and length(p_asset) between 1 and 200
      and p_paid_amount > 0 and p_paid_amount < 1e30
      and length(p_request_hash) between 16 and 128, false) is not true then
    perform credits.raise_error('invalid_argument', '{"argument": "p_payment_key"}',
      'A payment has a key, a payer, a network, an amount above 0 and the hash of a request.');
  end if;
end
$$;
comment on function credits.check_payment(text, text, text, text, numeric, text, jsonb) is
  'Raises invalid_argument for what is no payment.';
revoke all on function credits.check_payment(text, text, text, text, numeric, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.payer_id(p_network text, p_payer text)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- An address is the same payer on every network of its family.
  return left(encode(sha256(convert_to('payer:' || split_part(p_network, ':', 1) || ':'
    || lower(p_payer), 'UTF8')), 'hex'), 32)::uuid;
end
$$;
comment on function credits.payer_id(text, text) is 'The account of who pays from an address.';
revoke all on function credits.payer_id(text, text) from public, anon, authenticated, service_role;

create function credits.open_payer(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- It has no free credits of its own, or an address would be worth some.
  insert into credits.accounts (account_id, kind, is_elsewhere, free_credits)
  values (p_account_id, 'payer', true, 'other_account') on conflict (account_id) do nothing;
  if found then
    perform credits.open_account(p_account_id, 'payer');
  end if;
end
$$;
comment on function credits.open_payer(uuid) is
  'Opens the account of a payer, without free credits.';
revoke all on function credits.open_payer(uuid) from public, anon, authenticated, service_role;

-- edge: result=X402Payment callers=service_role repeatable
--   Say how a payment that was claimed has ended: ``settled`` grants its credits, once.
--
--   ``failed``: the facilitator refused it. ``unknown``: it has not answered. ``served``: the
--   request was. ``open``: it was not, and may be run again.
--
--   Raises:
--       InvalidArgument: no such claim, or not from this state.
create function public.finish_x402_payment(
  p_payment_key text, p_claim_id uuid, p_state text, p_transaction text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_payment credits.x402_payments;
  v_now timestamptz := clock_timestamp();
begin
  select x.* into v_payment from credits.x402_payments x
  where x.payment_key = p_payment_key and x.claim_id = p_claim_id for update;
  if not found or coalesce(case p_state
      when 'settled' then v_payment.state in ('claimed', 'unknown', 'settled')
        and length(p_transaction) between 1 and 200
      when 'failed' then v_payment.state in ('claimed', 'unknown')
      when 'unknown' then v_payment.state in ('claimed', 'unknown')
      when 'served' then v_payment.state = 'settled'
      when 'open' then v_payment.state = 'settled' end, false) is not true then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_claim_id',
      'state', v_payment.state), 'This payment is not claimed by it, or cannot end so.');
  end if;
  if p_state = 'settled' and v_payment.state <> 'settled' then
    perform public.grant_credits(v_payment.user_id, v_payment.credit_type, v_payment.credits,
      'top_up', 'Paid by ' || v_payment.payer, p_idempotency_key => p_payment_key,
      p_expires_at => (
        select v_now + p.expires_after from public.credit_packs p where p.id = v_payment.pack_id),
      p_metadata => jsonb_build_object('transaction', p_transaction, 'network', v_payment.network),
      p_workspace_id => v_payment.workspace_id);
  end if;
  update credits.x402_payments x set
    state = case p_state when 'open' then 'settled' else p_state end,
    transaction = coalesce(p_transaction, x.transaction),
    claim_id = case when p_state = 'settled' then x.claim_id end,
    presented = case when p_state = 'unknown' then x.presented end,
    claimed_at = v_now
  where x.payment_key = p_payment_key;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'state', p_state,
    'transaction', coalesce(p_transaction, v_payment.transaction)));
end
$$;
comment on function public.finish_x402_payment(text, uuid, text, text) is
  'Ends a claim: settled grants the credits in the same transaction, failed and unknown grant '
  'nothing, served closes the payment, open lets the same request run again.';
revoke all on function public.finish_x402_payment(text, uuid, text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.finish_x402_payment(text, uuid, text, text) to service_role;
