-- What an order comes to, from all that is known of its payment: paid, given back, disputed. Called
-- with every piece of news; the same state twice changes nothing.

create function credits.share_taken_back(
  p_payment_ids text[], p_currency text, p_gross bigint, p_net bigint,
  p_since timestamptz default '-infinity')
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if coalesce(p_gross, 0) <= 0 then
    return 0;
  end if;
  -- What is disputed in another currency is taken for all of the payment.
  return least(1, credits.share_refunded(
    p_payment_ids, p_currency, p_gross, p_net, p_since, 'infinity') + (
    select coalesce(sum(case when d.currency <> p_currency then 1
      else d.amount::numeric(60, 30) / p_gross end), 0)
    from credits.billing_disputes d
    where d.payment_id = any (p_payment_ids) and d.rank = 3 and d.opened_at >= p_since));
end
$$;
comment on function credits.share_taken_back(text[], text, bigint, bigint, timestamptz) is
  'Which share of what was paid has been given back since an instant, tax excluded: refunds that '
  'stand and disputes that were lost.';
revoke all on function credits.share_taken_back(text[], text, bigint, bigint, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.share_refunded(
  p_payment_ids text[], p_currency text, p_gross bigint, p_net bigint, p_since timestamptz,
  p_until timestamptz)
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if coalesce(p_gross, 0) <= 0 then
    return 0;
  end if;
  -- Tax counts for nothing: a credit note says how much of a refund it is, else it has its share. A
  -- number in another currency says nothing of the share.
  return (
    select coalesce(sum(case
        when n.total > 0 and p_net > 0
          then r.amount::numeric(60, 30) * n.net_total / (n.total::numeric * p_net)
        when n.total = 0 then 0
        else r.amount::numeric(60, 30) / p_gross end), 0)
    from credits.billing_refunds r
    left join lateral (
      select c.total, c.net_total from credits.billing_credit_notes c
      where c.refund_ids @> array[r.refund_id] and not c.is_voided
      order by c.credit_note_id limit 1) n on true
    where r.payment_id = any (p_payment_ids) and r.rank < 3
      and coalesce(r.currency = p_currency, true)
      and r.given_back_at between p_since and p_until);
end
$$;
comment on function credits.share_refunded(
  text[], text, bigint, bigint, timestamptz, timestamptz) is
  'Which share of what was paid has been refunded between two instants, tax excluded.';
revoke all on function credits.share_refunded(
  text[], text, bigint, bigint, timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.is_disputed(p_payment_ids text[])
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from credits.billing_disputes d
    where d.payment_id = any (p_payment_ids) and d.rank = 1);
end
$$;
comment on function credits.is_disputed(text[]) is 'Whether a dispute about a payment is open.';
revoke all on function credits.is_disputed(text[])
  from public, anon, authenticated, service_role;

create function credits.order_target(p_order credits.billing_orders)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return least(p_order.credits, ceil(round(p_order.credits * credits.share_taken_back(
    credits.payments_of_order(p_order.account_id, p_order.id), p_order.currency,
    p_order.paid_amount, p_order.paid_net), 12))::bigint);
end
$$;
comment on function credits.order_target(credits.billing_orders) is
  'How many credits of an order refunds and lost disputes take back in all.';
revoke all on function credits.order_target(credits.billing_orders)
  from public, anon, authenticated, service_role;

create function credits.payments_of_order(p_account_id uuid, p_order_id uuid)
returns text[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return array(
    select p.payment_id from credits.billing_payments p
    where p.account_id = p_account_id and p.order_id = p_order_id order by p.payment_id);
end
$$;
comment on function credits.payments_of_order(uuid, uuid) is 'The payments that paid an order.';
revoke all on function credits.payments_of_order(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.settle_order(p_account_id uuid, p_order_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders;
  v_is_disputed boolean;
  v_target bigint;
begin
  select * into v_order from credits.billing_orders o
  where o.account_id = p_account_id and o.id = p_order_id for no key update;
  if v_order.grant_id is null then
    return '[]'::jsonb;
  end if;
  v_target := credits.order_target(v_order);
  v_is_disputed := credits.is_disputed(credits.payments_of_order(p_account_id, p_order_id));
  if v_target <> v_order.target then
    perform credits.take_back(p_account_id, v_order, v_target);
  end if;
  if v_is_disputed <> v_order.is_disputed then
    update credits.billing_orders o set is_disputed = v_is_disputed
    where o.account_id = p_account_id and o.id = p_order_id;
    if v_is_disputed then
      perform credits.freeze_grant(p_account_id, v_order.grant_id, 'disputed');
    else
      perform credits.thaw_grant(p_account_id, v_order.grant_id, 'disputed');
    end if;
  end if;
  return case when (v_target, v_is_disputed) is distinct from (v_order.target, v_order.is_disputed)
    then jsonb_build_array(jsonb_build_object('order_id', p_order_id, 'taken_back', v_target,
      'disputed', v_is_disputed)) else '[]' end;
end
$$;
comment on function credits.settle_order(uuid, uuid) is
  'Takes back, gives back, freezes or thaws what an order granted, as its refunds and disputes '
  'stand. Locks the order, then its balance.';
revoke all on function credits.settle_order(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.gone_otherwise(
  p_order credits.billing_orders, out expired bigint, out voided bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select coalesce(sum(-t.amount) filter (where t.kind = 'expire'), 0),
    coalesce(sum(-t.amount) filter (where t.kind = 'void'), 0) - p_order.voided - (
      select coalesce(sum(p.amount), 0) from credits.debt_payments p
      where p.account_id = p_order.account_id and p.credit_type = p_order.credit_type
        and p.grant_id = p_order.grant_id and p.amount > 0)
    into expired, voided
  from public.credit_transactions t
  where t.account_id = p_order.account_id and t.credit_type = p_order.credit_type
    and t.grant_id = p_order.grant_id;
end
$$;
comment on function credits.gone_otherwise(credits.billing_orders) is
  'What of a purchase has expired, and what was taken back by hand: not by its refunds, nor for '
  'debts that it paid.';
revoke all on function credits.gone_otherwise(credits.billing_orders)
  from public, anon, authenticated, service_role;

create function credits.take_back(
  p_account_id uuid, p_order credits.billing_orders, p_target bigint)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_grant(p_account_id, p_order.grant_id);
  v_gone record;
  v_free bigint;
  v_voided bigint;
  v_need bigint;
begin
  select g.remaining - g.held into v_free
  from public.credit_grants g where g.account_id = p_account_id and g.id = p_order.grant_id;
  select * into v_gone from credits.gone_otherwise(p_order);
  -- What was taken back by hand counts. More is voided as far as something is left; a smaller
  -- target lowers the debt first. What expired unspent is owed by no one.
  v_need := greatest(0, p_target - v_gone.voided);
  v_voided := least(v_need, p_order.voided + case when p_target > p_order.target
    then least(v_free, greatest(0, v_need - p_order.voided)) else 0 end);
  if v_voided <> p_order.voided then
    v_balance := credits.take_unspent(p_account_id, v_balance, p_order.grant_id,
      v_voided - p_order.voided, 'void', null, gen_random_uuid(),
      credits.issued_by(p_account_id, p_order.credit_type, p_order.grant_id),
      case when v_voided > p_order.voided then 'its payment was taken back'
        else 'its payment stands after all' end);
  end if;
  v_balance := credits.set_debt(p_account_id, v_balance, 'order:' || p_order.id, greatest(0,
    least(v_need - v_voided, p_order.credits - v_voided - v_gone.voided - v_gone.expired)));
  perform credits.apply_due(p_account_id, v_balance);
  update credits.billing_orders o set target = p_target, voided = v_voided
  where o.account_id = p_account_id and o.id = p_order.id;
end
$$;
comment on function credits.take_back(uuid, credits.billing_orders, bigint) is
  'Voids what a purchase has left up to what refunds take back; what was spent of it is a debt. '
  'The other way round where a refund has failed.';
revoke all on function credits.take_back(uuid, credits.billing_orders, bigint)
  from public, anon, authenticated, service_role;

create function credits.issued_by(p_account_id uuid, p_credit_type text, p_grant_id uuid)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select t.operation_id from public.credit_transactions t
    where t.account_id = p_account_id and t.credit_type = p_credit_type
      and t.grant_id = p_grant_id and t.kind = 'grant'
    order by t.version limit 1);
end
$$;
comment on function credits.issued_by(uuid, text, uuid) is 'The operation that issued a grant.';
revoke all on function credits.issued_by(uuid, text, uuid)
  from public, anon, authenticated, service_role;

create function credits.set_order_state(
  p_account_id uuid, p_order_id uuid, p_state text, p_note text default null)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders;
  v_ranks text[] := array['open', 'pending', 'expired', 'failed', 'mismatch', 'paid'];
begin
  select * into v_order from credits.billing_orders o
  where o.account_id = p_account_id and o.id = p_order_id for no key update;
  if array_position(v_ranks, p_state) <= array_position(v_ranks, v_order.state) then
    return false;
  end if;
  update credits.billing_orders o set state = p_state, note = p_note
  where o.account_id = p_account_id and o.id = p_order_id;
  return true;
end
$$;
comment on function credits.set_order_state(uuid, uuid, text, text) is
  'Moves an order on, never back: open, pending, expired, failed, mismatch, paid. Says whether '
  'it moved.';
revoke all on function credits.set_order_state(uuid, uuid, text, text)
  from public, anon, authenticated, service_role;

create function credits.pay_order(
  p_account_id uuid, p_order_id uuid, p_paid_at timestamptz, p_gross bigint, p_net bigint)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders;
begin
  select * into v_order from credits.billing_orders o
  where o.account_id = p_account_id and o.id = p_order_id for no key update;
  if v_order.state = 'paid' then
    perform credits.date_back(p_account_id, v_order, p_paid_at);
    return '[]'::jsonb;
  end if;
  update credits.billing_orders o set state = 'paid', paid_at = p_paid_at, paid_amount = p_gross,
    paid_net = greatest(0, p_net), note = null
  where o.account_id = p_account_id and o.id = p_order_id
  returning * into v_order;
  if v_order.credits is not null then
    v_order := credits.grant_order_credits(p_account_id, v_order);
  end if;
  return jsonb_build_array(jsonb_build_object('order_id', p_order_id, 'state', 'paid',
    'credits', v_order.credits, 'grant_id', v_order.grant_id))
    || credits.settle_order(p_account_id, p_order_id);
end
$$;
comment on function credits.pay_order(uuid, uuid, timestamptz, bigint, bigint) is
  'Marks an order as paid and grants its credits, once. Locks the order, then its balance.';
revoke all on function credits.pay_order(uuid, uuid, timestamptz, bigint, bigint)
  from public, anon, authenticated, service_role;

create function credits.grant_order_credits(p_account_id uuid, p_order credits.billing_orders)
returns credits.billing_orders
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders := p_order;
  v_answer jsonb;
  v_balance credits.balances := credits.lock_balance(p_account_id, p_order.credit_type);
  v_expires_at timestamptz := credits.order_expiry(p_order);
begin
  -- News of a purchase that is older than its credits live: they are there, and gone.
  v_answer := credits.grant_to(p_account_id, p_order.user_id, row(
    p_order.credit_type, p_order.credits, 'top_up', credits.order_words(p_order), null,
    case when v_expires_at > v_balance.settled_at then v_expires_at end, null, p_order.paid_net,
    p_order.currency,
    jsonb_build_object('order_id', p_order.id, 'pack_id', p_order.pack_id)
    )::credits.grant_order, 'order:' || p_order.id);
  v_order.grant_id := (v_answer ->> 'grant_id')::uuid;
  update credits.billing_orders o set grant_id = v_order.grant_id
  where o.account_id = p_account_id and o.id = p_order.id;
  if v_expires_at <= v_balance.settled_at then
    perform credits.move_expiry(p_account_id, v_order, v_expires_at);
  end if;
  update credits.auto_top_ups a set state = 'ready', order_id = null, stopped_at = null,
    note = null
  where a.account_id = p_account_id and a.order_id = p_order.id;
  perform credits.top_up_on(p_account_id, p_order.credit_type);
  if p_order.kind = 'auto_top_up' then
    perform credits.tell(p_account_id, 'top_up.bought', jsonb_build_object(
      'credit_type', p_order.credit_type, 'amount', p_order.credits, 'pack', p_order.pack_id,
      'paid_amount', p_order.paid_amount, 'currency', p_order.currency), 'order:' || p_order.id);
  end if;
  return v_order;
end
$$;
comment on function credits.grant_order_credits(uuid, credits.billing_orders) is
  'Issues the credits of a paid order. Expiry, text and key derive from the order, never from '
  'the time of the news.';
revoke all on function credits.grant_order_credits(uuid, credits.billing_orders)
  from public, anon, authenticated, service_role;

create function credits.order_words(p_order credits.billing_orders)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return concat_ws(' ',
    case when p_order.quantity > 1 then p_order.quantity || ' ×' end,
    coalesce((select k.name from public.credit_packs k where k.id = p_order.pack_id),
      p_order.pack_id),
    case when p_order.kind = 'auto_top_up' then '(bought automatically)' else '(bought)' end);
end
$$;
comment on function credits.order_words(credits.billing_orders) is
  'What a purchase is called in the history.';
revoke all on function credits.order_words(credits.billing_orders)
  from public, anon, authenticated, service_role;

create function credits.order_expiry(p_order credits.billing_orders)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if (select t.kind from credits.credit_types t where t.id = p_order.credit_type) = 'limit' then
    return null;
  end if;
  -- Months are counted on the calendar of UTC, whatever the zone of the session.
  return ((p_order.paid_at at time zone 'UTC') + p_order.expires_after) at time zone 'UTC';
end
$$;
comment on function credits.order_expiry(credits.billing_orders) is
  'When the credits of a paid order expire; null for never.';
revoke all on function credits.order_expiry(credits.billing_orders)
  from public, anon, authenticated, service_role;

create function credits.date_back(
  p_account_id uuid, p_order credits.billing_orders, p_paid_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_order credits.billing_orders := p_order;
begin
  if p_paid_at >= v_order.paid_at then
    return;
  end if;
  v_order.paid_at := p_paid_at;
  update credits.billing_orders o set paid_at = p_paid_at
  where o.account_id = p_account_id and o.id = v_order.id;
  if v_order.grant_id is not null and credits.order_expiry(v_order) is not null then
    perform credits.move_expiry(p_account_id, v_order, credits.order_expiry(v_order));
  end if;
end
$$;
comment on function credits.date_back(uuid, credits.billing_orders, timestamptz) is
  'Counts the expiry of a purchase from the earliest payment that is known of it.';
revoke all on function credits.date_back(uuid, credits.billing_orders, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.move_expiry(
  p_account_id uuid, p_order credits.billing_orders, p_expires_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_grant(p_account_id, p_order.grant_id);
begin
  update public.credit_grants g
  set expires_at = greatest(p_expires_at, g.starts_at)
  where g.account_id = p_account_id and g.id = p_order.grant_id
    and g.expires_at is distinct from greatest(p_expires_at, g.starts_at);
  perform credits.apply_due(p_account_id, v_balance);
end
$$;
comment on function credits.move_expiry(uuid, credits.billing_orders, timestamptz) is
  'Sets when the credits of a purchase expire, and books it where that has passed.';
revoke all on function credits.move_expiry(uuid, credits.billing_orders, timestamptz)
  from public, anon, authenticated, service_role;
