create function credits.verify_holds(p_account_id uuid)
returns table (checked bigint, violations jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with slices as (
    select s.account_id, s.reservation_id, sum(s.amount) as amount
    from credits.reservation_slices s
    where p_account_id is null or s.account_id = p_account_id
    group by s.account_id, s.reservation_id
  ), captures as (
    select t.account_id, t.operation_id, -sum(t.amount) as amount
    from public.credit_transactions t
    where t.kind = 'capture' and (p_account_id is null or t.account_id = p_account_id)
    group by t.account_id, t.operation_id
  ), compared as (
    select r.account_id, r.id,
      coalesce(s.amount, 0) = r.amount + r.extra and coalesce(c.amount, 0) = r.captured
        and (r.status = 'open' or r.captured + r.released = r.amount + r.extra)
        and (r.status <> 'open' or r.expires_at > b.settled_at or b.due_at <= r.expires_at) as ok
    from public.credit_reservations r
    join credits.balances b on b.account_id = r.account_id and b.credit_type = r.credit_type
    left join slices s on s.account_id = r.account_id and s.reservation_id = r.id
    left join captures c on c.account_id = r.account_id and c.operation_id = r.operation_id
    where p_account_id is null or r.account_id = p_account_id
  )
  select (select count(*) from public.credit_reservations x where p_account_id is null or x.account_id = p_account_id),
    coalesce((select jsonb_agg(to_jsonb(b)) from (
      select c.account_id, c.id as reservation_id from compared c where c.ok is not true order by c.account_id::text limit 10) b), '[]');
end
$$;
comment on function credits.verify_holds(uuid) is
  'Rule 4: captured and returned is what was held, and a hold past its expiry is due to be closed before anything else happens.';
revoke all on function credits.verify_holds(uuid) from public, anon, authenticated, service_role;
