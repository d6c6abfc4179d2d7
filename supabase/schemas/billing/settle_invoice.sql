-- The refund of a subscription's invoice takes back the same share of what is left of the allowance
-- of its period. What was spent is no debt, and plan and coverage stay as they are: to end them is
-- an act of its own.

create function credits.settle_invoice(p_account_id uuid, p_invoice_id text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_invoice credits.billing_invoices;
  v_payments text[];
  v_share numeric;
  v_is_disputed boolean;
  v_grant record;
begin
  v_payments := array(
    select p.payment_id from credits.billing_payments p
    where p.invoice_id = p_invoice_id order by p.payment_id);
  select * into v_invoice from credits.billing_invoices i
  where i.invoice_id = p_invoice_id for no key update;
  if not found or cardinality(v_payments) = 0 or v_invoice.subscription_id is null then
    return '[]'::jsonb;
  end if;
  v_share := credits.share_taken_back(v_payments, v_invoice.total, v_invoice.net_total);
  v_is_disputed := credits.is_disputed(v_payments);
  perform credits.lock_account(p_account_id);
  for v_grant in select * from credits.grants_of_invoice(p_account_id, p_invoice_id) loop
    perform credits.take_back_allowance(
      p_account_id, p_invoice_id, v_grant.credit_type, v_grant.grant_id, v_share);
    if v_is_disputed then
      perform credits.freeze_grant(p_account_id, v_grant.grant_id, 'disputed');
    else
      perform credits.thaw_grant(p_account_id, v_grant.grant_id, 'disputed');
    end if;
  end loop;
  return case when v_share > 0 or v_is_disputed then jsonb_build_array(jsonb_build_object(
    'invoice_id', p_invoice_id, 'share', round(v_share, 6), 'disputed', v_is_disputed))
    else '[]' end;
end
$$;
comment on function credits.settle_invoice(uuid, text) is
  'Takes back, freezes or thaws the allowance of the period that an invoice paid for, as its '
  'refunds and disputes stand.';
revoke all on function credits.settle_invoice(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.grants_of_invoice(p_account_id uuid, p_invoice_id text)
returns table (credit_type text, grant_id uuid)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select g.credit_type, g.id from public.credit_grants g
  join (
    select min(l.period_start) as starts_at, max(l.period_end) as ends_at
    from credits.billing_invoice_lines l where l.invoice_id = p_invoice_id) p
    on g.period_start >= p.starts_at and g.period_start < p.ends_at
  where g.account_id = p_account_id and g.source in ('plan', 'trial') and g.voided_at is null
    and credits.is_paid_plan(g.plan_id) and (g.is_open or exists (
      select 1 from credits.billing_plan_voids v
      where v.account_id = p_account_id and v.credit_type = g.credit_type
        and v.grant_id = g.id and v.invoice_id = p_invoice_id))
  order by g.credit_type, g.period_start, g.id;
end
$$;
comment on function credits.grants_of_invoice(uuid, text) is
  'The allowances of the periods that an invoice paid for, as far as something is left of them.';
revoke all on function credits.grants_of_invoice(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.take_back_allowance(
  p_account_id uuid, p_invoice_id text, p_credit_type text, p_grant_id uuid, p_share numeric)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_balance(p_account_id, p_credit_type);
  v_free bigint;
  v_old credits.billing_plan_voids;
  v_amount bigint;
begin
  select g.remaining - g.held into v_free
  from public.credit_grants g where g.account_id = p_account_id and g.id = p_grant_id;
  select * into v_old from credits.billing_plan_voids v
  where v.account_id = p_account_id and v.credit_type = p_credit_type
    and v.grant_id = p_grant_id and v.invoice_id = p_invoice_id;
  v_old.share := coalesce(v_old.share, 0);
  v_old.amount := coalesce(v_old.amount, 0);
  if v_old.share = p_share then
    return;
  end if;
  -- Of what was there before: what is left, and what earlier refunds have taken.
  v_amount := case when p_share > v_old.share
    then v_old.amount + least(v_free, ceil(round(
      v_free * (p_share - v_old.share) / (1 - v_old.share), 12))::bigint)
    else ceil(round(v_old.amount * p_share / v_old.share, 12))::bigint end;
  if v_amount <> v_old.amount then
    v_balance := credits.take_unspent(p_account_id, v_balance, p_grant_id, v_amount - v_old.amount,
      'void', null, gen_random_uuid(),
      credits.issued_by(p_account_id, p_credit_type, p_grant_id),
      case when v_amount > v_old.amount then 'its payment was taken back'
        else 'its payment stands after all' end);
  end if;
  insert into credits.billing_plan_voids as v (
    account_id, credit_type, grant_id, invoice_id, share, amount)
  values (p_account_id, p_credit_type, p_grant_id, p_invoice_id, p_share, v_amount)
  on conflict (account_id, credit_type, grant_id, invoice_id) do update
    set share = excluded.share, amount = excluded.amount;
  perform credits.apply_due(p_account_id, v_balance);
end
$$;
comment on function credits.take_back_allowance(uuid, text, text, uuid, numeric) is
  'Brings the share that was taken back of an allowance to p_share. What is spent stays spent.';
revoke all on function credits.take_back_allowance(uuid, text, text, uuid, numeric)
  from public, anon, authenticated, service_role;
