-- The ledger has whole credits only. What is paid of a credit and not used is the prepaid remainder
-- of the balance, in billionths, from 0 to less than 1. A priced spend takes as many whole credits
-- as the remainder lacks, and leaves the rest there: nothing is rounded per call, and no call is
-- paid for later.

create table credits.priced_operations (
  account_id uuid not null
    constraint priced_operations_account_id_fkey references credits.accounts (account_id),
  operation_id uuid not null,
  credit_type text not null,
  user_id uuid,
  book text not null,
  operation text not null,
  quantities jsonb not null,
  lines jsonb not null,
  price_version bigint not null,
  cost_nano bigint not null,
  unpaid_nano bigint not null default 0,
  whole bigint not null,
  returned bigint not null default 0,
  prepaid_before bigint not null,
  prepaid_after bigint not null,
  reservation_id uuid,
  created_at timestamptz not null,
  constraint priced_operations_pkey primary key (account_id, operation_id),
  constraint priced_operations_costs_are_not_negative
    check (least(cost_nano, unpaid_nano, whole, returned, prepaid_before, prepaid_after) >= 0),
  constraint priced_operations_return_what_was_taken check (returned <= whole),
  constraint priced_operations_are_paid_from_the_remainder_and_the_ledger
    check (prepaid_before + whole * 1000000000::numeric - cost_nano = prepaid_after)
);
create index priced_operations_returnable_idx
  on credits.priced_operations (account_id, credit_type, created_at) where returned < whole;
comment on table credits.priced_operations is
  'What each priced operation used and what it cost. Read it with explain_operation.';
comment on column credits.priced_operations.lines is
  'The receipt: quantity, price and cost of each dimension.';
comment on column credits.priced_operations.cost_nano is
  'What was charged, in billionths of a credit.';
comment on column credits.priced_operations.unpaid_nano is
  'What a capture could not charge, since neither the hold nor the balance had it.';
comment on column credits.priced_operations.whole is 'Credits taken from the ledger.';
comment on column credits.priced_operations.returned is
  'How many of them refunds have given back: those of this operation, and others'' whose parts '
  'added up to a credit.';
alter table credits.priced_operations enable row level security;
revoke all on table credits.priced_operations from public, anon, authenticated, service_role;

create table credits.priced_holds (
  account_id uuid not null,
  reservation_id uuid not null,
  book text not null,
  operation text not null,
  quantities jsonb not null,
  cost_nano bigint not null,
  priced_at timestamptz not null,
  book_version bigint not null,
  constraint priced_holds_pkey primary key (account_id, reservation_id),
  constraint priced_holds_reservation_fkey foreign key (account_id, reservation_id)
    references public.credit_reservations (account_id, id)
);
comment on table credits.priced_holds is
  'For which operation a hold was made, and by which prices it is captured: those that the book '
  'had then.';
comment on column credits.priced_holds.cost_nano is 'The cost of the quantities, the maximum.';
alter table credits.priced_holds enable row level security;
revoke all on table credits.priced_holds from public, anon, authenticated, service_role;

create table credits.priced_refunds (
  account_id uuid not null,
  refund_id uuid not null,
  operation_id uuid not null,
  credit_type text not null,
  user_id uuid,
  cost_nano bigint not null,
  whole bigint not null,
  prepaid_before bigint not null,
  prepaid_after bigint not null,
  created_at timestamptz not null,
  constraint priced_refunds_pkey primary key (account_id, refund_id),
  constraint priced_refunds_operation_fkey foreign key (account_id, operation_id)
    references credits.priced_operations (account_id, operation_id),
  constraint priced_refunds_give_something_back check (cost_nano > 0 and whole >= 0),
  constraint priced_refunds_go_into_the_remainder_and_the_ledger
    check (prepaid_before + cost_nano - whole * 1000000000::numeric = prepaid_after)
);
create index priced_refunds_operation_idx
  on credits.priced_refunds (account_id, operation_id);
comment on table credits.priced_refunds is
  'What was given back of the cost of priced operations. Whole credits of it went into the ledger.';
alter table credits.priced_refunds enable row level security;
revoke all on table credits.priced_refunds from public, anon, authenticated, service_role;

create function credits.price_words(
  p_operation text, p_quantities jsonb, p_price jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('operation', p_operation, 'quantities', p_quantities,
    'cost_nano', p_price -> 'cost_nano', 'price_version', p_price -> 'price_version');
end
$$;
comment on function credits.price_words(text, jsonb, jsonb) is
  'What usage and ledger keep of a priced operation, among its metadata.';
revoke all on function credits.price_words(text, jsonb, jsonb)
  from public, anon, authenticated, service_role;

create function credits.post_priced(
  p_account_id uuid, p_balance credits.balances, p_user_id uuid, p_operation_id uuid,
  p_book public.credit_price_books, p_operation text, p_quantities jsonb, p_price jsonb,
  p_whole bigint, p_reservation_id uuid, p_priced_at timestamptz)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_cost numeric := (p_price ->> 'cost_nano')::numeric;
  v_paid bigint := least(v_cost, p_balance.prepaid_nano + p_whole * 1000000000::numeric);
  v_after bigint := p_balance.prepaid_nano + p_whole * 1000000000::numeric - v_paid;
begin
  update credits.balances b set prepaid_nano = v_after,
    settled_at = greatest(b.settled_at, p_balance.settled_at)
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  insert into credits.priced_operations (account_id, operation_id, credit_type, user_id, book,
    operation, quantities, lines, price_version, cost_nano, unpaid_nano, whole, prepaid_before,
    prepaid_after, reservation_id, created_at)
  values (p_account_id, p_operation_id, p_balance.credit_type, p_user_id, p_book.id, p_operation,
    p_quantities, p_price -> 'lines', (p_price ->> 'price_version')::bigint, v_paid,
    v_cost - v_paid, p_whole, p_balance.prepaid_nano, v_after, p_reservation_id,
    p_balance.settled_at);
  insert into credits.operation_costs (account_id, operation_id, currency, provider_nano,
    is_complete, created_at)
  select p_account_id, p_operation_id, p_book.currency, c.nano, c.is_complete, p_balance.settled_at
  from credits.provider_nano(p_book, p_price -> 'lines', p_priced_at) c;
  return jsonb_build_object('cost', credits.credits_text(v_paid),
      'price_version', p_price -> 'price_version')
    || case when v_cost > v_paid
      then jsonb_build_object('unpaid', credits.credits_text(v_cost - v_paid)) else '{}' end;
end
$$;
comment on function credits.post_priced(uuid, credits.balances, uuid, uuid,
  public.credit_price_books, text, jsonb, jsonb, bigint, uuid, timestamptz) is
  'Keeps a priced operation and what it leaves of the remainder of the locked balance, after '
  'p_whole credits were taken. What it adds to the answer.';
revoke all on function credits.post_priced(uuid, credits.balances, uuid, uuid,
  public.credit_price_books, text, jsonb, jsonb, bigint, uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.log_free_use(
  p_account_id uuid, p_balance credits.balances, p_operation_id uuid, p_user_id uuid,
  p_description text, p_metadata jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into public.usage (account_id, user_id, credit_type, credits_used, status, description,
    metadata, operation_id, created_at)
  values (p_account_id, p_user_id, p_balance.credit_type, 0, 'allowed', p_description, p_metadata,
    p_operation_id, p_balance.settled_at);
end
$$;
comment on function credits.log_free_use(uuid, credits.balances, uuid, uuid, text, jsonb) is
  'Puts a priced operation on record in usage that the remainder has paid for.';
revoke all on function credits.log_free_use(uuid, credits.balances, uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;
