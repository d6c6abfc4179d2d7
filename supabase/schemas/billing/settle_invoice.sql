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
  v_payments := credits.payments_of_invoice(p_invoice_id);
  select * into v_invoice from credits.billing_invoices i
  where i.invoice_id = p_invoice_id for no key update;
  if not found or cardinality(v_payments) = 0 or v_invoice.subscription_id is null then
    return '[]'::jsonb;
  end if;
  v_share := credits.share_taken_back(
    v_payments, v_invoice.currency, v_invoice.total, v_invoice.net_total);
  v_is_disputed := credits.is_disputed(v_payments);
  perform credits.lock_account(p_account_id);
  for v_grant in select * from credits.grants_of_invoice(p_account_id, p_invoice_id) loop
    perform credits.take_back_allowance(
      p_account_id, p_invoice_id, v_grant.credit_type, v_grant.grant_id,
      credits.weight_of_invoice(v_invoice) * credits.share_taken_back(
        v_payments, v_invoice.currency, v_invoice.total, v_invoice.net_total,
        v_grant.counts_from));
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

create function credits.weight_of_invoice(p_invoice credits.billing_invoices)
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- An upgrade within a period has paid for a part of its allowance, what was paid before for the
  -- rest: each as much as it cost.
  return coalesce((
    select p_invoice.net_total::numeric / nullif(p_invoice.net_total + (
      select coalesce(sum(i.net_total), 0) from credits.billing_invoices i
      where i.subscription_id = p_invoice.subscription_id and i.invoice_id <> p_invoice.invoice_id
        and i.paid_at <= p_invoice.paid_at and i.net_total > 0 and exists (
          select 1 from credits.billing_invoice_lines o
          where o.invoice_id = i.invoice_id and o.period_end > l.starts_at)), 0)
    from (
      select min(x.period_start) as starts_at from credits.billing_invoice_lines x
      where x.invoice_id = p_invoice.invoice_id having bool_and(x.is_proration)) l
    where p_invoice.net_total > 0), 1);
end
$$;
comment on function credits.weight_of_invoice(credits.billing_invoices) is
  'Which part of the allowance of its period an invoice has paid for: all, or that of an upgrade.';
revoke all on function credits.weight_of_invoice(credits.billing_invoices)
  from public, anon, authenticated, service_role;

create function credits.grants_of_invoice(p_account_id uuid, p_invoice_id text)
returns table (credit_type text, grant_id uuid, counts_from timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  -- What of a year is given back before a month begins takes nothing of that month.
  select g.credit_type, g.id, case when g.period_start > p.starts_at then g.period_start
    else '-infinity' end
  from public.credit_grants g
  join (
    select min(l.period_start) as starts_at, max(l.period_end) as ends_at,
      bool_and(l.is_proration) as is_within
    from credits.billing_invoice_lines l where l.invoice_id = p_invoice_id) p
    -- An upgrade is charged from within a period.
    on g.period_start < p.ends_at and (g.period_start >= p.starts_at
      or p.is_within and g.expires_at > p.starts_at)
  where g.account_id = p_account_id and g.source in ('plan', 'trial') and g.voided_at is null
    and (credits.plan_condition_at(g.plan_id,
      credits.sale_time(p_account_id, g.period_start))).is_paid
    and (g.is_open or exists (
      select 1 from credits.billing_plan_voids v
      where v.account_id = p_account_id and v.credit_type = g.credit_type
        and v.grant_id = g.id and v.invoice_id = p_invoice_id))
  order by g.credit_type, g.period_start, g.id;
end
$$;
comment on function credits.grants_of_invoice(uuid, text) is
  'The allowances of the periods that an invoice paid for, as far as something is left of them, '
  'and from when on what is given back counts for each.';
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
