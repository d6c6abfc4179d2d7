-- edge: result=Liability callers=service_role repeatable slow
--   Credits owed at the end of each bucket, and now.
create function public.metrics_liability(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'day', p_time_zone text default 'UTC',
  p_credit_type text default null, p_include_test boolean default false,
  p_raw boolean default false)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
declare
  w record;
  v_starts timestamptz[];
  v_rows jsonb;
  v_now jsonb;
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone,
    p_credit_type);
  select array_agg(b.starts_at order by b.starts_at) into v_starts
  from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) b;

  with moved as (
    -- Number 0 is all that was before the window.
    select width_bucket(f.at, v_starts) as nth, f.credit_type, f.source, sum(f.amount) as amount
    from credits.owed_facts(case when w.daily then w.to_at else w.from_at end, w.to_at, p_raw
      or not w.hourly, p_include_test) f
    join credits.credit_types t on t.id = f.credit_type and t.kind = 'credit'
    -- What is unlimited is spent from no stock.
    where f.source <> 'unlimited' and (p_credit_type is null or f.credit_type = p_credit_type)
    group by 1, 2, 3
  ), grid as (
    select n.nth, k.credit_type, k.source, coalesce(m.amount, 0) as amount
    from generate_series(0, array_length(v_starts, 1)) n(nth)
    cross join (select distinct x.credit_type, x.source from moved x) k
    left join moved m on m.nth = n.nth and m.credit_type = k.credit_type and m.source = k.source
  ), owed as (
    select g.nth, g.credit_type, g.source,
    (sum(g.amount) over (partition by g.credit_type, g.source order by g.nth))::bigint as owed
    from grid g
  )
  select jsonb_agg(jsonb_build_object('bucket', b.bucket, 'at', b.ends_at,
    'credit_type', o.credit_type, 'source', o.source,
    'owed', o.owed) order by b.bucket, o.credit_type, o.source)
    into v_rows
  from owed o
  join (select m.bucket, m.ends_at, row_number() over (order by m.starts_at) as nth
    from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) m) b
      on b.nth = o.nth
  where o.owed <> 0;

  select jsonb_agg(to_jsonb(n) order by n.credit_type, n.source) into v_now
  from (
    select h.credit_type, h.source, sum(h.owed)::bigint as owed, sum(h.held)::bigint as held,
      coalesce(sum(h.frozen), 0)::bigint as frozen, count(*) as accounts
    from (
      select g.account_id, g.credit_type, g.source, sum(o.owed) as owed, sum(g.held) as held,
        sum(o.owed) filter (where g.frozen_at is not null) as frozen
      from public.credit_grants g
      join credits.accounts a on a.account_id = g.account_id and a.status <> 'closed'
        and (p_include_test or not a.is_test)
      -- Of a grant that has ended, only what a hold has pinned is still owed.
      cross join lateral (
        select case when g.voided_at is null and (g.expires_at is null
          or g.expires_at > coalesce(a.test_now, statement_timestamp()))
          then g.remaining else g.held end as owed) o
      where g.is_open and o.owed > 0 and (p_credit_type is null or g.credit_type = p_credit_type)
      group by g.account_id, g.credit_type, g.source
    ) h
    join credits.credit_types t on t.id = h.credit_type and t.kind = 'credit'
    group by h.credit_type, h.source
  ) n;
  return credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone,
    v_rows) || jsonb_build_object('now', coalesce(v_now, '[]'));
end
$$;
comment on function public.metrics_liability(timestamptz, timestamptz, text, text, text, boolean,
  boolean) is
  'Credits owed: granted, and neither spent nor lapsed. rows: at the end of each bucket by the '
  'ledger; now: by the open grants, with what is held and frozen. Limits owe nothing.';
revoke all on function public.metrics_liability(timestamptz, timestamptz, text, text, text, boolean,
  boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_liability(timestamptz, timestamptz, text, text, text,
  boolean, boolean) to service_role;
