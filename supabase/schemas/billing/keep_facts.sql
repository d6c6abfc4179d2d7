-- Facts are kept before anything is worked out from them, each under the id of the object that it
-- is about, so that the same one a second time changes nothing. Where two say different things of
-- one object, the greater rank counts, then the later time.

create function credits.fact_time(p_fact jsonb, p_name text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (p_fact ->> p_name)::timestamptz;
end
$$;
comment on function credits.fact_time(jsonb, text) is 'A time of a fact; null where it has none.';
revoke all on function credits.fact_time(jsonb, text)
  from public, anon, authenticated, service_role;

create function credits.keep_subscription(p_event_id text, p_fact jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_status text := p_fact ->> 'status';
  v_keeps_paid boolean := (select s.on_cancel = 'keep' from credits.settings s);
begin
  insert into credits.billing_snapshots as b (
    subscription_id, happened_at, rank, digest, event_id, customer_id, status, items,
    period_start, period_end, anchor_at, started_at, cancel_at, ended_at, trial_ends_at,
    is_collecting, keeps_paid)
  values (
    p_fact ->> 'subscription_id', credits.fact_time(p_fact, 'at'),
    case v_status when 'incomplete' then 0 when 'canceled' then 2 when 'incomplete_expired' then 2
      else 1 end,
    md5((p_fact - 'alert')::text), p_event_id, p_fact ->> 'customer_id', v_status,
    coalesce(p_fact -> 'items', '[]'),
    (select min((i ->> 'period_start')::timestamptz)
      from jsonb_array_elements(p_fact -> 'items') i),
    (select max((i ->> 'period_end')::timestamptz)
      from jsonb_array_elements(p_fact -> 'items') i),
    credits.fact_time(p_fact, 'anchor'), credits.fact_time(p_fact, 'started_at'),
    coalesce(credits.fact_time(p_fact, 'cancel_at'),
      case when (p_fact ->> 'cancel_at_period_end')::boolean then (
        select max((i ->> 'period_end')::timestamptz)
        from jsonb_array_elements(p_fact -> 'items') i) end),
    coalesce(credits.fact_time(p_fact, 'ended_at'), credits.fact_time(p_fact, 'canceled_at')),
    credits.fact_time(p_fact, 'trial_end'),
    coalesce(jsonb_typeof(p_fact -> 'collection_paused') = 'null', true), v_keeps_paid)
  on conflict (subscription_id, happened_at, rank, digest) do update
    set event_id = greatest(b.event_id, excluded.event_id);
end
$$;
comment on function credits.keep_subscription(text, jsonb) is
  'Keeps what a subscription was at an instant.';
revoke all on function credits.keep_subscription(text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.keep_invoice(p_fact jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_total bigint := coalesce((p_fact ->> 'total')::bigint, (p_fact ->> 'amount_paid')::bigint, 0);
begin
  insert into credits.billing_invoices as b (
    invoice_id, customer_id, subscription_id, paid_at, reason, currency, total, net_total,
    proration_at)
  values (
    p_fact ->> 'invoice_id', p_fact ->> 'customer_id', p_fact ->> 'subscription_id',
    credits.fact_time(p_fact, 'paid_at'), p_fact ->> 'billing_reason',
    coalesce(lower(p_fact ->> 'currency'), 'usd'), v_total,
    coalesce((p_fact ->> 'total_excluding_tax')::bigint,
      v_total - coalesce((p_fact ->> 'tax')::bigint, 0)),
    credits.fact_time(p_fact, 'proration_at'))
  on conflict (invoice_id) do update set paid_at = least(b.paid_at, excluded.paid_at),
    proration_at = coalesce(b.proration_at, excluded.proration_at);
  insert into credits.billing_invoice_lines (
    invoice_id, line_id, price_id, quantity, amount, is_proration, period_start, period_end)
  select p_fact ->> 'invoice_id', coalesce(l ->> 'line_id', n::text), l ->> 'price_id',
    coalesce((l ->> 'quantity')::bigint, 1), coalesce((l ->> 'amount')::bigint, 0),
    coalesce((l ->> 'proration')::boolean, false), (l ->> 'period_start')::timestamptz,
    (l ->> 'period_end')::timestamptz
  from jsonb_array_elements(p_fact -> 'lines') with ordinality x (l, n)
  on conflict (invoice_id, line_id) do nothing;
end
$$;
comment on function credits.keep_invoice(jsonb) is 'Keeps that an invoice was paid, and for what.';
revoke all on function credits.keep_invoice(jsonb) from public, anon, authenticated, service_role;

create function credits.keep_failure(p_fact jsonb)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.billing_failures as f (
    invoice_id, state, attempt, customer_id, subscription_id, happened_at, reason)
  values (
    coalesce(p_fact ->> 'invoice_id', p_fact ->> 'payment_intent'),
    coalesce(p_fact ->> 'state', 'failed'), coalesce((p_fact ->> 'attempt')::integer, 1),
    p_fact ->> 'customer_id', p_fact ->> 'subscription_id', credits.fact_time(p_fact, 'at'),
    left(p_fact ->> 'reason', 500))
  on conflict (invoice_id, state, attempt) do nothing;
  return found;
end
$$;
comment on function credits.keep_failure(jsonb) is
  'Keeps an attempt to collect that did not succeed. Says whether it was new.';
revoke all on function credits.keep_failure(jsonb) from public, anon, authenticated, service_role;

create function credits.lock_payment(p_payment_id text)
returns credits.billing_payments
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment credits.billing_payments;
begin
  insert into credits.billing_payments (payment_id) values (p_payment_id)
  on conflict (payment_id) do nothing;
  select * into v_payment from credits.billing_payments p
  where p.payment_id = p_payment_id for no key update;
  return v_payment;
end
$$;
comment on function credits.lock_payment(text) is
  'The row of a payment, locked; made where it is news. What is known of a payment, whichever '
  'came first, meets here.';
revoke all on function credits.lock_payment(text) from public, anon, authenticated, service_role;

create function credits.link_payment(
  p_payment_ids text[], p_account_id uuid, p_order_id uuid, p_invoice_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_payment_id text;
begin
  for v_payment_id in
    select distinct i from unnest(p_payment_ids) i where i is not null order by i
  loop
    perform credits.lock_payment(v_payment_id);
    -- What paid our order pays no other thing, whatever invoice it is shown with.
    update credits.billing_payments p set account_id = p_account_id, order_id = p_order_id,
      invoice_id = case when p_order_id is null then p_invoice_id end, linked_at = v_now
    where p.payment_id = v_payment_id and p.order_id is null
      and (p_order_id is not null or p.invoice_id is null);
  end loop;
end
$$;
comment on function credits.link_payment(text[], uuid, uuid, text) is
  'Says what payments, or their charges, have paid: an order, or an invoice.';
revoke all on function credits.link_payment(text[], uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.payment_of(p_fact jsonb)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_intent text := p_fact ->> 'payment_intent';
  v_charge text := p_fact ->> 'charge';
  v_known credits.billing_payments;
begin
  if v_intent is null or v_charge is null then
    perform credits.lock_payment(coalesce(v_intent, v_charge));
    return coalesce(v_intent, v_charge);
  end if;
  -- Both are names of the same money: what is known of one is known of the other.
  v_known := credits.lock_payment(least(v_intent, v_charge));
  perform credits.lock_payment(greatest(v_intent, v_charge));
  select * into v_known from credits.billing_payments p
  where p.payment_id in (v_intent, v_charge) and p.linked_at is not null
  order by p.payment_id limit 1;
  if found then
    perform credits.link_payment(
      array[v_intent, v_charge], v_known.account_id, v_known.order_id, v_known.invoice_id);
  end if;
  return v_intent;
end
$$;
comment on function credits.payment_of(jsonb) is
  'The payment that a refund or a dispute is about, locked: by its intent, or else its charge.';
revoke all on function credits.payment_of(jsonb) from public, anon, authenticated, service_role;

create function credits.keep_refund(p_fact jsonb)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment_id text := credits.payment_of(p_fact);
begin
  insert into credits.billing_refunds as r (
    refund_id, payment_id, amount, currency, status, rank, happened_at, given_back_at)
  values (
    p_fact ->> 'refund_id', v_payment_id, (p_fact ->> 'amount')::bigint,
    lower(p_fact ->> 'currency'), p_fact ->> 'status',
    case when p_fact ->> 'status' in ('failed', 'canceled') then 3
      when p_fact ->> 'status' = 'succeeded' then 2 else 1 end, credits.fact_time(p_fact, 'at'),
    credits.fact_time(p_fact, 'at'))
  on conflict (refund_id) do update set status = excluded.status, rank = excluded.rank,
    amount = excluded.amount, happened_at = excluded.happened_at
  where (r.rank, r.happened_at) < (excluded.rank, excluded.happened_at);
  update credits.billing_refunds r set given_back_at = credits.fact_time(p_fact, 'at')
  where r.refund_id = p_fact ->> 'refund_id'
    and r.given_back_at > credits.fact_time(p_fact, 'at');
  return v_payment_id;
end
$$;
comment on function credits.keep_refund(jsonb) is
  'Keeps a refund, and says of which payment it is.';
revoke all on function credits.keep_refund(jsonb) from public, anon, authenticated, service_role;

create function credits.keep_credit_note(p_fact jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.billing_credit_notes as n (
    credit_note_id, invoice_id, total, net_total, refund_ids, is_voided, happened_at)
  values (
    p_fact ->> 'credit_note_id', p_fact ->> 'invoice_id',
    coalesce((p_fact ->> 'total')::bigint, 0),
    coalesce((p_fact ->> 'total_excluding_tax')::bigint, (p_fact ->> 'total')::bigint, 0),
    array(select r from jsonb_array_elements_text(p_fact -> 'refund_ids') r),
    coalesce((p_fact ->> 'voided')::boolean, false), credits.fact_time(p_fact, 'at'))
  on conflict (credit_note_id) do update set
    is_voided = n.is_voided or excluded.is_voided,
    refund_ids = array(
      select distinct r from unnest(n.refund_ids || excluded.refund_ids) r order by r);
end
$$;
comment on function credits.keep_credit_note(jsonb) is
  'Keeps what a credit note says of refunds. Voided is for good.';
revoke all on function credits.keep_credit_note(jsonb)
  from public, anon, authenticated, service_role;

create function credits.dispute_rank(p_fact jsonb)
returns integer
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case
    when p_fact ->> 'kind' = 'early_warning' or p_fact ->> 'status' like 'warning%'
      or p_fact ->> 'status' = 'prevented' then 0
    when p_fact ->> 'status' = 'lost' then 3
    when p_fact ->> 'status' = 'won' then 2
    else 1 end;
end
$$;
comment on function credits.dispute_rank(jsonb) is
  'How far a dispute has come: 0 a warning or prevented, 1 open, 2 won, 3 lost.';
revoke all on function credits.dispute_rank(jsonb)
  from public, anon, authenticated, service_role;

create function credits.keep_dispute(p_fact jsonb)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment_id text := credits.payment_of(p_fact);
begin
  insert into credits.billing_disputes as d (
    dispute_id, payment_id, amount, currency, status, rank, kind, happened_at, opened_at)
  values (
    p_fact ->> 'dispute_id', v_payment_id, coalesce((p_fact ->> 'amount')::bigint, 0),
    lower(p_fact ->> 'currency'), coalesce(p_fact ->> 'status', ''),
    credits.dispute_rank(p_fact), coalesce(p_fact ->> 'kind', 'dispute'),
    credits.fact_time(p_fact, 'at'), credits.fact_time(p_fact, 'at'))
  on conflict (dispute_id) do update set status = excluded.status, rank = excluded.rank,
    amount = excluded.amount, happened_at = excluded.happened_at,
    opened_at = least(d.opened_at, excluded.opened_at)
  -- A decision may be reversed: of two, the later one counts.
  where (least(d.rank, 2), d.happened_at, d.rank)
    < (least(excluded.rank, 2), excluded.happened_at, excluded.rank);
  update credits.billing_disputes d set opened_at = credits.fact_time(p_fact, 'at')
  where d.dispute_id = p_fact ->> 'dispute_id'
    and d.opened_at > credits.fact_time(p_fact, 'at');
  return v_payment_id;
end
$$;
comment on function credits.keep_dispute(jsonb) is
  'Keeps a dispute, and says of which payment it is.';
revoke all on function credits.keep_dispute(jsonb) from public, anon, authenticated, service_role;
