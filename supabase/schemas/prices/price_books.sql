-- What an operation costs is a row with a date. A price book says in which credits its prices are;
-- a price says what one unit of a dimension of an operation costs, in billionths of a credit, from
-- an instant on. Prices are added, never changed: a hold is charged by the prices that its book had
-- when it was made.

create table public.credit_price_books (
  id text not null constraint credit_price_books_pkey primary key,
  name text not null,
  credit_type text not null
    constraint credit_price_books_credit_type_fkey references credits.credit_types (id),
  currency text not null default 'usd',
  nano_per_unit_of_currency numeric,
  version bigint not null default 0,
  constraint credit_price_books_id_is_a_slug check (id ~ '^[a-z][a-z0-9_-]{0,62}$'),
  constraint credit_price_books_currency_is_a_code check (currency ~ '^[a-z]{3}$'),
  constraint credit_price_books_credits_have_a_worth check (nano_per_unit_of_currency > 0)
);
comment on table public.credit_price_books is
  'Price books: in which credits the prices of credit_prices are.';
comment on column public.credit_price_books.nano_per_unit_of_currency is
  'Billionths of a credit that one unit of the currency is worth, for prices that follow a '
  'provider''s cost; null where none does.';
comment on column public.credit_price_books.version is
  'The version of the book''s last price; each price that is set makes the next one.';
alter table public.credit_price_books enable row level security;
revoke all on table public.credit_price_books from public, anon, authenticated, service_role;
grant select on table public.credit_price_books to anon, authenticated, service_role;
create policy "Everybody may read the price books" on public.credit_price_books
  for select to anon, authenticated using (true);

insert into public.credit_price_books (id, name, credit_type) values
  ('default', 'Prices', 'integration');

create function credits.find_price_book(p_book text, p_argument text default 'p_book')
returns public.credit_price_books
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_book public.credit_price_books;
begin
  select b.* into v_book from public.credit_price_books b where b.id = coalesce(p_book, 'default');
  if not found then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', p_argument,
      'value', p_book,
      'known', (select jsonb_agg(b.id order by b.id) from public.credit_price_books b)),
      'There is no such price book.');
  end if;
  return v_book;
end
$$;
comment on function credits.find_price_book(text, text) is
  'The price book with this id, null for the default one. Raises invalid_argument.';
revoke all on function credits.find_price_book(text, text)
  from public, anon, authenticated, service_role;
