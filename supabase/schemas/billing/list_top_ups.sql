-- edge: result=TopUpList.orders callers=service_role repeatable
--   Automatic top-ups that are to be charged now, the oldest first, with the customer to charge.
--
--   Make the invoice with the order's id as idempotency key, attach it to the order by
--   :meth:`attach_billing_session`, then have it paid: the provider's event says what came of it.
--
--   Raises:
--       InvalidArgument: ``limit`` is not 1 to 1000.
create function public.list_top_ups(p_limit integer default 100)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  perform credits.check_billing_limit(p_limit);
  return jsonb_build_object('success', true, 'code', 'ok', 'orders', (
    select coalesce(jsonb_agg(r.o order by r.created_at, r.id), '[]') from (
      select credits.order_answer(o.account_id, o.id) - 'success'::text - 'code'::text
          || jsonb_build_object('customer_id', c.customer_id, 'livemode', c.livemode) as o,
        o.created_at, o.id
      from credits.auto_top_ups a
      join credits.billing_orders o on o.account_id = a.account_id and o.id = a.order_id
      -- Of the mode that the price is of.
      left join credits.billing_prices b on b.price_id = o.price_id
      cross join lateral credits.customer_of(a.account_id, b.livemode) c
      where a.state = 'in_flight' and o.state = 'open' and c.customer_id is not null
        -- One that is about to be given up is not begun.
        and (o.invoice_id is not null or credits.account_time(a.account_id)
          < o.created_at + interval '23 hours')
      order by o.created_at, o.id limit p_limit) r));
end
$$;
comment on function public.list_top_ups(integer) is
  'Automatic top-ups that are to be charged now, the oldest first, with the customer to charge.';
revoke all on function public.list_top_ups(integer)
  from public, anon, authenticated, service_role;
grant execute on function public.list_top_ups(integer) to service_role;

create function credits.customer_of(
  p_account_id uuid, p_livemode boolean, out customer_id text, out livemode boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select c.customer_id, c.livemode into customer_id, livemode
  from credits.billing_customers c
  where c.account_id = p_account_id and c.deleted_at is null
    and c.livemode = coalesce(p_livemode, c.livemode)
  order by c.livemode = credits.sold_mode(null) desc, c.is_default desc, c.linked_at desc,
    c.customer_id limit 1;
end
$$;
comment on function credits.customer_of(uuid, boolean) is
  'The customer that an account buys as, in a mode or in any; null where it has none.';
revoke all on function credits.customer_of(uuid, boolean)
  from public, anon, authenticated, service_role;
