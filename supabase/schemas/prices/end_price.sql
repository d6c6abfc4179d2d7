-- edge: result=Price callers=service_role repeatable
--   End a price: from then on the next less specific one counts, or the operation is unknown.
--
--   Raises:
--       InvalidArgument: no such book or price.
create function public.end_price(
  p_operation text, p_dimension text, p_book text default 'default',
  p_valid_to timestamptz default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_book text := (credits.find_price_book(p_book)).id;
  v_price credits.prices;
begin
  if not exists (select 1 from credits.prices p
    where p.book = v_book and p.operation = p_operation and p.dimension = p_dimension) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_operation',
      'value', p_operation, 'dimension', p_dimension), 'The book has no such price.');
  end if;
  v_price.operation := p_operation;
  v_price.dimension := p_dimension;
  v_price.per := 1;
  v_price.valid_from := coalesce(p_valid_to, clock_timestamp());
  v_price := credits.follow_price(v_book, v_price);
  return credits.respond(credits.price_answer(v_price));
end
$$;
comment on function public.end_price(text, text, text, timestamptz) is
  'Ends a price at p_valid_to, without another that follows it. What was charged by it stays '
  'explained, and open holds are still charged by it.';
revoke all on function public.end_price(text, text, text, timestamptz)
  from public, anon, authenticated, service_role;
grant execute on function public.end_price(text, text, text, timestamptz) to service_role;
