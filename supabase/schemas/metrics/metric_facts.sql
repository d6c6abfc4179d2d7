-- The readers: what the rollups have of a window, and from the ledger what they do not have.

create view credits.unread_facts with (security_invoker = true) as
select l.account_id, l.credit_type, f.version, f.created_at, f.plan_id, f.source, f.flow, f.spent,
  f.amount, f.operations, f.metadata,
  l.is_test
from credits.lagging l
cross join lateral (
  select x.version, x.created_at, x.plan_id, x.source, x.flow, x.spent, x.amount, x.operations,
  x.metadata
  from credits.ledger_facts x
  where x.account_id = l.account_id and x.credit_type = l.credit_type
    and x.version > l.version offset 0) f;
comment on view credits.unread_facts is 'The ledger rows that no rollup has.';
revoke all on table credits.unread_facts from public, anon, authenticated, service_role;

create view credits.read_facts with (security_invoker = true) as
select f.account_id, f.credit_type, f.version, f.created_at, f.plan_id, f.source, f.flow, f.spent,
  f.amount, f.operations, f.metadata
from credits.ledger_facts f
-- Looked up per row: the edges of a window are few rows, and to join all balances costs more than
-- they do.
where f.version <= (
  select r.version from credits.rolled_up r where r.account_id = f.account_id
    and r.credit_type = f.credit_type);
comment on view credits.read_facts is 'The ledger rows that the rollups have.';
revoke all on table credits.read_facts from public, anon, authenticated, service_role;

create view credits.spends with (security_invoker = true) as
select f.account_id, f.credit_type, f.created_at, f.plan_id, f.spent, f.operations, f.metadata,
  f.is_test, false as is_rolled_up
from credits.unread_facts f where f.spent > 0
union all
select f.account_id, f.credit_type, f.created_at, f.plan_id, f.spent, f.operations, f.metadata,
  false, true
from credits.read_facts f where f.spent > 0;
comment on view credits.spends is
  'The ledger rows that spent credits. A view, not a function: what a reader does not ask for is '
  'not looked up.';
revoke all on table credits.spends from public, anon, authenticated, service_role;

create function credits.facts_outside(
  p_from timestamptz, p_to timestamptz, p_inner_from timestamptz, p_inner_to timestamptz,
  p_include_test boolean,
  p_accounts uuid[] default null)
returns table (account_id uuid, at timestamptz, credit_type text, plan_id text, source text,
  flow text, amount bigint,
  operations integer, metadata jsonb)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select f.account_id, f.created_at, f.credit_type, f.plan_id, f.source, f.flow, f.amount,
    f.operations, f.metadata
  from credits.unread_facts f
  where (p_include_test or not f.is_test) and f.created_at >= p_from and f.created_at < p_to
    and (p_accounts is null or f.account_id = any (p_accounts));

  if p_from < p_inner_from then
    return query
    select f.account_id, f.created_at, f.credit_type, f.plan_id, f.source, f.flow, f.amount,
      f.operations, f.metadata
    from credits.read_facts f
    where f.created_at >= p_from and f.created_at < p_inner_from
      and (p_accounts is null or f.account_id = any (p_accounts));
  end if;
  if p_inner_to < p_to then
    return query
    select f.account_id, f.created_at, f.credit_type, f.plan_id, f.source, f.flow, f.amount,
      f.operations, f.metadata
    from credits.read_facts f
    where f.created_at >= p_inner_to and f.created_at < p_to
      and (p_accounts is null or f.account_id = any (p_accounts));
  end if;
end
$$;
comment on function credits.facts_outside(timestamptz, timestamptz, timestamptz, timestamptz,
  boolean, uuid[]) is
  'The ledger rows of [p_from, p_to) that the rollups of [p_inner_from, p_inner_to) do not have: '
  'what was booked since they were made, and what lies at the edges. Of p_accounts alone, if that '
  'says who.';
revoke all on function credits.facts_outside(timestamptz, timestamptz, timestamptz, timestamptz,
  boolean, uuid[])
  from public, anon, authenticated, service_role;

