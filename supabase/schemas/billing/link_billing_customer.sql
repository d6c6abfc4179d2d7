-- edge: result=BillingCustomer callers=service_role repeatable
--   Say which account a provider's customer is. Events that waited for it take effect.
--
--   An account may have several customers; the last one that was linked is used for new purchases.
--
--   Raises:
--       InvalidArgument: the customer belongs to another account, or to the other mode.
--       AccountNotFound.
create function public.link_billing_customer(
  p_user_id uuid, p_customer_id text, p_livemode boolean default false,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_is_new boolean;
begin
  perform credits.check_reference('p_customer_id', p_customer_id);
  v_account_id := credits.paying_account(p_user_id, p_workspace_id);
  v_is_new := credits.link_customer(v_account_id, p_customer_id, coalesce(p_livemode, false));
  perform credits.follow_billing(v_account_id);
  perform credits.settle_waiting('customer:' || p_customer_id);
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'account_id', v_account_id, 'customer_id', p_customer_id,
    'livemode', coalesce(p_livemode, false), 'replayed', not v_is_new));
end
$$;
comment on function public.link_billing_customer(uuid, text, boolean, uuid) is
  'Says which account a provider''s customer is. Events that waited for it take effect. An '
  'account may have several; the last one is used for new purchases.';
revoke all on function public.link_billing_customer(uuid, text, boolean, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.link_billing_customer(uuid, text, boolean, uuid) to service_role;

create function credits.link_customer(
  p_account_id uuid, p_customer_id text, p_livemode boolean)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_is_new boolean;
begin
  insert into credits.billing_customers (customer_id, account_id, livemode, linked_at)
  values (p_customer_id, p_account_id, p_livemode, v_now)
  on conflict (customer_id) do nothing;
  v_is_new := found;
  if not exists (
    select 1 from credits.billing_customers c
    where c.customer_id = p_customer_id and c.account_id = p_account_id
      and c.livemode = p_livemode) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_customer_id', 'value', p_customer_id),
      'This customer belongs to another account, or to the other mode.');
  end if;
  if v_is_new then
    update credits.billing_customers c set is_default = false
    where c.account_id = p_account_id and c.livemode = p_livemode
      and c.customer_id <> p_customer_id and c.is_default;
  end if;
  return v_is_new;
end
$$;
comment on function credits.link_customer(uuid, text, boolean) is
  'Maps a customer to an account. Says whether that was new; raises invalid_argument for a '
  'customer of another one.';
revoke all on function credits.link_customer(uuid, text, boolean)
  from public, anon, authenticated, service_role;

create function credits.account_of_customer(p_customer_id text)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select c.account_id from credits.billing_customers c where c.customer_id = p_customer_id);
end
$$;
comment on function credits.account_of_customer(text) is
  'The account of a provider''s customer; null while it is mapped to none.';
revoke all on function credits.account_of_customer(text)
  from public, anon, authenticated, service_role;
