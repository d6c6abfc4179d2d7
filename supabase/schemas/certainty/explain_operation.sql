create function credits.read_operation(p_user_id uuid, p_operation_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.reading_user(p_user_id);
  v_account_id uuid := credits.paying_account(v_user_id, p_workspace_id);
  v_only_actor uuid := credits.only_actor(v_account_id, v_user_id);
  -- The ledger has an index for it. The others are looked through only where it has no row.
  v_is_booked boolean := exists (
    select 1 from public.credit_transactions t
    where t.account_id = v_account_id and t.operation_id = p_operation_id);
  v_answer jsonb;
begin
  select jsonb_build_object(
    'success', true, 'code', 'ok', 'operation_id', p_operation_id, 'account_id', v_account_id,
    'user_id', o.user_id, 'kind', o.kind, 'credit_type', o.credit_type, 'amount', o.amount,
    'price', jsonb_build_object('credit_type', o.credit_type, 'credits', o.amount)
      || coalesce(credits.price_of_operation(v_account_id, p_operation_id), '{}'),
    'status', o.status,
    'description', o.description, 'metadata', o.metadata, 'created_at', o.created_at,
    -- What a denial asked for and what there was, when it was denied.
    'required', case when o.kind = 'denial' then o.metadata -> 'required' end,
    'available', case when o.kind = 'denial' then o.metadata -> 'available' end,
    'entries', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'version', t.version, 'credit_type', t.credit_type, 'kind', t.kind, 'grant_id', t.grant_id,
        'source', g.source, 'priority', g.priority,
        'expires_at', g.expires_at, 'amount', t.amount,
        'balance_before', t.balance_after - t.amount,
        'balance_after', t.balance_after, 'created_at', t.created_at) order by t.credit_type,
          t.version), '[]')
      from public.credit_transactions t
      left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id
      where t.account_id = v_account_id and t.operation_id = p_operation_id),
    -- What it belongs to: a refund to the spend that it gives back.
    'related_operation_id', (
      select t.related_operation_id from public.credit_transactions t
      where t.account_id = v_account_id and t.operation_id = p_operation_id
        and t.related_operation_id is not null
      order by t.credit_type, t.version limit 1),
    'refunded', (
      select coalesce(sum(t.amount), 0) from public.credit_transactions t
      where t.account_id = v_account_id and t.related_operation_id = p_operation_id
        and t.kind = 'refund'),
    'refunds', (
      select coalesce(jsonb_agg(jsonb_build_object('operation_id', f.operation_id,
        'amount', f.amount, 'created_at', f.created_at)
        order by f.created_at), '[]')
      from (select t.operation_id, sum(t.amount) as amount, min(t.created_at) as created_at
        from public.credit_transactions t
        where t.account_id = v_account_id and t.related_operation_id = p_operation_id
          and t.kind = 'refund'
        group by t.operation_id) f),
    'related', (
      select coalesce(jsonb_agg(jsonb_build_object('operation_id', t.operation_id, 'kind', t.kind,
        'amount', t.amount,
        'grant_id', t.grant_id, 'description', t.description) order by t.credit_type, t.version),
          '[]')
      from public.credit_transactions t
      where t.account_id = v_account_id and t.related_operation_id = p_operation_id
        and t.kind <> 'refund'),
    'reservation', (
      select jsonb_build_object('reservation_id', r.id,
        'status', case when r.status = 'open' and r.expires_at <= n.at then 'expired'
          else r.status end,
        'amount', r.amount, 'captured', r.captured, 'released', r.released,
        'shortfall', r.shortfall,
        'expires_at', r.expires_at, 'reason', r.close_reason)
      from public.credit_reservations r
      where r.account_id = v_account_id and r.operation_id = p_operation_id))
    into v_answer
  from (
    -- The operation is known by its ledger rows, else by its hold, else by the attempt that was
    -- denied, else by its key.
    select min(t.user_id::text)::uuid as user_id, min(t.kind)::text as kind,
      min(t.credit_type) as credit_type,
      abs(sum(t.amount)) as amount, 'booked' as status, min(t.description) as description,
      (array_agg(t.metadata order by t.credit_type, t.version))[1] as metadata,
      min(t.created_at) as created_at, 1 as rank
    from public.credit_transactions t
    where t.account_id = v_account_id and t.operation_id = p_operation_id
      -- Credits of two types are no sum. What moved of the others is in the entries.
      and t.credit_type = (
        select min(f.credit_type) from public.credit_transactions f
        where f.account_id = v_account_id and f.operation_id = p_operation_id)
    having count(*) > 0
    union all
    select r.user_id, 'reserve', r.credit_type, r.amount, r.status, r.description, r.metadata,
      r.created_at, 2
    from public.credit_reservations r
    where not v_is_booked and r.account_id = v_account_id and r.operation_id = p_operation_id
    union all
    select u.user_id, case u.status when 'allowed' then 'consume' else 'denial' end, u.credit_type,
      0,
      case u.status when 'allowed' then 'booked' else u.status end, u.description, u.metadata,
      u.created_at, 3
    from public.usage u
    where not v_is_booked and u.account_id = v_account_id and u.operation_id = p_operation_id
    union all
    select f.user_id, 'refund', f.credit_type, 0, 'booked', null, '{}', f.created_at, 3
    from credits.priced_refunds f
    where f.account_id = v_account_id and f.refund_id = p_operation_id
    union all
    -- A change of the plan moves no credits of its own.
    select (k.request ->> 'user_id')::uuid, k.request ->> 'function', null, 0, 'booked',
      concat_ws(', ', k.request ->> 'plan_id', k.request ->> 'effective'), '{}', k.created_at, 4
    from credits.idempotency_keys k
    where not v_is_booked and k.account_id = v_account_id and k.operation_id = p_operation_id
    order by rank limit 1
  ) o
  left join lateral (
    select greatest(coalesce(b.test_now, statement_timestamp()), b.settled_at) as at
    from credits.balances b where b.account_id = v_account_id
      and b.credit_type = o.credit_type) n on true;
  if v_answer is null
     or (v_only_actor is not null
       and v_answer ->> 'user_id' is distinct from v_only_actor::text) then
    perform credits.raise_error('operation_not_found', jsonb_build_object('operation_id',
      p_operation_id));
  end if;
  return v_answer;
