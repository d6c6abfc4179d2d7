-- edge: result=PriceBook callers=service_role repeatable
--   Make a price book, or change its name and what a credit is worth.
--
--   Raises:
--       InvalidArgument: a book's credits stay what they are once it has prices.
--       UnknownCreditType.
create function public.set_price_book(
  p_book text, p_credit_type text default null, p_name text default null,
  p_currency text default null, p_credits_per_unit numeric default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_book public.credit_price_books;
begin
  if coalesce(p_book ~ '^[a-z][a-z0-9_-]{0,62}$', false) is not true then
    perform credits.raise_error('invalid_argument', '{"argument": "p_book"}',
      'The id of a book is a name of small letters, digits, dashes and underscores.');
  elsif p_name !~ '\S' or length(p_name) > 200 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_name"}',
      'A name has 1 to 200 characters.');
  elsif p_currency !~ '^[a-z]{3}$' then
    perform credits.raise_error('invalid_argument', '{"argument": "p_currency"}',
      'A currency is a code of three small letters.');
  elsif p_credits_per_unit <= 0 or p_credits_per_unit > 1e9 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_credits_per_unit"}',
      'Say how many credits one unit of the currency is worth.');
  end if;
  select b.* into v_book from public.credit_price_books b where b.id = p_book for update;
  perform credits.check_book_type(v_book, p_credit_type);
  insert into public.credit_price_books as b (id, name, credit_type, currency,
    nano_per_unit_of_currency)
  values (p_book, coalesce(p_name, p_book), coalesce(p_credit_type, v_book.credit_type),
    coalesce(p_currency, 'usd'), p_credits_per_unit * 1000000000)
  on conflict (id) do update set name = coalesce(p_name, b.name),
    credit_type = excluded.credit_type, currency = coalesce(p_currency, b.currency),
    nano_per_unit_of_currency = coalesce(excluded.nano_per_unit_of_currency,
      b.nano_per_unit_of_currency)
  returning b.* into v_book;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'book', v_book.id, 'name', v_book.name,
    'credit_type', v_book.credit_type, 'currency', v_book.currency,
    'credits_per_unit', trim_scale(v_book.nano_per_unit_of_currency * 0.000000001)::text,
    'version', v_book.version));
end
$$;
comment on function public.set_price_book(text, text, text, text, numeric) is
  'Makes a price book for a credit type, or changes its name and how many credits one unit of its '
  'currency is worth, which prices that follow a provider''s cost are worked out with when they '
  'are set.';
revoke all on function public.set_price_book(text, text, text, text, numeric)
  from public, anon, authenticated, service_role;
grant execute on function public.set_price_book(text, text, text, text, numeric) to service_role;

create function credits.check_book_type(p_book public.credit_price_books, p_credit_type text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_type text := coalesce(p_credit_type, p_book.credit_type);
begin
  if not exists (select 1 from credits.credit_types t where t.id = v_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type', v_type,
      'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
  elsif exists (select 1 from credits.credit_types t where t.id = v_type and t.kind <> 'credit')
     or p_book.version > 0 and v_type <> p_book.credit_type then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_credit_type',
      'value', v_type), 'A book is in credits that are spent, and stays in them once it has '
      'prices. Make another book.');
  end if;
end
$$;
comment on function credits.check_book_type(public.credit_price_books, text) is
  'Raises for a credit type that a price book cannot be in, or no longer.';
revoke all on function credits.check_book_type(public.credit_price_books, text)
  from public, anon, authenticated, service_role;
