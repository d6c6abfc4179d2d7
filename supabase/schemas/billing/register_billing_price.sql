-- edge: result=BillingPrice callers=service_role repeatable
--   Say what a provider's price buys: a plan by the month or the year, or a pack.
--
--   ``unit_amount`` is in the smallest unit of ``currency``, tax excluded. The price that was sold
--   before stays known, for those who subscribed at it. A price is never changed: another one takes
--   its place.
--
--   Raises:
--       InvalidArgument: no such plan or pack, or the price is known as another one.
create function public.register_billing_price(
  p_price_id text, p_plan_id text default null, p_pack_id text default null,
  p_interval text default 'month', p_currency text default 'usd',
  p_unit_amount bigint default null, p_livemode boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_price credits.billing_prices;
  v_is_known boolean;
begin
  v_price.price_id := credits.check_reference('p_price_id', p_price_id);
  v_price.plan_id := p_plan_id;
  v_price.pack_id := p_pack_id;
  v_price.billing_interval := case when p_plan_id is not null then p_interval end;
  v_price.currency := lower(p_currency);
  v_price.unit_amount := p_unit_amount;
  v_price.livemode := coalesce(p_livemode, false);
  perform credits.check_price(v_price);
  v_is_known := credits.is_registered(v_price);
  if not v_is_known then
    perform credits.add_price(v_price);
  end if;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'replayed', v_is_known)
    || (select to_jsonb(l) from credits.billing_price_list(p_price_id) l));
end
$$;
comment on function public.register_billing_price(text, text, text, text, text, bigint, boolean) is
  'Says what a provider''s price buys: a plan by p_interval (month or year), or a pack. The '
  'price that was sold before stays known, for those who subscribed at it. A price is never '
  'changed.';
revoke all on function public.register_billing_price(
  text, text, text, text, text, bigint, boolean) from public, anon, authenticated, service_role;
grant execute on function public.register_billing_price(
  text, text, text, text, text, bigint, boolean) to service_role;

create function credits.check_reference(p_argument text, p_value text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_value is null or p_value = '' or length(p_value) > 255 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', p_argument, 'value', left(p_value, 300)),
      'It is an id of the payment provider: 1 to 255 characters.');
  end if;
  return p_value;
end
$$;
comment on function credits.check_reference(text, text) is
  'An id of a payment provider. Raises invalid_argument for what cannot be one.';
revoke all on function credits.check_reference(text, text)
  from public, anon, authenticated, service_role;

create function credits.check_price(p_price credits.billing_prices)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text;
  v_hint text;
begin
  if (p_price.plan_id is null) = (p_price.pack_id is null) then
    v_argument := case when p_price.plan_id is null then 'p_plan_id' else 'p_pack_id' end;
    v_hint := 'A price buys either a plan or a pack.';
  elsif p_price.plan_id is not null
        and not exists (select 1 from public.plans p where p.id = p_price.plan_id) then
    perform credits.refuse_plan(p_price.plan_id);
  elsif p_price.pack_id is not null
        and not exists (select 1 from public.credit_packs k where k.id = p_price.pack_id) then
    perform credits.refuse_pack(p_price.pack_id);
  elsif p_price.plan_id is not null
        and coalesce(p_price.billing_interval, '') not in ('month', 'year') then
    v_argument := 'p_interval';
    v_hint := 'A plan is paid by the month or by the year.';
  elsif not coalesce(p_price.currency ~ '^[a-z]{3}$', false) then
    v_argument := 'p_currency';
    v_hint := 'A currency is its ISO 4217 code, such as usd.';
  elsif p_price.unit_amount not between 0 and 9007199254740992 then
    v_argument := 'p_unit_amount';
    v_hint := 'A price is a whole number in the smallest unit of its currency, from 0.';
  end if;
  if v_argument is not null then
    perform credits.raise_error(
      'invalid_argument', jsonb_build_object('argument', v_argument), v_hint);
  end if;
end
$$;
comment on function credits.check_price(credits.billing_prices) is
  'Raises invalid_argument for what no price can be.';
revoke all on function credits.check_price(credits.billing_prices)
  from public, anon, authenticated, service_role;

create function credits.refuse_pack(p_pack_id text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  perform credits.raise_error('invalid_argument', jsonb_build_object(
    'argument', 'p_pack_id', 'value', p_pack_id, 'known', (
      select jsonb_agg(k.id order by k.rank, k.id) from public.credit_packs k)),
    'There is no such pack; credit_packs has them.');
end
$$;
comment on function credits.refuse_pack(text) is
  'Raises invalid_argument with the packs there are.';
revoke all on function credits.refuse_pack(text) from public, anon, authenticated, service_role;

create function credits.is_registered(p_price credits.billing_prices)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_known credits.billing_prices;
begin
  select * into v_known from credits.billing_prices b where b.price_id = p_price.price_id;
  if not found then
    return false;
  end if;
  if (v_known.plan_id, v_known.pack_id, v_known.billing_interval, v_known.currency,
      v_known.livemode, coalesce(p_price.unit_amount, v_known.unit_amount))
     is distinct from (p_price.plan_id, p_price.pack_id, p_price.billing_interval,
      p_price.currency, p_price.livemode, v_known.unit_amount) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_price_id', 'value', p_price.price_id),
      'This price is registered as another one. A price never changes: make a new one.');
  end if;
  return true;
end
$$;
comment on function credits.is_registered(credits.billing_prices) is
  'Whether a price is known as what it is said to be. Raises invalid_argument if as something '
  'else.';
revoke all on function credits.is_registered(credits.billing_prices)
  from public, anon, authenticated, service_role;

create function credits.add_price(p_price credits.billing_prices)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  update credits.billing_prices b set valid_to = greatest(v_now, b.valid_from)
  where b.valid_to is null and b.livemode = p_price.livemode and b.currency = p_price.currency
    and b.plan_id is not distinct from p_price.plan_id
    and b.pack_id is not distinct from p_price.pack_id
    and b.billing_interval is not distinct from p_price.billing_interval;
  insert into credits.billing_prices (price_id, livemode, plan_id, pack_id, billing_interval,
    currency, unit_amount, valid_from)
  values (p_price.price_id, p_price.livemode, p_price.plan_id, p_price.pack_id,
    p_price.billing_interval, p_price.currency, p_price.unit_amount, v_now);
end
$$;
comment on function credits.add_price(credits.billing_prices) is
  'Registers a price, and ends the one that it follows.';
revoke all on function credits.add_price(credits.billing_prices)
  from public, anon, authenticated, service_role;
