-- edge: result=Quote callers=service_role repeatable reads=quantities:quantities
--   What an operation would cost now, by the price book. It books nothing.
--
--   ``estimate`` is exact; ``maximum`` is how many whole credits it takes at most, which is what a
--   hold sets aside (at least one).
--
--   Raises:
--       UnknownOperation: it has no price.
--       InvalidArgument: no such book, or a quantity without a price.
create function public.quote_operation(
  p_operation text, p_quantities jsonb default null, p_book text default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_quantities jsonb := credits.read_quantities(coalesce(p_quantities, jsonb '{"call": 1}'));
  v_price jsonb;
  v_cost numeric;
begin
  v_price := credits.price_operation(v_book.id, p_operation, v_quantities, statement_timestamp());
  v_cost := (v_price ->> 'cost_nano')::numeric;
  return jsonb_build_object('success', true, 'code', 'ok', 'operation', p_operation,
    'book', v_book.id, 'credit_type', v_book.credit_type, 'quantities', v_quantities,
    'cost', credits.credits_text(v_cost), 'estimate', credits.credits_text(v_cost),
    'maximum', credits.whole_credits(v_cost),
    'price_version', v_price -> 'price_version', 'lines', v_price -> 'lines');
end
$$;
comment on function public.quote_operation(text, jsonb, text) is
  'What an operation with these quantities (null for one call) would cost now: cost and estimate '
  'in credits, exactly, and maximum, the whole credits that it takes at most. Books nothing. '
  'Raises unknown_operation, invalid_argument.';
revoke all on function public.quote_operation(text, jsonb, text)
  from public, anon, authenticated, service_role;
grant execute on function public.quote_operation(text, jsonb, text) to service_role;