end
$$;
comment on function credits.read_operation(uuid, uuid, uuid) is
  'What explain_operation answers, after asking whether the caller may read it.';
revoke all on function credits.read_operation(uuid, uuid, uuid) from public, anon, authenticated,
  service_role;
grant execute on function credits.read_operation(uuid, uuid, uuid) to authenticated, service_role;

create function credits.price_of_operation(p_account_id uuid, p_operation_id uuid)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_price jsonb;
begin
  -- All of it in credits, as a person adds it up: cost is what was taken plus what was paid before,
  -- less what stays paid.
  select jsonb_build_object('book', o.book, 'operation', o.operation, 'quantities', o.quantities,
    'lines', o.lines, 'price_version', o.price_version,
    'cost', credits.credits_text(o.cost_nano), 'unpaid', credits.credits_text(o.unpaid_nano),
    'whole', o.whole, 'remainder_before', credits.credits_text(o.prepaid_before),
    'remainder', credits.credits_text(o.prepaid_after),
    'refunded', credits.credits_text((
      select coalesce(sum(f.cost_nano), 0) from credits.priced_refunds f
      where f.account_id = p_account_id and f.operation_id = p_operation_id)))
    into v_price
  from credits.priced_operations o
  where o.account_id = p_account_id and o.operation_id = p_operation_id;
  if found then
    return v_price;
  end if;
  select jsonb_build_object('refunds_operation_id', f.operation_id,
    'cost', credits.credits_text(f.cost_nano), 'whole', f.whole,
    'remainder_before', credits.credits_text(f.prepaid_before),
    'remainder', credits.credits_text(f.prepaid_after))
    into v_price
  from credits.priced_refunds f
  where f.account_id = p_account_id and f.refund_id = p_operation_id;
  return v_price;
end
$$;
comment on function credits.price_of_operation(uuid, uuid) is
  'The receipt of a priced operation or of a refund of one: quantities, prices, cost, and the '
  'remainder before and after. Null for others.';
revoke all on function credits.price_of_operation(uuid, uuid)
  from public, anon, authenticated, service_role;

-- edge: result=Operation callers=authenticated,service_role repeatable required=operation_id
--   Which grants an operation touched, its price, the balance before and after.
--
--   Raises:
--       OperationNotFound: the account has no such operation.
--       AccountNotFound.
create function public.explain_operation(
  p_user_id uuid default null, p_operation_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.read_operation(p_user_id, p_operation_id, p_workspace_id);
comment on function public.explain_operation(uuid, uuid, uuid) is
  'What an operation did: each grant it touched, with its source and priority, the balance before '
  'and after, its refunds and its hold; of a denial what it required and what was available. A '
  'signed-in user may leave p_user_id out. Raises operation_not_found.';
revoke all on function public.explain_operation(uuid, uuid, uuid) from public, anon, authenticated,
  service_role;
grant execute on function public.explain_operation(uuid, uuid, uuid) to authenticated, service_role;