create function credits.inner_window(
  p_from timestamptz, p_to timestamptz, p_unit text, p_raw boolean, out from_at timestamptz,
  out to_at timestamptz)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_hour timestamptz := date_trunc('hour', p_to + interval '1 hour - 1 microsecond', 'UTC');
  v_end timestamptz;
begin
  from_at := date_trunc(p_unit, p_from, 'UTC');
  if from_at < p_from then
    from_at := from_at + ('1 ' || p_unit)::interval;
  end if;
  to_at := date_trunc(p_unit, p_to, 'UTC');
  v_end := to_at + ('1 ' || p_unit)::interval;
  -- Where nothing was booked from the end of the window to the end of its last hour or day, as when
  -- it ends now, that is whole. Rows are counted, as whoever looks for a first one may read the
  -- ledger from its beginning.
  if to_at < p_to and not p_raw
    and not exists (select 1 from credits.hourly_flows h where h.hour >= v_hour and h.hour < v_end)
    and (select count(*) from public.credit_transactions t where t.created_at >= p_to
      and t.created_at < v_hour) = 0
  then
    to_at := v_end;
  end if;
  if p_raw or from_at >= to_at then
    from_at := p_to;
    to_at := p_to;
  end if;
end
$$;
comment on function credits.inner_window(timestamptz, timestamptz, text, boolean) is
  'The whole hours or days (UTC) of a window; empty at its end when there are none or the ledger '
  'itself is wanted.';
revoke all on function credits.inner_window(timestamptz, timestamptz, text, boolean)
  from public, anon, authenticated, service_role;

create function credits.flow_facts(p_from timestamptz, p_to timestamptz, p_raw boolean,
  p_include_test boolean)
returns table (at timestamptz, credit_type text, plan_id text, source text, flow text,
  amount bigint, operations bigint)
language plpgsql
stable
rows 100000
security invoker
set search_path = ''
as $$
declare
  v_inner record;
begin
  select * into v_inner from credits.inner_window(p_from, p_to, 'hour', p_raw);
  return query
  select h.hour, h.credit_type, h.plan_id, h.source, h.flow, h.amount, h.operations
  from credits.hourly_flows h where h.hour >= v_inner.from_at and h.hour < v_inner.to_at;
  return query
  select f.at, f.credit_type, f.plan_id, f.source, f.flow, f.amount, f.operations::bigint
  from credits.facts_outside(p_from, p_to, v_inner.from_at, v_inner.to_at, p_include_test) f;
end
$$;
comment on function credits.flow_facts(timestamptz, timestamptz, boolean, boolean) is
  'What moved in a window, by hours or finer.';
