create function credits.verify_holds(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with captures as (
    -- A part has an operation of its own, related to the hold's.
    select t.account_id, coalesce(t.related_operation_id, t.operation_id) as operation_id,
      t.grant_id, t.credit_type,
      -sum(t.amount) as amount, min(t.created_at) as since, max(t.created_at) as until,
      min(t.created_at) filter (where t.related_operation_id is null) as whole_at
    from public.credit_transactions t
    where t.kind = 'capture' and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, coalesce(t.related_operation_id, t.operation_id), t.grant_id,
      t.credit_type
  ), holds as (
    select r.account_id, r.id, r.credit_type, r.operation_id, r.amount + r.extra as amount,
      r.unlimited,
      r.unlimited_captured, r.captured, r.status, r.created_at,
      coalesce(r.closed_at, 'infinity') as closed_at,
      b.account_id is not null and r.amount > 0 and least(r.extra, r.shortfall) >= 0
        and (r.status = 'open') = (r.closed_at is null)
        and case r.status when 'open' then r.released = 0 and r.captured <= r.amount + r.extra
          else r.captured + r.released = r.amount + r.extra end
        and (r.captured > 0 or r.extra + r.shortfall = 0)
        and (r.shortfall = 0 or r.captured = r.amount + r.extra)
        -- It answers for the last part.
        and coalesce((r.answer ->> 'captured')::bigint <= r.captured
        and (r.answer ->> 'shortfall')::bigint <= r.shortfall
          and (r.answer ->> 'released')::bigint = case when r.status = 'captured'
            -- One that the remainder has paid for goes back, and answers so.
            or r.status = 'released' and r.answer ? 'cost' and r.answer ->> 'held' = '0'
            then r.released else 0 end, true)
        and r.expires_at > r.created_at and r.expires_at <= coalesce(r.extended_at, r.created_at)
          + interval '24 hours'
        and coalesce(r.extended_at between r.created_at and b.settled_at
        and r.extended_at < r.expires_at, true)
        and case r.status when 'open' then r.expires_at > b.settled_at and b.due_at <= r.expires_at
          when 'expired' then r.closed_at = r.expires_at
          else r.status in ('captured', 'released') and r.closed_at >= r.created_at
            and r.closed_at < r.expires_at end
        and (r.status <> 'captured' or r.captured > 0) as is_sane
    from public.credit_reservations r
    left join credits.balances b on b.account_id = r.account_id and b.credit_type = r.credit_type
    where p_account_id is null or r.account_id = p_account_id
  ), slices as (
    -- A capture spends what its hold has pinned: no more from a grant than the slice of it, while
    -- the hold was open.
    select s.account_id, s.reservation_id, sum(s.amount) as amount,
      coalesce(sum(c.amount), 0) as captured,
      bool_and(coalesce(g.credit_type = h.credit_type and s.captured <= s.amount
        and s.captured = coalesce(c.amount, 0)
        and (c.amount is null or c.credit_type = h.credit_type and c.since >= h.created_at
        and c.until <= h.closed_at
          and (c.whole_at is null or c.whole_at = h.closed_at and h.status = 'captured')), false))
            as are_sane
    from credits.reservation_slices s
    left join holds h on h.account_id = s.account_id and h.id = s.reservation_id
    left join public.credit_grants g on g.account_id = s.account_id and g.id = s.grant_id
    left join captures c on c.account_id = s.account_id and c.operation_id = h.operation_id
      and c.grant_id = s.grant_id
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.reservation_id
  ), unlimited as (
    -- Of no grant, so no slice has it.
    select h.account_id, h.id as reservation_id, h.unlimited as amount,
      coalesce(c.amount, 0) as captured,
      h.unlimited_captured = coalesce(c.amount, 0)
        and coalesce(c.amount <= h.unlimited and c.credit_type = h.credit_type
        and c.since >= h.created_at and c.until <= h.closed_at
        and (c.whole_at is null or c.whole_at = h.closed_at and h.status = 'captured'),
        true) as is_sane
    from holds h
    left join captures c on c.account_id = h.account_id and c.operation_id = h.operation_id
      and c.grant_id is null
    where h.unlimited + h.unlimited_captured > 0 or c.amount is not null
  ), broken as materialized (
    select coalesce(h.account_id, s.account_id) as account_id,
      coalesce(h.id, s.reservation_id) as reservation_id
    from holds h
    full join slices s on s.account_id = h.account_id and s.reservation_id = h.id
    left join unlimited u on u.account_id = h.account_id and u.reservation_id = h.id
    where (h.is_sane and coalesce(s.are_sane, u.amount > 0) and coalesce(u.is_sane, true)
      and h.amount = coalesce(s.amount, 0) + coalesce(u.amount, 0)
      and h.captured = coalesce(s.captured, 0) + coalesce(u.captured, 0)) is not true
    union all
    select c.account_id, h.id from captures c
    left join holds h on h.account_id = c.account_id and h.operation_id = c.operation_id
    left join credits.reservation_slices s
      on s.account_id = c.account_id and s.reservation_id = h.id and s.grant_id = c.grant_id
    where s.amount is null and (c.grant_id is not null or h.id is null)
  )
  select (select count(*) from public.credit_reservations x where p_account_id is null
    or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.reservation_id from broken c order by c.account_id limit 10) b), '[]');
end
$$;
comment on function credits.verify_holds(uuid) is
  'Rule 4: captured and returned is what was held, grant by grant, by the time the hold was '
  'closed; no hold outlives its expiry.';
revoke all on function credits.verify_holds(uuid) from public, anon, authenticated, service_role;
