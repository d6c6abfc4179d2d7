-- edge: result=BillingOrder callers=service_role keyed
--   Write down what an account is about to buy, before the payment provider is asked for a page.
--
--   ``pack_id`` times ``quantity``, or a ``plan_id`` by the ``interval`` (month or year). Amounts
--   are in the smallest unit of ``currency``, tax excluded. ``livemode`` says whose prices are
--   meant, test or live; None takes live ones once one is registered, as :meth:`list_plans` does.
--
--   Raises:
--       InvalidArgument: no such pack or plan, or no price of it.
--       Forbidden: the member of a workspace is neither an owner nor an admin.
--       IdempotencyConflict: the key belongs to another request.
--       AccountNotFound.
create function public.create_billing_order(
  p_user_id uuid, p_pack_id text default null, p_quantity integer default 1,
  p_idempotency_key text default null, p_workspace_id uuid default null,
  p_plan_id text default null, p_interval text default 'month', p_livemode boolean default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_order credits.billing_orders;
begin
  perform credits.check_request(1, null, p_idempotency_key, null);
  if p_quantity is null or p_quantity not between 1 and 1000 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_quantity', 'value', p_quantity),
      'The quantity is 1 to 1000.');
  end if;
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  perform credits.check_buyer(v_account_id, p_user_id);
  v_order.account_id := v_account_id;
  v_order.user_id := p_user_id;
  v_order.quantity := p_quantity;
  v_order := case when p_plan_id is null
    then credits.order_of_pack(v_order, p_pack_id, p_livemode)
    else credits.order_of_plan(v_order, p_pack_id, p_plan_id, p_interval, p_livemode) end;
  return credits.respond(
    credits.create_order(v_account_id, v_order, p_idempotency_key, p_livemode));
end
$$;
comment on function public.create_billing_order(
  uuid, text, integer, text, uuid, text, text, boolean) is
  'Writes down what an account is about to buy, before the provider is asked: p_quantity packs, '
  'or a plan by the month or year. Answers order_id, credits and amounts.';
revoke all on function public.create_billing_order(
  uuid, text, integer, text, uuid, text, text, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.create_billing_order(
  uuid, text, integer, text, uuid, text, text, boolean) to service_role;

create function credits.check_buyer(p_account_id uuid, p_user_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if credits.only_actor(p_account_id, p_user_id) is not null then
    perform credits.raise_error('forbidden',
      jsonb_build_object('user_id', p_user_id, 'workspace_id', p_account_id),
      'Only an owner or an admin buys for a workspace.');
  end if;
end
$$;
comment on function credits.check_buyer(uuid, uuid) is
  'Raises forbidden unless the person may buy for the account.';
revoke all on function credits.check_buyer(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.order_of_pack(
  p_order credits.billing_orders, p_pack_id text, p_livemode boolean)
returns credits.billing_orders
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders := p_order;
  v_pack public.credit_packs;
begin
  select * into v_pack from public.credit_packs k where k.id = p_pack_id;
  if not found then
    perform credits.refuse_pack(p_pack_id);
  end if;
  if v_pack.credits > 9007199254740992 / v_order.quantity then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_quantity', 'value', v_order.quantity),
      'That is more than an account can hold.');
  end if;
  v_order.kind := coalesce(v_order.kind, 'pack');
  v_order.pack_id := v_pack.id;
  v_order.credit_type := v_pack.credit_type;
  v_order.credits := v_pack.credits * v_order.quantity;
  v_order.expires_after := v_pack.expires_after;
  v_order.currency := v_pack.currency;
  v_order.price_id := credits.price_of_pack(v_pack.id, v_pack.currency, p_livemode);
  v_order.unit_amount := credits.amount_of_pack(v_pack.id, p_livemode);
  return v_order;
end
$$;
comment on function credits.order_of_pack(credits.billing_orders, text, boolean) is
  'An order of packs, at what they are sold for now.';
revoke all on function credits.order_of_pack(credits.billing_orders, text, boolean)
  from public, anon, authenticated, service_role;

create function credits.order_of_plan(
  p_order credits.billing_orders, p_pack_id text, p_plan_id text, p_interval text,
  p_livemode boolean)
returns credits.billing_orders
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders := p_order;
begin
  if p_pack_id is not null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_pack_id"}',
      'An order buys either a plan or packs.');
  end if;
  if not exists (
    select 1 from public.plans p where p.id = p_plan_id and p.price_cents > 0) then
    perform credits.refuse_plan(p_plan_id);
  end if;
  if p_interval is null or p_interval not in ('month', 'year') then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_interval', 'value', p_interval),
      'A plan is paid by the month or by the year.');
  end if;
  select b.price_id, b.currency, b.unit_amount
    into v_order.price_id, v_order.currency, v_order.unit_amount
  from credits.billing_prices b join public.plans p on p.id = b.plan_id
  where b.plan_id = p_plan_id and b.billing_interval = p_interval and b.valid_to is null
    and b.livemode = credits.sold_mode(p_livemode)
  order by b.currency = p.currency desc, b.currency limit 1;
  if not found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_interval', 'value', p_interval),
      'This plan has no such price; list_plans lists them.');
  end if;
  v_order.kind := 'plan';
  v_order.plan_id := p_plan_id;
  v_order.billing_interval := p_interval;
  return v_order;
