create function credits.verify_prices(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with posted as (
    -- What the ledger took for priced operations, and gave back of them.
    select t.account_id, t.credit_type, o.operation_id,
      -coalesce(sum(t.amount) filter (where t.kind <> 'refund'), 0) as whole,
      coalesce(sum(t.amount) filter (where t.kind = 'refund'), 0) as returned
    from credits.priced_operations o
    join public.credit_transactions t on t.account_id = o.account_id
      and (t.operation_id = o.operation_id and t.kind in ('consume', 'capture')
        or t.related_operation_id = o.operation_id and t.kind = 'refund')
    where p_account_id is null or o.account_id = p_account_id
    group by t.account_id, t.credit_type, o.operation_id
  ), sums as (
    select s.account_id, s.credit_type, sum(s.nano) as nano from (
      select o.account_id, o.credit_type, -o.cost_nano::numeric as nano
      from credits.priced_operations o
      union all
      select f.account_id, f.credit_type, f.cost_nano from credits.priced_refunds f
      union all
      select p.account_id, p.credit_type, (p.whole - p.returned) * 1000000000 from posted p
      union all
      select d.account_id, d.credit_type, -d.nano from credits.dropped_remainders d
    ) s
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.credit_type
  ), broken as materialized (
    -- Σ cost − refunds = 1e9 × whole − remainder, per account and type; a remainder that was
    -- dropped with its account counts as used.
    select b.account_id, b.credit_type, null::uuid as operation_id
    from credits.balances b
    full join sums s on s.account_id = b.account_id and s.credit_type = b.credit_type
    where coalesce(s.nano, 0) <> coalesce(b.prepaid_nano, 0)
      and (p_account_id is null or b.account_id = p_account_id)
    union all
    select o.account_id, o.credit_type, o.operation_id
    from credits.priced_operations o
    left join posted p on p.account_id = o.account_id and p.credit_type = o.credit_type
      and p.operation_id = o.operation_id
    where (p_account_id is null or o.account_id = p_account_id)
      and (o.whole <> coalesce(p.whole, 0) or o.returned <> coalesce(p.returned, 0)
        or o.prepaid_before + o.whole * 1000000000::numeric - o.cost_nano <> o.prepaid_after
        or not credits.receipt_adds_up(o)
        or o.cost_nano < (select coalesce(sum(f.cost_nano), 0) from credits.priced_refunds f
          where f.account_id = o.account_id and f.operation_id = o.operation_id)
        or not exists (select 1 from credits.operation_costs c
          where c.account_id = o.account_id and c.operation_id = o.operation_id)
        or o.reservation_id is not null and not exists (select 1 from credits.priced_holds h
          where h.account_id = o.account_id and h.reservation_id = o.reservation_id))
    union all
    select h.account_id, null, h.reservation_id
    from credits.priced_holds h
    left join public.credit_reservations r on r.account_id = h.account_id
      and r.id = h.reservation_id
    where (p_account_id is null or h.account_id = p_account_id)
      and r.amount is distinct from greatest(1, credits.whole_credits(h.cost_nano))
    union all
    select f.account_id, f.credit_type, f.refund_id
    from credits.priced_refunds f
    where (p_account_id is null or f.account_id = p_account_id)
      and (f.prepaid_before + f.cost_nano - f.whole * 1000000000::numeric <> f.prepaid_after
        or f.whole <> (select coalesce(sum(t.amount), 0) from public.credit_transactions t
          where t.account_id = f.account_id and t.operation_id = f.refund_id and t.kind = 'refund'))
  )
  select (select count(*) from credits.priced_operations o
      where p_account_id is null or o.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.credit_type, c.operation_id from broken c
      order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_prices(uuid) is
  'Rule 9: what priced operations cost, less what was given back, is the whole credits that the '
  'ledger took for them, less the remainder, to the billionth; each costs what its lines '
  'add up to.';
revoke all on function credits.verify_prices(uuid) from public, anon, authenticated, service_role;

create function credits.receipt_adds_up(p_operation credits.priced_operations)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_operation.cost_nano + p_operation.unpaid_nano
      = credits.cost_of_lines(p_operation.lines)
    and (
      select jsonb_object_agg(l.dimension, l.quantity) = p_operation.quantities
        and max(l.version) = p_operation.price_version
        and bool_and(p.book is not null and (l.pattern = p_operation.operation
          or starts_with(p_operation.operation, rtrim(l.pattern, '*'))))
      from jsonb_to_recordset(p_operation.lines) l (dimension text, quantity numeric, pattern text,
        version bigint)
      left join credits.prices p on p.book = p_operation.book and p.operation = l.pattern
        and p.dimension = l.dimension and p.version = l.version);
end
$$;
comment on function credits.receipt_adds_up(credits.priced_operations) is
  'Whether the lines of a receipt are its quantities at prices of its book, and add up to its '
  'cost.';
revoke all on function credits.receipt_adds_up(credits.priced_operations)
  from public, anon, authenticated, service_role;
