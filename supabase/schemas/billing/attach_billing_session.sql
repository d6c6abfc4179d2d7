-- edge: result=BillingOrder callers=service_role repeatable
--   Say which checkout session, or which invoice, the provider has made for an order.
--
--   What had happened to it already takes effect. An order may have several sessions, one after the
--   other.
--
--   Raises:
--       InvalidArgument: there is no such order, or the session belongs to another one.
create function public.attach_billing_session(p_order_id uuid, p_session_id text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
begin
  perform credits.check_reference('p_session_id', p_session_id);
  select o.account_id into v_account_id from credits.billing_orders o where o.id = p_order_id;
  if not found then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_order_id', 'value', p_order_id),
      'There is no such order.');
  end if;
  perform credits.attach_reference(v_account_id, p_order_id, p_session_id);
  perform credits.settle_waiting('session:' || p_session_id);
  perform credits.settle_waiting('invoice:' || p_session_id);
  return credits.respond(credits.order_answer(v_account_id, p_order_id));
end
$$;
comment on function public.attach_billing_session(uuid, text) is
  'Says which checkout session, or which invoice, the provider has made for an order. What had '
  'happened to it already takes effect.';
revoke all on function public.attach_billing_session(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.attach_billing_session(uuid, text) to service_role;

create function credits.attach_reference(
  p_account_id uuid, p_order_id uuid, p_reference_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.billing_references (reference_id, account_id, order_id)
  values (p_reference_id, p_account_id, p_order_id)
  on conflict (reference_id) do nothing;
  if not exists (
    select 1 from credits.billing_references r
    where r.reference_id = p_reference_id and r.account_id = p_account_id
      and r.order_id = p_order_id) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_session_id', 'value', p_reference_id),
      'This session belongs to another order.');
  end if;
  update credits.billing_orders o set
    session_id = case when o.kind = 'auto_top_up' then o.session_id else p_reference_id end,
    invoice_id = case when o.kind = 'auto_top_up' then p_reference_id else o.invoice_id end
  where o.account_id = p_account_id and o.id = p_order_id and o.state in ('open', 'pending');
end
$$;
comment on function credits.attach_reference(uuid, uuid, text) is
  'Maps a session or an invoice to an order. Raises invalid_argument for one of another order.';
revoke all on function credits.attach_reference(uuid, uuid, text)
  from public, anon, authenticated, service_role;
