create function credits.metric_window(
  p_since timestamptz, p_until timestamptz, p_bucket text, p_time_zone text, p_credit_type text,
  out from_at timestamptz, out to_at timestamptz, out unit text, out width interval,
  out origin timestamptz,
  out whole_hours boolean, out hourly boolean, out daily boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_whole_days boolean;
begin
  p_bucket := coalesce(p_bucket, 'all');
  begin
    perform statement_timestamp() at time zone p_time_zone;
  exception when invalid_parameter_value then
    p_time_zone := null;
  end;
  if p_time_zone is null then
    perform credits.raise_error('invalid_argument', '{"argument": "p_time_zone"}',
      'Pass a name of the IANA time zone database, such as Europe/Paris.');
  end if;
  to_at := coalesce(p_until, statement_timestamp());
  -- From a midnight on: half a day would look like a fall, and is not in the rollups.
  from_at := coalesce(p_since, date_trunc('day', to_at - interval '90 days', p_time_zone));
  if not isfinite(from_at) or not isfinite(to_at) or from_at >= to_at then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_since',
      'since', from_at, 'until', to_at),
      case when p_until is null
        then 'A window begins before it ends, which is now unless p_until is said.'
        else 'A window begins before it ends.' end);
  end if;
  if p_credit_type is not null and not exists (select 1 from credits.credit_types t
    where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type',
      p_credit_type));
  end if;
  if p_bucket in ('hour', 'day', 'week', 'month', 'quarter', 'year') then
    unit := p_bucket;
    origin := date_trunc(unit, from_at, p_time_zone);
  elsif p_bucket <> 'all' then
    begin
      width := p_bucket::interval;
    exception when others then
      null;
    end;
    if width is null or width < interval '1 minute' or extract(month from width) <> 0
      or extract(year from width) <> 0 then
      perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_bucket',
        'value', p_bucket),
        'A bucket is all, hour, day, week, month, quarter, year, or a duration in days, hours or '
        'minutes such as ''6 hours''.');
    end if;
    origin := date_trunc('day', from_at, p_time_zone);
  end if;
  if p_bucket <> 'all' and (to_at - from_at) / 10000 > coalesce(width,
    ('1 ' || unit)::interval) then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_bucket',
      'value', p_bucket),
      'A window has at most 10000 buckets.');
  end if;

  -- Rollups are by hours and days of UTC; buckets that cut these are read from the ledger.
  select bool_and(o.seconds % 3600 = 0), bool_and(o.seconds = 0) into whole_hours, v_whole_days
  from generate_series(from_at - interval '1 day', to_at
    + interval '1 day', interval '12 hours') d(at)
  cross join lateral (
    select extract(epoch from (d.at at time zone p_time_zone)
      - (d.at at time zone 'UTC'))::bigint as seconds) o;
  hourly := p_bucket = 'all' or whole_hours
    and coalesce(extract(epoch from width)::numeric % 3600 = 0, true);
  daily := p_bucket = 'all'
    or v_whole_days and unit is distinct from 'hour'
      and coalesce(extract(epoch from width)::numeric % 86400 = 0, true);
end
$$;
comment on function credits.metric_window(timestamptz, timestamptz, text, text, text) is
  'The window and the buckets that a metric was asked for: from the midnight 90 days ago on unless '
  'said. Raises invalid_argument and unknown_credit_type.';
revoke all on function credits.metric_window(timestamptz, timestamptz, text, text, text)
  from public, anon, authenticated, service_role;

create function credits.metric_buckets(
  p_since timestamptz, p_until timestamptz, p_unit text, p_width interval, p_origin timestamptz,
  p_time_zone text)
returns table (bucket timestamptz, starts_at timestamptz, ends_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_step interval := case when p_unit = 'quarter' then interval '3 months'
    else coalesce(p_width, ('1 ' || p_unit)::interval) end;
begin
  if v_step is null then
    return query select p_since, p_since, p_until;
  elsif p_unit is null or p_unit = 'hour' then
    return query select b.at, greatest(b.at, p_since), least(b.at + v_step, p_until)
    from generate_series(p_origin, p_until - interval '1 microsecond', v_step) b(at)
    where b.at + v_step > p_since;
  else
    return query select b.at at time zone p_time_zone, greatest(b.at at time zone p_time_zone,
      p_since),
      least((b.at + v_step) at time zone p_time_zone, p_until)
    from generate_series(p_origin at time zone p_time_zone,
      (p_until - interval '1 microsecond') at time zone p_time_zone, v_step) b(at);
  end if;
end
$$;
comment on function credits.metric_buckets(timestamptz, timestamptz, text, interval, timestamptz,
  text) is
  'The buckets of a window, the first and the last cut to it.';
revoke all on function credits.metric_buckets(timestamptz, timestamptz, text, interval, timestamptz,
  text)
  from public, anon, authenticated, service_role;

create function credits.metric_answer(p_since timestamptz, p_until timestamptz, p_bucket text,
  p_time_zone text, p_rows jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object('success', true, 'code', 'ok', 'since', p_since, 'until', p_until,
    'bucket', coalesce(p_bucket, 'all'),
    'time_zone', p_time_zone, 'rows', coalesce(p_rows, '[]'))
$$;
comment on function credits.metric_answer(timestamptz, timestamptz, text, text, jsonb) is
  'What every metric answers.';
revoke all on function credits.metric_answer(timestamptz, timestamptz, text, text, jsonb)
  from public, anon, authenticated, service_role;