end
$$;
comment on function credits.order_of_plan(credits.billing_orders, text, text, text, boolean) is
  'An order of a plan, at its price by the month or the year.';
revoke all on function credits.order_of_plan(credits.billing_orders, text, text, text, boolean)
  from public, anon, authenticated, service_role;

create function credits.create_order(
  p_account_id uuid, p_order credits.billing_orders, p_idempotency_key text, p_livemode boolean)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_id uuid := gen_random_uuid();
  v_order credits.billing_orders := p_order;
  v_answer jsonb;
  v_request jsonb := jsonb_build_object('function', 'create_billing_order',
    'user_id', p_order.user_id, 'pack_id', p_order.pack_id, 'plan_id', p_order.plan_id,
    'interval', p_order.billing_interval, 'quantity', p_order.quantity, 'livemode', p_livemode);
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  end if;
  v_order.id := v_id;
  perform credits.insert_order(p_account_id, v_order, v_now);
  v_answer := credits.order_answer(p_account_id, v_id);
  perform credits.remember(p_account_id, p_idempotency_key, v_id, v_request, v_answer, v_now);
  return v_answer;
end
$$;
comment on function credits.create_order(uuid, credits.billing_orders, text, boolean) is
  'Writes an order down, once under its key.';
revoke all on function credits.create_order(uuid, credits.billing_orders, text, boolean)
  from public, anon, authenticated, service_role;

create function credits.insert_order(
  p_account_id uuid, p_order credits.billing_orders, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.billing_orders (account_id, id, kind, user_id, pack_id, plan_id,
    billing_interval, quantity, price_id, credit_type, credits, expires_after, currency,
    unit_amount, created_at)
  values (p_account_id, p_order.id, p_order.kind, p_order.user_id, p_order.pack_id,
    p_order.plan_id, p_order.billing_interval, p_order.quantity, p_order.price_id,
    p_order.credit_type, p_order.credits, p_order.expires_after, p_order.currency,
    p_order.unit_amount, p_at);
end
$$;
comment on function credits.insert_order(uuid, credits.billing_orders, timestamptz) is
  'Adds the row of an order.';
revoke all on function credits.insert_order(uuid, credits.billing_orders, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.order_answer(p_account_id uuid, p_order_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('success', true, 'code', 'ok', 'replayed', false, 'order_id', o.id,
      'account_id', o.account_id, 'kind', o.kind, 'state', o.state, 'pack_id', o.pack_id,
      'plan_id', o.plan_id, 'interval', o.billing_interval, 'quantity', o.quantity,
      'credit_type', o.credit_type, 'credits', o.credits, 'currency', o.currency,
      'unit_amount', o.unit_amount, 'amount', o.unit_amount * o.quantity, 'price_id', o.price_id,
      'session_id', o.session_id, 'invoice_id', o.invoice_id, 'grant_id', o.grant_id,
      'paid_at', o.paid_at, 'created_at', o.created_at, 'note', o.note)
    from credits.billing_orders o where o.account_id = p_account_id and o.id = p_order_id);
end
$$;
comment on function credits.order_answer(uuid, uuid) is 'An order, as it is answered.';
revoke all on function credits.order_answer(uuid, uuid)
  from public, anon, authenticated, service_role;

-- edge: result=BillingOrder callers=service_role repeatable
--   What became of an order of an account: open, pending, paid, failed, expired or mismatch.
--
--   Raises:
--       InvalidArgument: the account has no such order.
--       AccountNotFound.
create function public.get_billing_order(
  p_user_id uuid, p_order_id uuid, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_answer jsonb := credits.order_answer(
    credits.paying_account(p_user_id, p_workspace_id), p_order_id);
begin
  if v_answer is null then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_order_id', 'value', p_order_id),
      'This account has no such order.');
  end if;
  return credits.respond(v_answer);
end
$$;
comment on function public.get_billing_order(uuid, uuid, uuid) is
  'What became of an order of an account: its state is open, pending, paid, failed, expired or '
  'mismatch.';
revoke all on function public.get_billing_order(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_billing_order(uuid, uuid, uuid) to service_role;