revoke all on function credits.flow_facts(timestamptz, timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.owed_facts(
  p_days_until timestamptz, p_to timestamptz, p_raw boolean, p_include_test boolean)
returns table (at timestamptz, credit_type text, source text, amount bigint)
language plpgsql
stable
rows 20000
security invoker
set search_path = ''
as $$
declare
  v_inner record;
  v_hours timestamptz;
begin
  select * into v_inner from credits.inner_window('-infinity', p_to, 'hour', p_raw);
  if v_inner.from_at < v_inner.to_at then
    v_hours := date_trunc('day', least(p_days_until, v_inner.to_at), 'UTC');
    return query
    select d.day::timestamp at time zone 'UTC', d.credit_type, d.source, d.amount
    from credits.daily_owed d where d.day < (v_hours at time zone 'UTC')::date;
    return query
    select h.hour, h.credit_type, h.source, h.amount
    from credits.hourly_flows h where h.hour >= v_hours and h.hour < v_inner.to_at;
  end if;
  return query
  select f.at, f.credit_type, f.source, f.amount
  from credits.facts_outside('-infinity', p_to, v_inner.from_at, v_inner.to_at, p_include_test) f;
end
$$;
comment on function credits.owed_facts(timestamptz, timestamptz, boolean, boolean) is
  'By how much the credits owed changed from the beginning on: by days before p_days_until, by '
  'hours or finer after.';
revoke all on function credits.owed_facts(timestamptz, timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create function credits.segment_facts(
  p_segment text, p_from timestamptz, p_to timestamptz, p_raw boolean, p_include_test boolean)
returns table (at timestamptz, value text, credit_type text, plan_id text, spent bigint,
  operations bigint)
language plpgsql
stable
rows 20000
security invoker
set search_path = ''
as $$
declare
  v_key text := substr(p_segment, length('metadata:') + 1);
  v_inner record;
begin
  select * into v_inner from credits.inner_window(p_from, p_to, 'day', p_raw
    or p_segment <> 'cohort'
    and not exists (select 1 from credits.tracked_keys k where k.metadata_key = v_key));
  return query
  select d.day::timestamp at time zone 'UTC', d.value, d.credit_type, d.plan_id, d.spent,
    d.operations
  from credits.daily_segments d
  where d.segment = p_segment
    and d.day >= (v_inner.from_at at time zone 'UTC')::date
      and d.day < (v_inner.to_at at time zone 'UTC')::date
    and v_inner.from_at < v_inner.to_at;
  return query
  select f.created_at,
    case when p_segment = 'cohort' then to_char(a.created_at at time zone 'UTC', 'YYYY-MM')
      else f.metadata ->> v_key end,
    f.credit_type, f.plan_id, f.spent, f.operations::bigint
  from credits.spends f
  join credits.accounts a on a.account_id = f.account_id
  where f.created_at >= p_from and f.created_at < p_to and (p_include_test or not f.is_test)
    and (not f.is_rolled_up or f.created_at < v_inner.from_at or f.created_at >= v_inner.to_at)
    and (p_segment = 'cohort' or f.metadata ->> v_key is not null);
end
$$;
comment on function credits.segment_facts(text, timestamptz, timestamptz, boolean, boolean) is
  'What was spent in a window per sign-up month (cohort) or per value of a key of metadata '
  '(metadata: and the key), by days or finer.';
revoke all on function credits.segment_facts(text, timestamptz, timestamptz, boolean, boolean)
  from public, anon, authenticated, service_role;

create view credits.ledger_periods with (security_invoker = true) as
select b.account_id, b.credit_type, p.version, p.started_at, p.plan_id, p.ended_at, p.crossed_80_at,
  p.ran_dry_at, a.is_test
from credits.balances b
join credits.accounts a on a.account_id = b.account_id
cross join lateral credits.periods_of(b.account_id, b.credit_type, 1) p
where b.kind = 'credit';
comment on view credits.ledger_periods is 'All account-periods, read from the ledger.';
revoke all on table credits.ledger_periods from public, anon, authenticated, service_role;

create view credits.denials with (security_invoker = true) as
select u.account_id, u.credit_type::text as credit_type, u.created_at from public.usage u
where u.status = 'denied' and u.account_id is not null;
comment on view credits.denials is 'Denied attempts.';
revoke all on table credits.denials from public, anon, authenticated, service_role;

create view credits.free_spells with (security_invoker = true) as
select s.account_id, s.started_at, s.ended_at, coalesce(n.price_cents > 0, false) as upgraded,
  s.next_plan
from credits.plan_spells s
join public.plans p on p.id = s.plan_id and p.price_cents = 0
left join public.plans n on n.id = s.next_plan
where s.started_at < s.ended_at;
comment on view credits.free_spells is
  'From when until when an account was on a plan without a price, and whether a paid one followed.';
revoke all on table credits.free_spells from public, anon, authenticated, service_role;

create function credits.left_out(p_include_test boolean)
returns uuid[]
language sql
stable
security invoker
set search_path = ''
as $$
  select array(select a.account_id from credits.accounts a where a.is_test and not p_include_test)
$$;
comment on function credits.left_out(boolean) is
  'The accounts that a metric leaves out: test accounts, unless they are to be counted.';
revoke all on function credits.left_out(boolean) from public, anon, authenticated, service_role;
