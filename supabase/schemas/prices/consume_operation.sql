-- edge: result=PricedAnswer callers=service_role keyed denies reads=quantities:quantities
--   Spend what an operation costs by the price book, all or nothing.
--
--   ``cost`` is exact, in credits; ``amount`` is how many whole credits that took: the parts of a
--   credit that were paid for before are used first.
--
--   Raises:
--       UnknownOperation: it has no price.
--       InsufficientCredits: there is not enough (also MemberCapReached).
--       IdempotencyConflict: the key belongs to another request.
--       AccountFrozen, AccountNotFound, InvalidArgument.
create function public.consume_operation(
  p_user_id uuid, p_operation text, p_quantities jsonb default null,
  p_description text default null, p_idempotency_key text default null,
  p_metadata jsonb default '{}', p_book text default null, p_workspace_id uuid default null,
  p_strict boolean default false)
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
  return credits.respond(credits.consume_priced(
    credits.paying_account(p_user_id, p_workspace_id, v_book.credit_type), p_user_id, v_book,
    p_operation, v_quantities, p_description, p_idempotency_key, v_metadata), p_strict);
end
$$;
comment on function public.consume_operation(
  uuid, text, jsonb, text, text, jsonb, text, uuid, boolean) is
  'Spends what an operation with these quantities (null for one call) costs by the price book. '
  'Answers like consume_credits, with cost in credits, exactly, and price_version. Whole credits '
  'are taken only for what the prepaid remainder lacks. Raises unknown_operation.';
revoke all on function public.consume_operation(
  uuid, text, jsonb, text, text, jsonb, text, uuid, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.consume_operation(
  uuid, text, jsonb, text, text, jsonb, text, uuid, boolean) to service_role;

create function credits.consume_priced(
  p_account_id uuid, p_user_id uuid, p_book public.credit_price_books, p_operation text,
  p_quantities jsonb, p_description text, p_idempotency_key text, p_metadata jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('function', 'consume_operation', 'user_id', p_user_id,
    'book', p_book.id, 'operation', p_operation, 'quantities', p_quantities,
    'description', p_description, 'metadata', p_metadata);
  v_operation_id uuid := gen_random_uuid();
  v_balance credits.balances;
  v_price jsonb;
  v_whole bigint;
  v_metadata jsonb;
  v_answer jsonb;
begin
  v_balance := credits.lock_balance(p_account_id, p_book.credit_type);
  v_answer := credits.replay(p_account_id, p_idempotency_key, v_request);
  if v_answer is not null then
    return v_answer;
  elsif v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  v_price := credits.price_operation(p_book.id, p_operation, p_quantities, v_balance.settled_at);
  v_whole := credits.whole_credits((v_price ->> 'cost_nano')::numeric - v_balance.prepaid_nano);
  v_metadata := p_metadata || credits.price_words(p_operation, p_quantities, v_price);
  if v_whole > 0 then
    v_answer := credits.consume(p_account_id, p_user_id, p_book.credit_type, v_whole, p_description,
      null, v_metadata);
    if v_answer ->> 'code' <> 'ok' then
      return v_answer || jsonb_build_object('price_version', v_price -> 'price_version',
        'cost', credits.credits_text((v_price ->> 'cost_nano')::numeric));
    end if;
    v_operation_id := (v_answer ->> 'operation_id')::uuid;
  else
    perform credits.log_free_use(p_account_id, v_balance, v_operation_id, p_user_id, p_description,
      v_metadata);
    v_answer := credits.answer(v_balance, v_operation_id, 0);
  end if;
  v_answer := v_answer || credits.post_priced(p_account_id, v_balance, p_user_id, v_operation_id,
    p_book, p_operation, p_quantities, v_price, v_whole, null, v_balance.settled_at);
  perform credits.remember(p_account_id, p_idempotency_key, v_operation_id, v_request, v_answer,
    v_balance.settled_at);
  return v_answer;
end
$$;
comment on function credits.consume_priced(
  uuid, uuid, public.credit_price_books, text, jsonb, text, text, jsonb) is
  'Spends the cost of an operation: from the remainder first, then as many whole credits as it '
  'lacks, by the ordinary spend.';
revoke all on function credits.consume_priced(
  uuid, uuid, public.credit_price_books, text, jsonb, text, text, jsonb)
  from public, anon, authenticated, service_role;
