-- A batch is one spend after the other, booked as a set: each balance and each grant is changed
-- once, however many items.

create type credits.batch_item as (
  nth integer,
  credit_type text,
  amount bigint,
  description text,
  idempotency_key text,
  metadata jsonb,
  operation_id uuid,
  first_nth integer,
  answer jsonb
);
comment on type credits.batch_item is
  'An item of a batch: what is asked, the id of its operation, the first item with the same key, '
  'and the answer that its key has already.';

-- edge: result=Batch callers=service_role keyed denies reads=items:spend_items
--   Spend several items, all or none.
--
--   Each of the 1 to 100 items is a mapping with ``credit_type`` and, as in
--   :meth:`consume_credits`, ``amount``, ``description``, ``idempotency_key`` and ``metadata``.
--
--   Raises:
--       InsufficientCredits: one of them cannot be had, so none was spent.
--       InvalidAmount, InvalidArgument: ``details["item"]`` says which item.
create function public.consume_credits_batch(p_user_id uuid, p_items jsonb,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_items credits.batch_item[] := credits.batch_items(p_items);
  v_account_id uuid;
  v_credit_type text;
begin
  for v_credit_type in select distinct i.credit_type from unnest(v_items) i order by 1 loop
    v_account_id := credits.paying_account(p_user_id, p_workspace_id, v_credit_type);
  end loop;
  return credits.respond(credits.consume_batch(v_account_id, p_user_id, v_items));
end
$$;
comment on function public.consume_credits_batch(uuid, jsonb, uuid) is
  'Spends several items, all or none. p_items is an array of 1 to 100 objects with credit_type, '
  'amount, description, idempotency_key and metadata. Answers with items, one answer each; the '
  'same key twice is one spend, and amount counts it once. A denial names the first item that '
  'cannot be had.';
revoke all on function public.consume_credits_batch(uuid, jsonb, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.consume_credits_batch(uuid, jsonb, uuid) to service_role;

create function credits.batch_items(p_items jsonb)
returns credits.batch_item[]
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_wrong integer;
  v_items credits.batch_item[];
begin
  if jsonb_typeof(p_items) is distinct from 'array' or jsonb_array_length(p_items) not between 1
    and 100 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_items"}',
      'p_items is a JSON array of 1 to 100 objects.');
  end if;
  -- All are looked at together; what is wrong with the first bad one is told by itself. Each value
  -- is read once: a call for each item, or an expression twice, is what a batch would wait for.
  with found as materialized (
    select (i.nth - 1)::integer as nth, i.value,
      coalesce(i.value -> 'credit_type', i.value -> 'p_credit_type', 'null') as credit_type,
      coalesce(i.value -> 'amount', i.value -> 'p_amount', '1') as amount,
      coalesce(i.value -> 'description', i.value -> 'p_description', 'null') as description,
      coalesce(i.value -> 'idempotency_key', i.value -> 'p_idempotency_key', 'null') as key,
      coalesce(i.value -> 'metadata', i.value -> 'p_metadata', 'null') as metadata
    from jsonb_array_elements(p_items) with ordinality i(value, nth)
  ), read as materialized (
    select f.nth, f.amount, nullif(f.metadata, 'null') as metadata,
      coalesce(f.credit_type #>> '{}', '') as credit_type,
      f.description #>> '{}' as description, f.key #>> '{}' as key,
      jsonb_typeof(f.value) = 'object' and jsonb_typeof(f.credit_type) in ('string', 'null')
        and jsonb_typeof(f.description) in ('string', 'null')
        and jsonb_typeof(f.key) in ('string', 'null')
        and jsonb_typeof(f.metadata) in ('object', 'null')
        and jsonb_typeof(f.amount) = 'number' as has_types,
      case when jsonb_typeof(f.value) = 'object' then f.value
        - '{credit_type, amount, description, idempotency_key, metadata}'::text[]
        - '{p_credit_type, p_amount, p_description, p_idempotency_key, p_metadata}'::text[]
        = '{}' end as has_keys
    from found f
  ), checked as materialized (
    select r.nth, r.credit_type, r.amount, r.description, r.key, r.metadata,
      case when r.has_types and r.has_keys
        then r.amount::numeric = trunc(r.amount::numeric)
          and r.amount::numeric between 1 and 9007199254740992
          and coalesce(length(r.description), 0) <= 2000
          and coalesce(length(r.key), 1) between 1 and 255
          and (r.metadata is null or octet_length(r.metadata::text) <= 65536)
        else false end as is_item
    from read r
  )
  select min(c.nth) filter (where not c.is_item),
    array_agg(row(c.nth, c.credit_type, case when c.is_item then c.amount::bigint end,
      c.description, c.key, coalesce(c.metadata, '{}'), gen_random_uuid(), c.nth,
      null)::credits.batch_item order by c.nth)
    into v_wrong, v_items
  from checked c;
  if v_wrong is not null then
    perform credits.refuse_batch_item(v_wrong, p_items -> v_wrong);
  end if;
  return v_items;
end
$$;
comment on function credits.batch_items(jsonb) is
  'Reads the items of a batch. Keys are those of consume_credits, with or without p_. Raises '
  'invalid_argument or invalid_amount and says which item.';
revoke all on function credits.batch_items(jsonb) from public, anon, authenticated, service_role;

create function credits.refuse_batch_item(p_nth integer, p_item jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_at jsonb := jsonb_build_object('argument', 'p_items', 'item', p_nth);
  v_item jsonb;
  v_unknown text;
begin
  if jsonb_typeof(p_item) <> 'object' then
    perform credits.raise_error('invalid_argument', v_at, 'Each item is a JSON object.');
  end if;
  select coalesce(jsonb_object_agg(regexp_replace(e.key, '^p_', ''), e.value), '{}'),
    min(e.key)
      filter (where e.key !~ '^(p_)?(credit_type|amount|description|idempotency_key|metadata)$')
    into v_item, v_unknown
  from jsonb_each(p_item) e;
  if v_unknown is not null then
    perform credits.raise_error('invalid_argument', v_at || jsonb_build_object('key', v_unknown),
      'An item has credit_type, amount, description, idempotency_key and metadata.');
  end if;
  if exists (select 1 from jsonb_each(v_item) e
    where e.key in ('credit_type', 'description', 'idempotency_key')
      and jsonb_typeof(e.value) not in ('string', 'null')) then
    perform credits.raise_error('invalid_argument', v_at,
      'credit_type, description and idempotency_key are strings.');
  end if;
  perform credits.check_request(1, v_item ->> 'description', v_item ->> 'idempotency_key',
    nullif(v_item -> 'metadata', 'null'));
  perform credits.raise_error('invalid_amount',
    jsonb_build_object('item', p_nth, 'amount', v_item -> 'amount'));
end
$$;
comment on function credits.refuse_batch_item(integer, jsonb) is
  'Raises what is wrong with an item of a batch.';
revoke all on function credits.refuse_batch_item(integer, jsonb)
  from public, anon, authenticated, service_role;

create function credits.consume_batch(p_account_id uuid, p_user_id uuid,
  p_items credits.batch_item[])
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_items credits.batch_item[];
  v_item credits.batch_item;
  v_balances credits.balances[] := array[]::credits.balances[];
  v_balance credits.balances;
  v_before bigint;
  v_answers jsonb;
begin
  -- One lock order for all batches, whatever the order of their items.
  for v_item.credit_type in select distinct i.credit_type from unnest(p_items) i
    order by i.credit_type loop
    v_balance := credits.lock_balance(p_account_id, v_item.credit_type);
    if v_balance.account_id is null then
      perform credits.refuse_status(p_account_id, 'closed');
    end if;
    v_balances := v_balances || v_balance;
  end loop;
  if p_user_id <> p_account_id then
    perform credits.require_spender(p_account_id, p_user_id);
  end if;
  v_items := credits.recognise_items(p_account_id, p_user_id, p_items);
  if v_balance.account_status <> 'active' and exists (
    select 1 from unnest(v_items) i where i.answer is null and i.first_nth = i.nth) then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;

  -- The first item that cannot be had after those before it denies all of them. Nothing has been
  -- written yet.
  with rooms as materialized (
    select b.credit_type, credits.available(b) as available from unnest(v_balances) b
  )
  select w.nth, w.until - w.amount into v_item.nth, v_before
  from (
    select i.nth, i.credit_type, i.amount,
      (sum(i.amount) over (partition by i.credit_type order by i.nth))::bigint as until
    from unnest(v_items) i where i.answer is null and i.first_nth = i.nth) w
  join rooms r on r.credit_type = w.credit_type and r.available < w.until
  order by w.nth limit 1;
  if found then
    return credits.refuse_batch(p_account_id, p_user_id, v_items[v_item.nth + 1], v_before,
      v_balances);
  end if;
  v_answers := credits.take_items_from_budgets(p_account_id, p_user_id, v_items, v_balances);
  if v_answers is not null then
    return v_answers;
  end if;
  v_answers := jsonb '{}';
  foreach v_balance in array v_balances loop
    v_answers := v_answers || credits.spend_items(p_account_id, p_user_id, v_balance, v_items);
  end loop;
  return credits.batch_answer(v_items, v_answers);
end
$$;
comment on function credits.consume_batch(uuid, uuid, credits.batch_item[]) is
  'Spends all items or none. Types are locked in sorted order.';
revoke all on function credits.consume_batch(uuid, uuid, credits.batch_item[])
  from public, anon, authenticated, service_role;

create function credits.recognise_items(p_account_id uuid, p_user_id uuid,
  p_items credits.batch_item[])
returns credits.batch_item[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_items credits.batch_item[];
  v_item credits.batch_item;
  v_other credits.batch_item;
begin
  if not exists (select 1 from unnest(p_items) i where i.idempotency_key is not null) then
    return p_items;
  end if;
  select array_agg(row(i.nth, i.credit_type, i.amount, i.description, i.idempotency_key, i.metadata,
    i.operation_id, i.first, null)::credits.batch_item order by i.nth) into v_items
  from (
    select o.nth, o.credit_type, o.amount, o.description, o.idempotency_key, o.metadata,
      o.operation_id, case when o.idempotency_key is null then o.nth
        else min(o.nth) over (partition by o.idempotency_key) end as first
    from unnest(p_items) o) i;
  for v_item in
    select i.* from unnest(v_items) i
    where i.first_nth <> i.nth or exists (
      select 1 from credits.idempotency_keys k
      where k.account_id = p_account_id and k.idempotency_key = i.idempotency_key)
    order by i.nth
  loop
    v_items[v_item.nth + 1].answer := credits.replay(p_account_id, v_item.idempotency_key,
      credits.spend_request(p_user_id, v_item.credit_type, v_item.amount, v_item.description,
        v_item.metadata));
    v_other := v_items[v_item.first_nth + 1];
    if v_item.credit_type <> v_other.credit_type or v_item.amount <> v_other.amount
       or v_item.description is distinct from v_other.description
       or v_item.metadata <> v_other.metadata then
      perform credits.raise_error('idempotency_conflict', jsonb_build_object(
        'idempotency_key', v_item.idempotency_key, 'item', v_item.nth, 'differs_in',
        credits.differences(
          credits.spend_request(p_user_id, v_item.credit_type, v_item.amount, v_item.description,
            v_item.metadata),
          credits.spend_request(p_user_id, v_other.credit_type, v_other.amount, v_other.description,
            v_other.metadata))));
    end if;
  end loop;
  return v_items;
end
$$;
comment on function credits.recognise_items(uuid, uuid, credits.batch_item[]) is
  'Says of each item of a batch which one is the first with its key, and what the key has been '
  'answered already. Raises idempotency_conflict. Call it with the balances locked.';
revoke all on function credits.recognise_items(uuid, uuid, credits.batch_item[])
  from public, anon, authenticated, service_role;

create function credits.spend_items(
  p_account_id uuid, p_user_id uuid, p_balance credits.balances, p_items credits.batch_item[])
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_available bigint := credits.available(p_balance);
  v_answer jsonb := credits.answer(p_balance, null, null);
  -- The same of each item: what they take is on both sides.
  v_has_untold boolean := credits.untold_figures(p_balance.balance, p_balance.allowance,
    v_available, p_balance.used, p_balance.reserved + p_balance.reserved_unlimited) is not null;
  v_total bigint;
  v_keys bigint;
  v_posted record;
begin
  select coalesce(sum(i.amount), 0), count(i.idempotency_key) into v_total, v_keys
  from unnest(p_items) i
  where i.credit_type = p_balance.credit_type and i.answer is null and i.first_nth = i.nth;
  if v_total = 0 then
    return '{}'::jsonb;
  end if;
  -- Items and grants are laid end to end on one line; where a stretch of an item lies on a grant,
  -- that grant pays for it.
  with fresh as (
    select i.nth, i.amount, i.description, i.idempotency_key, i.metadata, i.operation_id,
      (sum(i.amount) over (order by i.nth))::bigint as until
    from unnest(p_items) i
    where i.credit_type = p_balance.credit_type and i.answer is null and i.first_nth = i.nth
  ), grants as (
    select g.id, g.free, sum(g.free) over (order by g.nth) as until
    from credits.spendable_grants(p_account_id, p_balance.credit_type, p_balance.settled_at)
      with ordinality g(id, free, nth)
    where p_balance.allowance is not null
    union all
    select null, v_total, v_total where p_balance.allowance is null
  ), slices as (
    select f.nth, f.description, f.metadata, f.operation_id, g.id as grant_id, f.until,
      (least(f.until, g.until) - greatest(f.until - f.amount, g.until - g.free))::bigint as take,
      least(f.until, g.until)::bigint as taken,
        row_number() over (order by f.nth, g.until) as row_nth
    from fresh f
    join grants g on g.until - g.free < f.until and f.until - f.amount < g.until
  ), spent as (
    update public.credit_grants g set remaining = g.remaining - s.take, spent = g.spent + s.take
    from (select x.grant_id, sum(x.take)::bigint as take from slices x group by x.grant_id) s
    where g.account_id = p_account_id and g.id = s.grant_id
  ), posted as (
    insert into public.credit_transactions (
      account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount,
        balance_after, description, metadata,
      created_at)
    select p_account_id, p_balance.credit_type, p_balance.version + s.row_nth, s.operation_id,
      s.grant_id, p_user_id,
      'consume', -s.take, case when s.grant_id is not null then p_balance.balance - s.taken end,
      s.description, s.metadata,
      p_balance.settled_at
    from slices s order by s.row_nth
  ), logged as (
    insert into public.usage (
      account_id, user_id, credit_type, credits_used, status, description, metadata, operation_id,
        created_at)
    select p_account_id, p_user_id, p_balance.credit_type, f.amount, 'allowed', f.description,
      f.metadata, f.operation_id,
      p_balance.settled_at
    from fresh f order by f.nth
  ), kept as (
    insert into credits.idempotency_keys (
      account_id, idempotency_key, operation_id, allowance, period_end, answer)
    select p_account_id, f.idempotency_key, f.operation_id, p_balance.allowance,
      p_balance.period_end, case when v_has_untold then credits.untold_figures(
        p_balance.balance - f.until, p_balance.allowance, v_available - f.until,
        p_balance.used + f.until, p_balance.reserved + p_balance.reserved_unlimited) end
    from fresh f where f.idempotency_key is not null
    on conflict (account_id, idempotency_key) do nothing
    returning account_id
  )
  select (select count(*) from slices) as rows, (select sum(s.take) from slices s) as taken,
    (select count(*) from kept) as keys,
    (select jsonb_object_agg(f.nth, v_answer || jsonb_build_object('operation_id', f.operation_id,
      'amount', f.amount, 'used', p_balance.used + f.until, 'remaining', v_available - f.until))
      from fresh f) as answers
    into v_posted;
  if v_posted.taken is distinct from v_total then
    perform credits.raise_disagreement(p_account_id, p_balance.credit_type,
      (v_total - coalesce(v_posted.taken, 0))::bigint);
  elsif v_posted.keys <> v_keys then
    perform credits.raise_error('idempotency_conflict');
  end if;
  update credits.balances b set
    version = p_balance.version + v_posted.rows, used = p_balance.used + v_total,
      settled_at = p_balance.settled_at,
    balance = p_balance.balance - case when p_balance.allowance is null then 0 else v_total end
  where b.account_id = p_account_id and b.credit_type = p_balance.credit_type;
  perform credits.notice_levels(p_account_id, p_balance.credit_type);
  return v_posted.answers;
end
$$;
comment on function credits.spend_items(uuid, uuid, credits.balances, credits.batch_item[]) is
  'Spends the new items of one credit type from the grants in burn order, as a set: what as many '
  'single spends would leave behind. Answers an object: the answer of each, by its number.';
revoke all on function credits.spend_items(uuid, uuid, credits.balances, credits.batch_item[])
  from public, anon, authenticated, service_role;

create function credits.refuse_batch(
  p_account_id uuid, p_user_id uuid, p_item credits.batch_item, p_before bigint,
  p_balances credits.balances[])
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_available bigint;
  v_denial jsonb;
begin
  select b.* into v_balance from unnest(p_balances) b where b.credit_type = p_item.credit_type;
  -- What the item saw, after the items before it.
  v_available := credits.available(v_balance) - p_before;
  perform credits.log_denial(p_account_id, v_balance, p_item.operation_id, p_item.amount,
    v_available, p_user_id,
    p_item.description, p_item.metadata);
  v_denial := credits.denial(p_account_id, v_balance, p_item.operation_id, p_item.amount);
  return jsonb_set(v_denial, '{details,available}', to_jsonb(v_available))
    || jsonb_build_object('item', p_item.nth, 'items', '[]'::jsonb);
end
$$;
comment on function credits.refuse_batch(uuid, uuid, credits.batch_item, bigint,
  credits.balances[]) is
  'Puts the denial of a batch on record, of its first item that cannot be had, and answers it.';
revoke all on function credits.refuse_batch(uuid, uuid, credits.batch_item, bigint,
  credits.balances[])
  from public, anon, authenticated, service_role;

create function credits.batch_answer(p_items credits.batch_item[], p_answers jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_answers jsonb;
  v_amount bigint;
  v_is_replayed boolean;
begin
  -- One spend under one key, however often it was sent.
  select jsonb_agg(coalesce(i.answer, case when i.first_nth = i.nth
      then p_answers -> i.nth::text
      else p_answers -> i.first_nth::text || '{"replayed": true}' end) order by i.nth),
    sum(i.amount) filter (where i.first_nth = i.nth),
    bool_and(i.answer is not null or i.first_nth <> i.nth)
    into v_answers, v_amount, v_is_replayed
  from unnest(p_items) i;
  return jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', v_answers -> -1 -> 'operation_id',
    'credit_type', null, 'amount', v_amount, 'remaining', null, 'limit', null, 'used', null,
    'reserved', null, 'unlimited', null, 'period_end', null, 'replayed', v_is_replayed,
    'items', v_answers);
end
$$;
comment on function credits.batch_answer(credits.batch_item[], jsonb) is
  'The answer of a batch: an answer for each item, in their order, and the credits that they are '
  'together.';
revoke all on function credits.batch_answer(credits.batch_item[], jsonb)
  from public, anon, authenticated, service_role;
