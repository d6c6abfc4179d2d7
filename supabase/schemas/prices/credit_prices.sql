create table credits.prices (
  book text not null
    constraint prices_book_fkey references public.credit_price_books (id),
  operation text not null,
  dimension text not null,
  version bigint not null,
  nano_per_unit numeric,
  per bigint not null default 1,
  minimum_nano bigint,
  maximum_nano bigint,
  steps jsonb,
  steps_by text[],
  valid_from timestamptz not null,
  source text,
  created_at timestamptz not null default clock_timestamp(),
  constraint prices_pkey primary key (book, operation, dimension, version),
  constraint prices_operation_is_a_name_or_a_pattern
    check (length(operation) between 1 and 200 and operation !~ '\*.|[[:cntrl:]]'),
  constraint prices_dimension_is_a_slug check (dimension ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint prices_are_not_negative
    check (nano_per_unit >= 0 and nano_per_unit < 1e24 and scale(nano_per_unit) <= 30),
  constraint prices_are_per_something check (per > 0),
  constraint prices_minimum_is_below_the_maximum
    check (least(minimum_nano, maximum_nano) >= 0 and minimum_nano <= maximum_nano),
  constraint prices_steps_are_measured_by_something check ((steps is null) = (steps_by is null)),
  constraint prices_start_at_an_instant check (isfinite(valid_from))
);
create index prices_book_idx on credits.prices (book, operation, dimension, valid_from, version);
comment on table credits.prices is
  'Every price that was ever set, and every end of one. Rows are added, never changed: what a hold '
  'costs is read with the rows that were there when it was made. Read public.credit_prices.';
comment on column credits.prices.operation is
  'An operation, or the beginning of its name and a star.';
comment on column credits.prices.version is 'The version of the book that this row made.';
comment on column credits.prices.nano_per_unit is
  'Billionths of a credit for `per` units; null ends the price.';
comment on column credits.prices.steps is
  'Other prices for all units, by how much there is of what steps_by names: '
  '[{"above": 200000, "nano_per_unit": 2500000}].';
comment on column credits.prices.steps_by is
  'The dimensions whose quantities, added up, choose the step.';
comment on column credits.prices.minimum_nano is 'What the dimension costs at least, when named.';
comment on column credits.prices.maximum_nano is 'What the dimension costs at most.';
alter table credits.prices enable row level security;
revoke all on table credits.prices from public, anon, authenticated, service_role;
grant select on table credits.prices to anon, authenticated, service_role;
create policy "Everybody may read the prices" on credits.prices
  for select to anon, authenticated using (true);

create function credits.refuse_price_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'credit_prices',
    'attempted', lower(tg_op)), 'A price is never changed. Set the one that follows it.');
  return null;
end
$$;
comment on function credits.refuse_price_change() is
  'Stops UPDATE, DELETE and TRUNCATE of prices: what was charged by them has to stay explained.';
revoke all on function credits.refuse_price_change() from public, anon, authenticated, service_role;
create trigger prices_are_append_only before update or delete on credits.prices
  for each row execute function credits.refuse_price_change();
create trigger prices_are_never_truncated before truncate on credits.prices
  for each statement execute function credits.refuse_price_change();

create view public.credit_prices
with (security_invoker = true)
as
select p.book, p.operation, p.dimension, p.nano_per_unit, p.per, p.minimum_nano, p.maximum_nano,
  p.steps, p.steps_by, p.valid_from, p.valid_to, p.version, p.source
from (
  select f.*, lead(f.valid_from) over (
    partition by f.book, f.operation, f.dimension order by f.valid_from, f.version) as valid_to
  from credits.prices f) p
where p.nano_per_unit is not null and p.valid_to is distinct from p.valid_from;
comment on view public.credit_prices is
  'What operations cost, by dimension: from valid_from on, up to valid_to where another price '
  'follows or the price ends. Of several that fit an operation the most specific one counts.';
revoke all on table public.credit_prices from public, anon, authenticated, service_role;
grant select on table public.credit_prices to anon, authenticated, service_role;

create trigger credit_prices_are_never_written instead of insert or update
  or delete on public.credit_prices
  for each row execute function credits.refuse_computed_rows();
