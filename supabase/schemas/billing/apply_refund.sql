-- Money that goes back: refunds and disputes.

create function credits.apply_refund(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment_id text;
  v_effects jsonb := '[]'::jsonb;
begin
  if p_fact ->> 'credit_note_id' is not null then
    perform credits.keep_credit_note(p_fact);
    for v_payment_id in
      select distinct r.payment_id from credits.billing_refunds r
      where r.refund_id in (select jsonb_array_elements_text(p_fact -> 'refund_ids'))
      order by r.payment_id
    loop
      v_effects := v_effects || coalesce(credits.settle_payment(v_payment_id), '[]'::jsonb);
    end loop;
    return credits.billing_result('applied', null, null, v_effects);
  end if;
  v_payment_id := credits.keep_refund(p_fact);
  v_effects := credits.settle_payment(v_payment_id);
  if v_effects is null then
    return credits.billing_result('waiting', 'it is not known what this payment paid',
      'payment:' || v_payment_id);
  elsif credits.is_other_currency(v_payment_id, p_fact ->> 'currency') then
    return credits.billing_result('needs_attention',
      'the refund is in another currency than the payment: no credits are taken back', null,
      v_effects);
  end if;
  return credits.billing_result('applied', null, null, v_effects);
end
$$;
comment on function credits.apply_refund(jsonb) is
  'A refund, or a credit note that says how much of refunds is tax.';
revoke all on function credits.apply_refund(jsonb)
  from public, anon, authenticated, service_role;

create function credits.apply_dispute(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_payment_id text := credits.keep_dispute(p_fact);
  v_effects jsonb := credits.settle_payment(v_payment_id);
  v_account_id uuid;
begin
  if v_effects is null then
    return credits.billing_result('waiting', 'it is not known what this payment paid',
      'payment:' || v_payment_id);
  end if;
  v_account_id := credits.account_of_payment(v_payment_id);
  if exists (
    select 1 from credits.auto_top_ups a where a.account_id = v_account_id and a.is_enabled) then
    perform credits.switch_top_ups_off(v_account_id, 'a payment was disputed');
    perform credits.tell(v_account_id, 'top_up.stopped',
      jsonb_build_object('reason', 'a payment was disputed'),
      'dispute:' || (p_fact ->> 'dispute_id'));
  end if;
  if p_fact ->> 'status' = 'lost'
     and credits.is_other_currency(v_payment_id, p_fact ->> 'currency') then
    return credits.billing_result('needs_attention',
      'the dispute is in another currency than the payment: it counts as all of it', null,
      v_effects);
  end if;
  return credits.billing_result('applied', null, null, v_effects);
end
$$;
comment on function credits.apply_dispute(jsonb) is
  'A dispute, or a warning of one: freezes, takes back or thaws, and ends automatic top-ups.';
revoke all on function credits.apply_dispute(jsonb)
  from public, anon, authenticated, service_role;

create function credits.is_other_currency(p_payment_id text, p_currency text)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from credits.billing_payments p
    left join credits.billing_orders o on o.account_id = p.account_id and o.id = p.order_id
    left join credits.billing_invoices i on i.invoice_id = p.invoice_id
    where p.payment_id = p_payment_id
      and lower(p_currency) <> coalesce(o.currency, i.currency));
end
$$;
comment on function credits.is_other_currency(text, text) is
  'Whether a payment is known to be in another currency than this one.';
revoke all on function credits.is_other_currency(text, text)
  from public, anon, authenticated, service_role;

create function credits.account_of_payment(p_payment_id text)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(p.account_id, credits.account_of_customer(i.customer_id))
    from credits.billing_payments p
    left join credits.billing_invoices i on i.invoice_id = p.invoice_id
    where p.payment_id = p_payment_id);
end
$$;
comment on function credits.account_of_payment(text) is 'Whose payment it is; null while unknown.';
revoke all on function credits.account_of_payment(text)
  from public, anon, authenticated, service_role;
