create function credits.roll_up_batch(p_balances integer)
returns bigint
language sql
volatile
security invoker
set search_path = ''
as $$
  with batch as materialized (
    select l.account_id, l.credit_type, l.kind, l.opened_at, l.version, l.period_version,
    l.until_version, n.number
    from credits.lagging l join credits.account_numbers n on n.account_id = l.account_id
      where not l.is_test
    order by l.account_id, l.credit_type limit p_balances
  ), facts as materialized (
    select b.account_id, b.number, b.opened_at, f.credit_type, f.created_at, f.plan_id, f.source,
    f.flow, f.amount, f.operations, f.metadata
    from batch b
    cross join lateral (
      select x.* from credits.ledger_facts x
      where x.account_id = b.account_id and x.credit_type = b.credit_type
        and x.version > b.version offset 0) f
  ), flows as (
    insert into credits.hourly_flows as h (hour, credit_type, plan_id, source, flow, amount,
      operations)
    select date_trunc('hour', f.created_at, 'UTC'), f.credit_type, f.plan_id, f.source, f.flow,
      sum(f.amount), sum(f.operations)
    from facts f group by 1, 2, 3, 4, 5
    on conflict (hour, credit_type, plan_id, source, flow)
    do update set amount = h.amount + excluded.amount,
      operations = h.operations + excluded.operations
  ), owed as (
    insert into credits.daily_owed as o (day, credit_type, source, amount)
    select (f.created_at at time zone 'UTC')::date, f.credit_type, f.source, sum(f.amount)
      from facts f group by 1, 2, 3
    on conflict (day, credit_type, source) do update set amount = o.amount + excluded.amount
  ), accounts as (
    insert into credits.daily_accounts as d (account_id, day, credit_type, plan_id, spent,
      operations)
    select f.account_id, (f.created_at at time zone 'UTC')::date, f.credit_type, f.plan_id,
      -sum(f.amount), sum(f.operations)
    from facts f where f.flow = 'spent' group by 1, 2, 3, 4
    on conflict (account_id, day, credit_type, plan_id)
    do update set spent = d.spent + excluded.spent, operations = d.operations + excluded.operations
  ), months as (
    insert into credits.monthly_accounts as m (account_id, month, credit_type, plan_id, spent)
    select f.account_id, date_trunc('month', f.created_at at time zone 'UTC')::date, f.credit_type,
      f.plan_id, -sum(f.amount)
    from facts f where f.flow = 'spent' group by 1, 2, 3, 4
    on conflict (account_id, month, credit_type, plan_id) do update
      set spent = m.spent + excluded.spent
  ), active as (
    insert into credits.daily_active as d (day, credit_type, plan_id, chunk, accounts)
    select (f.created_at at time zone 'UTC')::date, f.credit_type, f.plan_id, f.number / 4096,
      bit_or(set_bit(repeat('0', 4096)::bit(4096), (f.number % 4096)::integer, 1))
    from facts f where f.flow = 'spent' group by 1, 2, 3, 4
    on conflict (day, credit_type, plan_id, chunk) do update
      set accounts = d.accounts | excluded.accounts
  ), segments as (
    insert into credits.daily_segments as d (day, segment, value, credit_type, plan_id, spent,
      operations)
    select (f.created_at at time zone 'UTC')::date, s.segment, s.value, f.credit_type, f.plan_id,
      -sum(f.amount), sum(f.operations)
    from facts f
    cross join lateral (
      select 'cohort' as segment, to_char(f.opened_at at time zone 'UTC', 'YYYY-MM') as value
      union all
      select 'metadata:' || k.metadata_key, f.metadata ->> k.metadata_key
      from credits.tracked_keys k where f.metadata ->> k.metadata_key is not null) s
    where f.flow = 'spent' group by 1, 2, 3, 4, 5
    on conflict (segment, day, md5(value), credit_type, plan_id)
    do update set spent = d.spent + excluded.spent, operations = d.operations + excluded.operations
  ), found as materialized (
    select b.account_id, b.credit_type, p.*
    from batch b cross join lateral credits.periods_of(b.account_id, b.credit_type,
      b.period_version) p
    where b.kind = 'credit'
  ), periods as (
    insert into credits.account_periods (account_id, credit_type, version, started_at, plan_id,
      ended_at, crossed_80_at, ran_dry_at)
    select f.account_id, f.credit_type, f.version, f.started_at, f.plan_id, f.ended_at,
      f.crossed_80_at, f.ran_dry_at from found f
    on conflict (account_id, credit_type, version)
    do update set ended_at = excluded.ended_at, crossed_80_at = excluded.crossed_80_at,
      ran_dry_at = excluded.ran_dry_at
  ), advanced as (
    insert into credits.rolled_up as r (account_id, credit_type, version, period_version)
    select b.account_id, b.credit_type, b.until_version, coalesce(n.version, b.period_version)
    from batch b
    left join (select f.account_id, f.credit_type, max(f.version) as version from found f
      group by 1, 2) n
      on n.account_id = b.account_id and n.credit_type = b.credit_type
    on conflict (account_id, credit_type) do update set version = excluded.version,
      period_version = excluded.period_version
  )
  select count(*) from batch
