-- edge: result=PricedReservation callers=service_role keyed denies reads=quantities:quantities
--   Hold what an operation costs at most, with the prices of this moment.
--
--   ``quantities`` are the maximum. Capture it with :meth:`capture_operation` and what was really
--   used; a price that changes meanwhile does not change what it costs.
--
--   Raises:
--       UnknownOperation: it has no price.
--       InsufficientCredits: there is not enough (also MemberCapReached).
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, AccountNotFound, InvalidArgument.
create function public.reserve_operation(
  p_user_id uuid, p_operation text, p_quantities jsonb default null,
  p_description text default null, p_idempotency_key text default null,
  p_metadata jsonb default '{}', p_ttl_seconds integer default 900, p_book text default null,
  p_workspace_id uuid default null, p_strict boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_metadata jsonb := credits.check_request(1, p_description, p_idempotency_key, p_metadata);
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_quantities jsonb := credits.read_quantities(coalesce(p_quantities, jsonb '{"call": 1}'));
begin
  perform credits.check_ttl(p_ttl_seconds);
  return credits.respond(credits.reserve_priced(
    credits.paying_account(p_user_id, p_workspace_id, v_book.credit_type), p_user_id, v_book,
    p_operation, v_quantities, p_description, p_idempotency_key, v_metadata, p_ttl_seconds),
    p_strict);
end
$$;
comment on function public.reserve_operation(
  uuid, text, jsonb, text, text, jsonb, integer, text, uuid, boolean) is
  'Holds the whole credits that an operation with these quantities, the maximum, costs, at least '
  'one. Answers like reserve_credits, with cost and price_version. It is captured by the prices of '
  'this moment. Raises unknown_operation.';
revoke all on function public.reserve_operation(
  uuid, text, jsonb, text, text, jsonb, integer, text, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.reserve_operation(
  uuid, text, jsonb, text, text, jsonb, integer, text, uuid, boolean) to service_role;

create function credits.reserve_priced(
  p_account_id uuid, p_user_id uuid, p_book public.credit_price_books, p_operation text,
  p_quantities jsonb, p_description text, p_idempotency_key text, p_metadata jsonb,
  p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('function', 'reserve_operation', 'user_id', p_user_id,
    'book', p_book.id, 'operation', p_operation, 'quantities', p_quantities,
    'description', p_description, 'metadata', p_metadata, 'ttl_seconds', p_ttl_seconds);
  v_known bigint;
  v_balance credits.balances;
  v_price jsonb;
  v_cost numeric;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_book.credit_type);
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  elsif v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  select b.version into v_known from public.credit_price_books b where b.id = p_book.id;
  v_price := credits.price_operation(p_book.id, p_operation, p_quantities, v_balance.settled_at,
    v_known);
  v_cost := (v_price ->> 'cost_nano')::numeric;
  v_answer := credits.reserve(p_account_id, p_user_id, p_book.credit_type,
    greatest(1, credits.whole_credits(v_cost)), p_description, null,
    p_metadata || credits.price_words(p_operation, p_quantities, v_price), p_ttl_seconds)
    || jsonb_build_object('cost', credits.credits_text(v_cost),
      'price_version', v_price -> 'price_version');
  if v_answer ->> 'code' <> 'ok' then
    return v_answer;
  end if;
  insert into credits.priced_holds (account_id, reservation_id, book, operation, quantities,
    cost_nano, priced_at, book_version)
  values (p_account_id, (v_answer ->> 'reservation_id')::uuid, p_book.id, p_operation,
    p_quantities, v_cost, v_balance.settled_at, v_known);
  perform credits.remember(p_account_id, p_idempotency_key, (v_answer ->> 'operation_id')::uuid,
    v_request, v_answer, v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.reserve_priced(
  uuid, uuid, public.credit_price_books, text, jsonb, text, text, jsonb, integer) is
  'Holds the whole credits of the largest cost of an operation, without regard to the remainder, '
  'and keeps as of when and of which version of the book its prices are.';
revoke all on function credits.reserve_priced(
  uuid, uuid, public.credit_price_books, text, jsonb, text, text, jsonb, integer)
  from public, anon, authenticated, service_role;
