-- edge: result=BillingAccount callers=service_role repeatable
--   How an account pays: its customer at the provider, subscriptions, what it owes, its top-ups.
--
--   ``may_buy`` says whether the person may open a checkout or the portal for it. ``livemode`` says
--   whose customer is meant, of test or live mode; None is live once a live price is registered.
--
--   Raises:
--       AccountNotFound.
create function public.get_billing_account(
  p_user_id uuid, p_livemode boolean default null, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(p_user_id, p_workspace_id);
  v_subscriptions jsonb := credits.subscriptions_told(v_account_id);
begin
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'account_id', v_account_id,
    'may_buy', credits.only_actor(v_account_id, p_user_id) is null,
    'customer_id', (
      select c.customer_id from credits.customer_of(v_account_id, credits.sold_mode(p_livemode)) c),
    'subscriptions', v_subscriptions, 'is_subscribed', v_subscriptions <> '[]',
    'debts', (
      select coalesce(jsonb_agg(jsonb_build_object('credit_type', d.credit_type,
        'amount', d.amount - d.paid) order by d.created_at, d.source), '[]')
      from credits.debts d where d.account_id = v_account_id and d.amount > d.paid),
    'top_ups', (
      select coalesce(jsonb_agg(credits.auto_top_up_answer(v_account_id, a.credit_type)
        - 'success'::text - 'code'::text order by a.credit_type), '[]')
      from credits.auto_top_ups a where a.account_id = v_account_id)));
end
$$;
comment on function public.get_billing_account(uuid, boolean, uuid) is
  'How an account pays: its customer at the provider, its living subscriptions, what it owes, '
  'and its automatic top-ups. may_buy: whether the person may buy for it.';
revoke all on function public.get_billing_account(uuid, boolean, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_billing_account(uuid, boolean, uuid) to service_role;

create function credits.subscriptions_told(p_account_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('subscription_id', l.subscription_id,
      'plan_id', l.plan_id, 'quantity', l.quantity, 'status', l.status,
      'cancel_at', l.cancel_at, 'covered_until', l.covered_until) order by l.subscription_id), '[]')
    from credits.subscriptions_of(p_account_id) i
    cross join lateral (
      select c.* from credits.subscription_course(i) c
      where not c.is_failure order by c.n desc limit 1) l
    where credits.is_living_status(l.status));
end
$$;
comment on function credits.subscriptions_told(uuid) is
  'The living subscriptions of an account, as its provider has them.';
revoke all on function credits.subscriptions_told(uuid)
  from public, anon, authenticated, service_role;
