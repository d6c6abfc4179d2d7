create function credits.upgraded_after(
  p_spells bigint, p_within_24_hours bigint, p_within_7_days bigint)
returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select jsonb_build_object('spells', p_spells, 'within_24_hours', p_within_24_hours,
    'within_7_days', p_within_7_days,
    'rate_24_hours', round(p_within_24_hours::numeric / nullif(p_spells, 0), 4),
    'rate_7_days', round(p_within_7_days::numeric / nullif(p_spells, 0), 4))
$$;
comment on function credits.upgraded_after(bigint, bigint, bigint) is
  'How many of the spells in which something happened led to an upgrade soon after.';
revoke all on function credits.upgraded_after(bigint, bigint, bigint) from public, anon,
  authenticated, service_role;

-- edge: result=Conversion callers=service_role repeatable slow
--   From free to paid, also soon after a denial or after 80 % were spent.
create function public.metrics_conversion(
  p_since timestamptz default null, p_until timestamptz default null,
  p_bucket text default 'day', p_time_zone text default 'UTC',
  p_include_test boolean default false, p_raw boolean default false)
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
  v_labels timestamptz[];
  v_answer jsonb;
  v_left_out uuid[] := credits.left_out(p_include_test);
begin
  select * into w from credits.metric_window(p_since, p_until, p_bucket, p_time_zone, null);
  select array_agg(b.starts_at order by b.starts_at), array_agg(b.bucket order by b.starts_at)
    into v_starts, v_labels
  from credits.metric_buckets(w.from_at, w.to_at, w.unit, w.width, w.origin, p_time_zone) b;

  with spells as materialized (
    select s.account_id, s.started_at, s.ended_at, s.upgraded from credits.free_spells s
    where s.account_id <> all (v_left_out) and s.started_at < w.to_at and s.ended_at >= w.from_at
  ), events as (
    -- Number 0 is what was there when the window began; a spell that ends as a bucket begins is not
    -- open in it.
    select width_bucket(s.started_at, v_starts) as nth, count(*) as started, 0 as ended,
      0 as upgraded from spells s group by 1
    union all
    select width_bucket(s.ended_at - interval '1 microsecond', v_starts) + 1, 0, count(*), 0
      from spells s group by 1
    union all
    select width_bucket(s.ended_at, v_starts), 0, 0, count(*) from spells s where s.upgraded
      and s.ended_at < w.to_at group by 1
  ), counted as (
    select n.nth, coalesce(sum(e.started), 0) as started, coalesce(sum(e.ended), 0) as ended,
    coalesce(sum(e.upgraded), 0) as upgraded
    from generate_series(0, array_length(v_starts, 1)) n(nth)
      left join events e on e.nth = n.nth group by n.nth
  ), running as (
    select c.nth, (sum(c.started - c.ended) over (order by c.nth))::bigint as free,
    c.upgraded::bigint as upgrades from counted c
  ), total as (
    select jsonb_agg(jsonb_build_object('bucket', v_labels[r.nth], 'free', r.free,
      'upgrades', r.upgrades,
        'rate', round(r.upgrades::numeric / nullif(r.free, 0), 4))
          order by r.nth) filter (where r.nth > 0) as rows,
      (select count(*) from spells s where s.ended_at > w.from_at) as free,
      sum(r.upgrades)::bigint as upgrades
    from running r
  ), happened as (
    select 'denial' as what, d.account_id, d.created_at as at from credits.denials d
    where d.created_at >= w.from_at and d.created_at < w.to_at
    union all
    select '80_percent', p.account_id, p.crossed_80_at from credits.known_periods p
    where not p_raw and p.crossed_80_at >= w.from_at and p.crossed_80_at < w.to_at
    union all
    select '80_percent', p.account_id, p.crossed_80_at from credits.ledger_periods p
    where p_raw and p.crossed_80_at >= w.from_at and p.crossed_80_at < w.to_at
  ), met as (
    select h.what, s.upgraded, s.ended_at - max(h.at) as took
    from happened h
    join spells s on s.account_id = h.account_id and h.at between s.started_at and s.ended_at
    group by h.what, s.account_id, s.started_at, s.upgraded, s.ended_at
  ), after as (
    select jsonb_object_agg('after_' || k.what,
      credits.upgraded_after(coalesce(c.spells, 0), coalesce(c.day, 0),
        coalesce(c.week, 0))) as answer
    from (values ('denial'), ('80_percent')) k(what)
    left join (
      select m.what, count(*) as spells, count(*) filter (where m.upgraded
        and m.took <= interval '24 hours') as day,
        count(*) filter (where m.upgraded and m.took <= interval '7 days') as week
      from met m group by m.what) c on c.what = k.what
  )
  select credits.metric_answer(w.from_at, w.to_at, p_bucket, p_time_zone,
    t.rows) || a.answer || jsonb_build_object(
    'free', t.free, 'upgrades', t.upgrades, 'rate', round(t.upgrades::numeric / nullif(t.free, 0),
      4))
    into v_answer
  from total t cross join after a;
  return v_answer;
end
$$;
comment on function public.metrics_conversion(timestamptz, timestamptz, text, text, boolean,
  boolean) is
  'How many accounts were on a free plan and how many of them moved to a paid one, per bucket and '
  'in all; and how many did so within 24 hours or 7 days of a denial or of having spent 80 % of '
  'what they had.';
revoke all on function public.metrics_conversion(timestamptz, timestamptz, text, text, boolean,
  boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.metrics_conversion(timestamptz, timestamptz, text, text, boolean,
  boolean) to service_role;
