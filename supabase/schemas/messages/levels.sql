-- Levels: at which share of a credit type's period, and at which amounts left, people are warned.
--
-- The row of the balance has the next level, so that a spend compares its own outcome with one
-- number. What lies below that level has been told. Only a grant, or a new period, takes it down.

create table credits.alert_settings (
  account_id uuid not null,
  credit_type text not null,
  percents integer[] not null,
  amounts bigint[] not null,
  constraint alert_settings_pkey primary key (account_id, credit_type),
  constraint alert_settings_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
comment on table credits.alert_settings is
  'The levels of an account that are not those of credits.settings.';
comment on column credits.alert_settings.percents is 'Shares used, from 1 to 100, in order.';
comment on column credits.alert_settings.amounts is 'Amounts left, in order.';
alter table credits.alert_settings enable row level security;
revoke all on table credits.alert_settings from public, anon, authenticated, service_role;

create function credits.percent_used(p_used bigint, p_remaining bigint)
returns integer
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case
    when p_remaining is null then 0
    when p_used + p_remaining = 0 then 100
    else div(100::numeric * p_used, p_used::numeric + p_remaining) end;
end
$$;
comment on function credits.percent_used(bigint, bigint) is
  'The share used of a credit type in its period, in whole percent rounded down, whatever was '
  'bought or given beside the allowance: the same figure for summary, page, header and alert.';
revoke all on function credits.percent_used(bigint, bigint)
  from public, anon, authenticated, service_role;

create function credits.levels_of(
  p_account_id uuid, p_credit_type text, out percents integer[], out amounts bigint[],
  out is_default boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select a.percents, a.amounts, false into percents, amounts, is_default
  from credits.alert_settings a
  where a.account_id = p_account_id and a.credit_type = p_credit_type;
  if not found then
    select s.alert_percents, array[]::bigint[], true into percents, amounts, is_default
    from credits.settings s;
  end if;
end
$$;
comment on function credits.levels_of(uuid, text) is
  'At which shares used and amounts left the people of an account are warned.';
revoke all on function credits.levels_of(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.reaches_level(p_balance credits.balances)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_remaining bigint := credits.available(p_balance);
begin
  return coalesce(
    100::numeric * p_balance.used
      >= p_balance.alert_percent::numeric * (p_balance.used + v_remaining)
    or v_remaining <= p_balance.alert_amount, false);
end
$$;
comment on function credits.reaches_level(credits.balances) is
  'Whether a balance is at or beyond the next level that its people are warned of. Never while it '
  'is unlimited. The fast roads compare the same in the statement that charges.';
revoke all on function credits.reaches_level(credits.balances)
  from public, anon, authenticated, service_role;

create function credits.notice_levels(p_account_id uuid, p_credit_type text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_levels record;
  v_remaining bigint;
  v_from bigint;
  v_percent integer;
  v_amount bigint;
begin
  select * into v_balance from credits.balances b
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  if not credits.reaches_level(v_balance) then
    return;
  end if;
  v_levels := credits.levels_of(p_account_id, p_credit_type);
  v_remaining := credits.available(v_balance);
  v_from := case when v_balance.alert_percent = 0 then 9223372036854775807
    else v_balance.alert_amount end;
  -- Who passes several levels at once is told of the last one.
  select max(l) into v_percent from unnest(v_levels.percents) l
  where l >= v_balance.alert_percent
    and 100::numeric * v_balance.used >= l::numeric * (v_balance.used + v_remaining);
  select min(a) into v_amount from unnest(v_levels.amounts) a
  where a <= v_from and a >= v_remaining;
  update credits.balances b set
    alert_percent = (select min(l) from unnest(v_levels.percents) l
      where l >= v_balance.alert_percent and (v_percent is null or l > v_percent)),
    alert_amount = (select max(a) from unnest(v_levels.amounts) a
      where a <= v_from and (v_amount is null or a < v_amount))
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  if v_percent is not null then
    perform credits.announce_level(p_account_id, v_balance, v_percent, 'percent');
  end if;
  if v_amount is not null then
    perform credits.announce_level(p_account_id, v_balance, v_amount, 'credits');
  end if;
end
$$;
comment on function credits.notice_levels(uuid, text) is
  'Warns of a level that the locked balance has reached, and remembers the next one. Called by '
  'what spends, in its transaction.';
revoke all on function credits.notice_levels(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.announce_level(
  p_account_id uuid, p_balance credits.balances, p_level bigint, p_unit text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.announce(p_account_id, 'credits.level',
    credits.level_data(p_balance)
      || jsonb_build_object('level', p_level, 'unit', p_unit),
    p_balance.credit_type);
end
$$;
comment on function credits.announce_level(uuid, credits.balances, bigint, text) is
  'Tells of one level: a share used in percent, or an amount of credits left.';
revoke all on function credits.announce_level(uuid, credits.balances, bigint, text)
  from public, anon, authenticated, service_role;

create function credits.level_data(p_balance credits.balances)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_remaining bigint := credits.available(p_balance);
begin
  return jsonb_build_object(
    'name', (select t.description from credits.credit_types t where t.id = p_balance.credit_type),
    'kind', p_balance.kind, 'used', p_balance.used, 'remaining', v_remaining,
    'percent_used', credits.percent_used(p_balance.used, v_remaining),
    'period_end', p_balance.period_end,
    'renews_at', credits.renews_at(p_balance.account_id, p_balance.credit_type,
      p_balance.period_end),
    'next_step', (select credits.next_step(t.plan_id, p_balance.credit_type)
      from credits.plan_terms_at(p_balance.account_id, p_balance.credit_type,
        p_balance.settled_at) t));
end
$$;
comment on function credits.level_data(credits.balances) is
  'What a message about a level or a renewal says of the balance.';
revoke all on function credits.level_data(credits.balances)
  from public, anon, authenticated, service_role;

create function credits.rearm_levels(p_account_id uuid, p_credit_type text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_levels record;
  v_remaining bigint;
  v_percents integer[];
  v_amounts bigint[];
begin
  select * into v_balance from credits.balances b
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  v_remaining := credits.available(v_balance);
  -- Nothing has been told of this period, or nothing can be.
  if v_balance.alert_percent = 0 or v_remaining is null then
    return;
  end if;
  v_levels := credits.levels_of(p_account_id, p_credit_type);
  v_percents := array(select l from unnest(v_levels.percents) l
    where l < coalesce(v_balance.alert_percent, 101)
      and 100::numeric * v_balance.used < l::numeric * (v_balance.used + v_remaining) order by l);
  v_amounts := array(select a from unnest(v_levels.amounts) a
    where a > coalesce(v_balance.alert_amount, -1) and v_remaining > a order by a);
  if cardinality(v_percents) + cardinality(v_amounts) = 0 then
    return;
  end if;
  update credits.balances b set
    alert_percent = coalesce(v_percents[1], b.alert_percent),
    alert_amount = coalesce(v_amounts[cardinality(v_amounts)], b.alert_amount)
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
  perform credits.announce(p_account_id, 'credits.recovered',
    credits.level_data(v_balance)
      || jsonb_build_object('levels', v_percents, 'amounts', v_amounts),
    p_credit_type);
end
$$;
comment on function credits.rearm_levels(uuid, text) is
  'After a grant has lifted the locked balance: levels that it is below again can be told anew. '
  'Says so, if there are any.';
revoke all on function credits.rearm_levels(uuid, text)
  from public, anon, authenticated, service_role;
