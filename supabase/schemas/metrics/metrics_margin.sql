-- edge: result=Margin callers=service_role repeatable slow
--   What priced operations were charged and what providers charged for them, by operation.
--
--   ``credits`` less what was given back, ``provider_cost`` in the currency of the book. The worth
--   of the credits is there where the book says what one is worth.
create function public.metrics_margin(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'all', p_time_zone text default 'UTC',
  p_credit_type text default null, p_include_test boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  w record;
  v_rows jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  select jsonb_agg(credits.margin_row(s.bucket, s.credit_type, s.book, s.operation, s.operations,
      s.unknown, s.nano, s.provider_nano)
    order by s.bucket, s.credit_type, s.book, s.operation)
    into v_rows
  from (
    select case when w.unit is not null then date_trunc(w.unit, o.created_at, p_time_zone)
        when w.width is not null then date_bin(w.width, o.created_at, w.origin)
        else w.from_at end as bucket,
      o.credit_type, o.book, o.operation, count(*) as operations,
      count(*) filter (where not c.is_complete) as unknown,
      sum(o.cost_nano::numeric - f.nano) as nano, sum(c.provider_nano) as provider_nano
    from credits.priced_operations o
    join credits.operation_costs c on c.account_id = o.account_id
      and c.operation_id = o.operation_id
    join credits.accounts a on a.account_id = o.account_id and (p_include_test or not a.is_test)
    cross join lateral (
      select coalesce(sum(r.cost_nano), 0) as nano from credits.priced_refunds r
      where r.account_id = o.account_id and r.operation_id = o.operation_id) f
    where o.created_at >= w.from_at and o.created_at < w.to_at
      and (p_credit_type is null or o.credit_type = p_credit_type)
    group by 1, 2, 3, 4) s;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone, v_rows);
end
$$;
comment on function public.metrics_margin(timestamptz, timestamptz, text, text, text, boolean) is
  'What priced operations were charged, less refunds, and what providers charged for them, per '
  'bucket, credit type, book and operation; margin is the share of the charge that stays, where '
  'the book says what a credit is worth and every cost is known.';
revoke all on function public.metrics_margin(timestamptz, timestamptz, text, text, text, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_margin(timestamptz, timestamptz, text, text, text, boolean)
  to service_role;

create function credits.margin_row(
  p_bucket timestamptz, p_credit_type text, p_book text, p_operation text, p_operations bigint,
  p_unknown bigint, p_nano numeric, p_provider_nano numeric)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_worth numeric := p_nano / v_book.nano_per_unit_of_currency;
  v_cost numeric := p_provider_nano * 0.000000001;
begin
  return jsonb_build_object('bucket', p_bucket, 'credit_type', p_credit_type, 'book', p_book,
    'operation', p_operation, 'operations', p_operations, 'unknown', p_unknown,
    'credits', credits.credits_text(p_nano), 'currency', v_book.currency,
    'provider_cost', trim_scale(round(v_cost, 9))::text,
    'worth', trim_scale(round(v_worth, 9))::text,
    'margin', case when p_unknown = 0 and v_worth > 0
      then trim_scale(round(1 - v_cost / v_worth, 4))::text end);
end
$$;
comment on function credits.margin_row(
  timestamptz, text, text, text, bigint, bigint, numeric, numeric) is
  'A row of metrics_margin: charge, worth and cost of an operation.';
revoke all on function credits.margin_row(
  timestamptz, text, text, text, bigint, bigint, numeric, numeric)
  from public, anon, authenticated, service_role;
