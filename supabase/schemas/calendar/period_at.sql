create function credits.period_boundary(p_anchor_at timestamptz, p_time_zone text, p_n integer)
returns timestamptz
language sql
immutable
security invoker
set search_path = ''
as $$
  -- The anchor is its own boundary, also in the hour that a clock set back shows twice.
  select case when p_n = 0 then p_anchor_at
    else ((p_anchor_at at time zone p_time_zone)
      + make_interval(months => p_n)) at time zone p_time_zone end
$$;
comment on function credits.period_boundary(timestamptz, text, integer) is
  'The n-th month from the anchor, on the wall clock of the time zone: 31 January is followed by '
  '28 February and 31 March.';
revoke all on function credits.period_boundary(timestamptz, text, integer)
  from public, anon, authenticated, service_role;

create function credits.period_at(
  p_anchor_at timestamptz, p_time_zone text, p_at timestamptz, out period_start timestamptz,
  out period_end timestamptz)
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_from timestamp := p_anchor_at at time zone p_time_zone;
  v_to timestamp := p_at at time zone p_time_zone;
  v_n integer := (extract(year from v_to) - extract(year from v_from)) * 12 + extract(month
    from v_to) - extract(month from v_from);
begin
  -- The boundary of this calendar month may still be to come; that of the next one always is.
  if credits.period_boundary(p_anchor_at, p_time_zone, v_n) > p_at then
    v_n := v_n - 1;
  end if;
  period_start := credits.period_boundary(p_anchor_at, p_time_zone, v_n);
  period_end := credits.period_boundary(p_anchor_at, p_time_zone, v_n + 1);
end
$$;
comment on function credits.period_at(timestamptz, text, timestamptz) is
  'The period [period_start, period_end) that contains an instant. Counted from the original '
  'anchor each time, so that short months leave no trace.';
revoke all on function credits.period_at(timestamptz, text, timestamptz)
  from public, anon, authenticated, service_role;
