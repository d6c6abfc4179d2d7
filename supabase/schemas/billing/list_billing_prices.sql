create type credits.billing_price_row as (
  price_id text,
  plan_id text,
  pack_id text,
  billing_interval text,
  currency text,
  unit_amount bigint,
  livemode boolean,
  is_current boolean,
  valid_from timestamptz,
  valid_to timestamptz
);
comment on type credits.billing_price_row is 'A price as it is shown.';

create function credits.billing_price_list(p_price_id text default null)
returns setof credits.billing_price_row
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select b.price_id, b.plan_id, b.pack_id, b.billing_interval, b.currency, b.unit_amount,
    b.livemode, b.valid_to is null, b.valid_from, b.valid_to
  from credits.billing_prices b
  where p_price_id is null or b.price_id = p_price_id
  order by b.plan_id, b.pack_id, b.billing_interval, b.valid_from, b.price_id;
end
$$;
comment on function credits.billing_price_list(text) is 'All prices, or one of them.';
revoke all on function credits.billing_price_list(text)
  from public, anon, authenticated, service_role;

-- edge: result=BillingCatalog callers=service_role repeatable
--   Every price that was registered, those of before included, and the packs with their credits.
--
--   ``livemode`` says in which mode the packs are sold, test or live; None is live once a live
--   price is registered.
create function public.list_billing_prices(p_livemode boolean default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return jsonb_build_object('success', true, 'code', 'ok',
    'prices', coalesce((
      select jsonb_agg(to_jsonb(l)) from credits.billing_price_list() l), '[]'),
    'packs', coalesce((
      select jsonb_agg(to_jsonb(k) - 'expires_after' || jsonb_build_object(
        'expires_after', k.expires_after::text,
        'unit_amount', credits.amount_of_pack(k.id, p_livemode)) order by k.rank, k.id)
      from public.credit_packs k), '[]'));
end
$$;
comment on function public.list_billing_prices(boolean) is
  'Every price that was registered, those of before included, and the packs with their credits.';
revoke all on function public.list_billing_prices(boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.list_billing_prices(boolean) to service_role;

create function credits.plan_prices(p_plan_id text, p_livemode boolean)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('interval', r.billing_interval,
      'currency', r.currency, 'unit_amount', r.unit_amount, 'price_id', r.price_id)
      order by r.billing_interval, r.currency), '[]')
    from (
      select distinct on (a.billing_interval, a.currency) a.billing_interval, a.currency,
        a.unit_amount, a.price_id
      from (
        select b.billing_interval, b.currency, coalesce(b.unit_amount,
            case when b.billing_interval = 'month' then p.price_cents end) as unit_amount,
          b.price_id
        from credits.billing_prices b join public.plans p on p.id = b.plan_id
        where b.plan_id = p_plan_id and b.valid_to is null
          and b.livemode = credits.sold_mode(p_livemode)
        union all
        select 'month', p.currency, p.price_cents, null
        from public.plans p where p.id = p_plan_id and p.price_cents > 0) a
      order by a.billing_interval, a.currency, a.price_id nulls last) r);
end
$$;
comment on function credits.plan_prices(text, boolean) is
  'What a plan costs by the month and by the year, for a pricing page.';
revoke all on function credits.plan_prices(text, boolean)
  from public, anon, authenticated, service_role;
