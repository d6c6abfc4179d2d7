create function credits.batch_items(p_items jsonb)
returns table (item integer, credit_type text, amount bigint, description text, idempotency_key text, metadata jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_item jsonb;
  v_unknown text;
begin
  if jsonb_typeof(p_items) is distinct from 'array' or jsonb_array_length(p_items) not between 1 and 100 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_items"}', 'p_items is a JSON array of 1 to 100 objects.');
  end if;
  for v_index in 0 .. jsonb_array_length(p_items) - 1 loop
    item := v_index;
    if jsonb_typeof(p_items -> item) <> 'object' then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_items', 'item', item),
        'Each item is a JSON object.');
    end if;
    select jsonb_object_agg(regexp_replace(e.key, '^p_', ''), e.value) into v_item from jsonb_each(p_items -> item) e;
    v_item := jsonb_strip_nulls(coalesce(v_item, '{}'));
    select k.key into v_unknown from jsonb_object_keys(v_item) as k(key)
    where k.key not in ('credit_type', 'amount', 'description', 'idempotency_key', 'metadata') limit 1;
    if v_unknown is not null then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_items', 'item', item, 'key', v_unknown),
        'An item has credit_type, amount, description, idempotency_key and metadata.');
    end if;
    if v_item ? 'amount' and (jsonb_typeof(v_item -> 'amount') <> 'number'
         or (v_item ->> 'amount')::numeric <> trunc((v_item ->> 'amount')::numeric)
         or (v_item ->> 'amount')::numeric not between 1 and 9007199254740992)
       or (p_items -> item -> 'amount') = 'null' or (p_items -> item -> 'p_amount') = 'null' then
      perform credits.raise_error('invalid_amount', jsonb_build_object('item', item, 'amount', v_item -> 'amount'));
    end if;
    if exists (select from jsonb_each(v_item) e
      where e.key in ('credit_type', 'description', 'idempotency_key') and jsonb_typeof(e.value) <> 'string') then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_items', 'item', item),
        'credit_type, description and idempotency_key are strings.');
    end if;
    credit_type := coalesce(v_item ->> 'credit_type', '');
    amount := coalesce((v_item ->> 'amount')::numeric, 1)::bigint;
    description := v_item ->> 'description';
    idempotency_key := v_item ->> 'idempotency_key';
    metadata := coalesce(v_item -> 'metadata', '{}');
    perform credits.check_request(amount, description, idempotency_key, metadata);
    return next;
  end loop;
end
$$;
comment on function credits.batch_items(jsonb) is
  'Reads the items of a batch. Keys are those of consume_credits, with or without p_. Raises invalid_argument or invalid_amount and says which item.';
revoke all on function credits.batch_items(jsonb) from public, anon, authenticated, service_role;

create function credits.consume_batch(p_account_id uuid, p_user_id uuid, p_items jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_item record;
  v_answer jsonb;
  v_answers jsonb := jsonb '[]';
  v_balance credits.balances;
begin
  -- One lock order for all batches, whatever the order of their items.
  for v_item in select distinct i.credit_type from credits.batch_items(p_items) i order by i.credit_type loop
    perform credits.lock_balance(p_account_id, v_item.credit_type);
  end loop;

  begin
    for v_item in select * from credits.batch_items(p_items) i order by i.item loop
      v_answer := credits.consume(p_account_id, p_user_id, v_item.credit_type, v_item.amount, v_item.description,
        v_item.idempotency_key, v_item.metadata);
      if v_answer is null then
        perform credits.refuse_status(p_account_id, 'closed');
      end if;
      if v_answer ->> 'code' <> 'ok' then
        raise exception using errcode = 'PTBAT';
      end if;
      v_answers := v_answers || jsonb_build_array(v_answer);
    end loop;
  exception when sqlstate 'PTBAT' then
    -- Both or neither: what the items before took is undone here, and the denial alone goes on record. Its details say
    -- what the item saw, after the items before it.
    v_balance := credits.lock_balance(p_account_id, v_item.credit_type);
    return credits.refuse(p_account_id, v_balance, (v_answer ->> 'operation_id')::uuid, v_item.amount, p_user_id,
        v_item.description, v_item.metadata)
      || jsonb_build_object('details', v_answer -> 'details', 'item', v_item.item, 'items', '[]'::jsonb);
  end;
  return jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', v_answer -> 'operation_id', 'credit_type', null, 'amount', (
      select sum((a.value ->> 'amount')::bigint) from jsonb_array_elements(v_answers) a),
    'remaining', null, 'limit', null, 'used', null, 'reserved', null, 'unlimited', null, 'period_end', null,
    'replayed', (select bool_and((a.value ->> 'replayed')::boolean) from jsonb_array_elements(v_answers) a),
    'items', v_answers);
end
$$;
comment on function credits.consume_batch(uuid, uuid, jsonb) is 'Spends all items or none. Types are locked in sorted order.';
revoke all on function credits.consume_batch(uuid, uuid, jsonb) from public, anon, authenticated, service_role;

-- edge: result=Batch callers=service_role keyed denies reads=items:spend_items
--   Spend several items, all or none.
--
--   Each of the 1 to 100 items is a mapping with ``credit_type`` and, as in
--   :meth:`consume_credits`, ``amount``, ``description``, ``idempotency_key`` and ``metadata``.
--
--   Raises:
--       InsufficientCredits: one of them cannot be had, so none was spent.
--       InvalidAmount, InvalidArgument: ``details["item"]`` says which item.
create function public.consume_credits_batch(p_user_id uuid, p_items jsonb, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_answer jsonb;
  v_credit_type text;
begin
  for v_credit_type in select distinct i.credit_type from credits.batch_items(p_items) i order by 1 loop
    v_account_id := credits.paying_account(p_user_id, p_workspace_id, v_credit_type);
  end loop;
  v_answer := credits.consume_batch(v_account_id, p_user_id, p_items);
  if v_answer ->> 'code' <> 'ok' then
    return credits.deny(v_answer);
  end if;
  return v_answer;
end
$$;
comment on function public.consume_credits_batch(uuid, jsonb, uuid) is
  'Spends several items, all or none. p_items is an array of 1 to 100 objects with credit_type, amount, description, idempotency_key and metadata. Answers with items, one answer each; a denial names the first item that cannot be had.';
revoke all on function public.consume_credits_batch(uuid, jsonb, uuid) from public, anon, authenticated, service_role;
grant execute on function public.consume_credits_batch(uuid, jsonb, uuid) to service_role;