$$;
comment on function credits.roll_up_batch(integer) is
  'Adds to the rollups what the ledgers of so many balances have gained, in one statement and so '
  'from one snapshot. Call it with the state locked.';
revoke all on function credits.roll_up_batch(integer) from public, anon, authenticated,
  service_role;

-- edge: result=RollUp callers=service_role repeatable slow
--   Bring the sums that metrics read up to date. Repeat it until ``finished``.
create function public.roll_up_metrics(p_limit integer default 1000)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
set jit = off
as $$
declare
  v_until timestamptz := clock_timestamp() + interval '5 seconds';
  v_balances bigint := 0;
  v_batch bigint;
begin
  if p_limit is null or p_limit < 1 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_limit',
      'value', p_limit),
      'Pass how many balances to read at once.');
  end if;
  -- Who comes while somebody is at it has nothing to do.
  perform 1 from credits.rollup_state s for update skip locked;
  if found then
    -- Who signs up after this has a number the next time, and is read from the ledger until then.
    insert into credits.account_numbers (account_id)
    select distinct l.account_id from credits.lagging l where not l.is_test
    on conflict (account_id) do nothing;
    loop
      v_batch := credits.roll_up_batch(p_limit);
      v_balances := v_balances + v_batch;
      exit when v_batch < p_limit or clock_timestamp() > v_until;
    end loop;
    if v_batch < p_limit then
      update credits.rollup_state s set rolled_up_at = clock_timestamp();
    end if;
  end if;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'balances', v_balances,
    'finished', coalesce(v_batch < p_limit, false),
    'rolled_up_at', (select s.rolled_up_at from credits.rollup_state s)));
end
$$;
comment on function public.roll_up_metrics(integer) is
  'Brings the sums that metrics read up to date, in batches of p_limit balances, for about five '
  'seconds; repeat it while finished is false. Figures are exact without it, only slower.';
revoke all on function public.roll_up_metrics(integer) from public, anon, authenticated,
  service_role;
grant execute on function public.roll_up_metrics(integer) to service_role;

create function credits.forget_rollup()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform 1 from credits.rollup_state s for update;
  with facts as (
    select f.* from credits.rolled_up r
    join credits.ledger_facts f on f.account_id = r.account_id and f.credit_type = r.credit_type
      and f.version <= r.version
    where r.account_id = new.account_id
  ), flows as (
    select date_trunc('hour', f.created_at, 'UTC') as hour, f.credit_type, f.plan_id, f.source,
    f.flow,
      sum(f.amount) as amount, sum(f.operations) as operations
    from facts f group by 1, 2, 3, 4, 5
  ), segments as (
    select (f.created_at at time zone 'UTC')::date as day, s.segment, s.value, f.credit_type,
    f.plan_id,
      -sum(f.amount) as spent, sum(f.operations) as operations
    from facts f
    cross join lateral (
      select 'cohort' as segment, to_char(new.created_at at time zone 'UTC', 'YYYY-MM') as value
      union all
      select 'metadata:' || k.metadata_key, f.metadata ->> k.metadata_key
      from credits.tracked_keys k where f.metadata ->> k.metadata_key is not null) s
    where f.flow = 'spent' group by 1, 2, 3, 4, 5
  ), less_flows as (
    update credits.hourly_flows h set amount = h.amount - f.amount,
    operations = h.operations - f.operations
    from flows f
    where h.hour = f.hour and h.credit_type = f.credit_type and h.plan_id = f.plan_id
      and h.source = f.source and h.flow = f.flow
  ), less_owed as (
    update credits.daily_owed o set amount = o.amount - x.amount
    from (
      select (f.created_at at time zone 'UTC')::date as day, f.credit_type, f.source,
      sum(f.amount) as amount
      from facts f group by 1, 2, 3) x
    where o.day = x.day and o.credit_type = x.credit_type and o.source = x.source
  )
  update credits.daily_segments d set spent = d.spent - s.spent,
    operations = d.operations - s.operations
  from segments s
  where d.segment = s.segment and d.day = s.day and d.value = s.value
    and d.credit_type = s.credit_type and d.plan_id = s.plan_id;
  delete from credits.hourly_flows h where h.amount = 0;
  delete from credits.daily_owed o where o.amount = 0;
  delete from credits.daily_segments d where d.spent = 0;
  update credits.daily_active d set accounts = set_bit(d.accounts, (n.number % 4096)::integer, 0)
  from credits.account_numbers n
  join credits.daily_accounts a on a.account_id = n.account_id
  where n.account_id = new.account_id and d.chunk = n.number / 4096
    and d.day = a.day and d.credit_type = a.credit_type and d.plan_id = a.plan_id;
  delete from credits.daily_accounts d where d.account_id = new.account_id;
  delete from credits.monthly_accounts m where m.account_id = new.account_id;
  delete from credits.account_periods p where p.account_id = new.account_id;
  delete from credits.rolled_up r where r.account_id = new.account_id;
  return null;
end
$$;
comment on function credits.forget_rollup() is
  'Takes an account that has become a test account out of the rollups.';
revoke all on function credits.forget_rollup() from public, anon, authenticated, service_role;
create trigger accounts_leave_the_rollups after update of is_test on credits.accounts
  for each row when (new.is_test and not old.is_test) execute function credits.forget_rollup();
