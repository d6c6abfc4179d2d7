create function credits.lock_grant(
  p_account_id uuid, p_grant_id uuid, out p_balance credits.balances)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
begin
  select g.credit_type into v_credit_type from public.credit_grants g
  where g.account_id = p_account_id and g.id = p_grant_id;
  if not found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_grant_id', 'value', p_grant_id),
      'This account has no such grant.');
  end if;
  p_balance := credits.lock_balance(p_account_id, v_credit_type);
end
$$;
comment on function credits.lock_grant(uuid, uuid) is
  'Locks the balance that a grant belongs to. Raises invalid_argument when the account has no such '
  'grant.';
revoke all on function credits.lock_grant(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.revoke(
  p_account_id uuid, p_user_id uuid, p_grant_id uuid, p_reason text, p_amount bigint default null)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_grant(p_account_id, p_grant_id);
  v_grant record;
  v_operation_id uuid := gen_random_uuid();
  v_amount bigint;
begin
  if v_balance.account_status = 'closed' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  select g.source, g.voided_at, g.remaining - g.held as free, g.credit_type, g.created_at
    into v_grant
  from public.credit_grants g where g.account_id = p_account_id and g.id = p_grant_id;
  if v_grant.voided_at is not null then
    return credits.answer(v_balance, null, 0)
      || jsonb_build_object('grant_id', p_grant_id, 'replayed', true);
  end if;
  if v_balance.kind = 'limit' and v_grant.source = 'plan' then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_grant_id', 'value', p_grant_id),
      'The allowance of a limit follows from the plan. Change the plan instead.');
  end if;
  if p_amount > v_grant.free then
    perform credits.raise_error('invalid_amount',
      jsonb_build_object('amount', p_amount, 'revocable', v_grant.free),
      'More than a grant has left cannot be taken back.');
  end if;
  v_amount := coalesce(p_amount, v_grant.free);
  if v_amount > 0 then
    v_balance := credits.take_unspent(p_account_id, v_balance, p_grant_id, v_amount, 'void',
      p_user_id, v_operation_id,
      -- A part relates to what issued the grant, which tells it from the end of the grant.
      case when p_amount is not null then (
        select t.operation_id from public.credit_transactions t
        where t.account_id = p_account_id and t.credit_type = v_grant.credit_type
          and t.created_at = v_grant.created_at and t.grant_id = p_grant_id and t.kind = 'grant'
        order by t.version limit 1) end,
      coalesce(p_reason, 'revoked'));
  end if;
  -- A grant of which a part was taken back goes on: what is refunded into it can be spent again.
  if p_amount is null then
    update public.credit_grants g
    set voided_at = v_balance.settled_at, void_reason = coalesce(p_reason, 'revoked')
    where g.account_id = p_account_id and g.id = p_grant_id;
  end if;
  v_balance := credits.save_balance(p_account_id, v_balance);
  return credits.answer(v_balance, v_operation_id, v_amount)
    || jsonb_build_object('grant_id', p_grant_id);
end
$$;
comment on function credits.revoke(uuid, uuid, uuid, text, bigint) is
  'Voids what a grant has left, or p_amount of it. What a live hold has pinned stays with the '
  'hold, and lapses when it is released.';
revoke all on function credits.revoke(uuid, uuid, uuid, text, bigint)
  from public, anon, authenticated, service_role;

create function credits.freeze_grant(p_account_id uuid, p_grant_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_grant(p_account_id, p_grant_id);
begin
  -- A payment that is past due freezes and thaws with the calendar; any other reason outlasts it.
  update public.credit_grants g
  set frozen_at = coalesce(g.frozen_at, v_balance.settled_at), frozen_reason = p_reason
  where g.account_id = p_account_id and g.id = p_grant_id
    and (g.frozen_at is null or g.frozen_reason = 'past_due');
  if not found then
    return false;
  end if;
  perform credits.save_balance(p_account_id, v_balance);
  return true;
end
$$;
comment on function credits.freeze_grant(uuid, uuid, text) is
  'Keeps what a grant has left from being spent, for a reason in words: a payment is disputed. '
  'Says whether it is frozen for this reason now; one that is frozen for another one keeps that.';
revoke all on function credits.freeze_grant(uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.thaw_grant(p_account_id uuid, p_grant_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_grant(p_account_id, p_grant_id);
begin
  update public.credit_grants g set frozen_at = null, frozen_reason = null
  where g.account_id = p_account_id and g.id = p_grant_id and g.frozen_reason = p_reason;
  if not found then
    return false;
  end if;
  -- Where a payment is past due, that freezes it from now on.
  perform credits.apply_due(p_account_id, v_balance);
  return true;
end
$$;
comment on function credits.thaw_grant(uuid, uuid, text) is
  'Lets a grant be spent again that was frozen for this reason. Says whether it was.';
revoke all on function credits.thaw_grant(uuid, uuid, text)
  from public, anon, authenticated, service_role;

-- edge: result=Grant callers=service_role repeatable-without=amount
--   Take back what a grant has left, or ``amount`` of it; the answer's ``amount`` says how much
--   that was.
--
--   What was spent stays spent. A second time changes nothing and answers ``replayed``. Where a
--   part was taken back, the grant goes on.
--
--   Raises:
--       InvalidArgument: the account has no such grant.
--       InvalidAmount: more than it has left.
create function public.revoke_grant(
  p_user_id uuid, p_grant_id uuid, p_reason text default null, p_workspace_id uuid default null,
  p_amount bigint default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(coalesce(p_amount, 1), p_reason, null, null, 'p_reason');
  return credits.respond(credits.revoke(credits.paying_account(p_user_id, p_workspace_id),
    p_user_id,
    p_grant_id, p_reason, p_amount));
end
$$;
comment on function public.revoke_grant(uuid, uuid, text, uuid, bigint) is
  'Takes back what a grant has left, or p_amount of it; amount says how much that was. What was '
  'spent stays spent. A second time changes nothing and answers replayed.';
revoke all on function public.revoke_grant(uuid, uuid, text, uuid, bigint)
  from public, anon, authenticated, service_role;
grant execute on function public.revoke_grant(uuid, uuid, text, uuid, bigint) to service_role;
