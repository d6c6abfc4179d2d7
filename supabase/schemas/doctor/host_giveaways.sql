create function credits.gift_of(p_code text, p_function oid, p_called text)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    -- Whose amount, plan or key it is.
    when g.pattern is not null and regexp_replace(c.call, '^[^,]*', '') ~ g.pattern then 'free'
    -- A fixed grant under a fixed key takes effect once per person.
    when c.key !~ 'random|clock_timestamp|\mnow ?\(|uuid_generate' and p_code ~ 'auth\.(uid|jwt)' then 'once'
    when credits.without_null_checks(p_code) ~ '\m(if|elsif|case|exists)\M' and exists (select from credits.writes_of(p_code)) then 'conditions'
    else 'free'
  end
  from (
    select x.call, substring(x.call from 'p_idempotency_key ?=> ?(.*?)(?:, p_[a-z_]* ?=>|$)') as key
    from (select credits.call_in(p_code, p_called) as call) x) c
  cross join (select string_agg(a.pattern, '|') as pattern from credits.host_arguments(p_function) a) g
$$;
comment on function credits.gift_of(text, oid, text) is
  'Whether a call of this function of ours gives freely what the caller asks for, once, or on conditions that only a reader can judge.';
revoke all on function credits.gift_of(text, oid, text) from public, anon, authenticated, service_role;

create type credits.host_gift as (function_oid oid, does text, is_free boolean);
comment on type credits.host_gift is
  'A function of the project that gives credits: freely, or on conditions that only a reader can judge.';
revoke all on type credits.host_gift from public;

create function credits.host_gifts(p_functions credits.host_function[], p_moves credits.host_move[])
returns setof credits.host_gift
language sql
stable
security invoker
set search_path = ''
as $$
  with recursive calls as materialized (
    select c.* from credits.host_calls(p_functions) c
  ), moved as (
    select m.* from unnest(p_moves) m
    where m.raises
      -- A row for a new user may be opened with something; what is logged beside a balance is no second gift.
      and not (m.is_new and not m.by_argument and m.column_name !~* '^(amount|delta|change|quantity|credit_amount)$')
      and not (m.is_new and exists (select from unnest(p_moves) o where o.function_oid = m.function_oid and not o.is_new and o.lowers))
      -- Taken from one row and given to another.
      and not exists (select from unnest(p_moves) o
        where o.function_oid = m.function_oid and o.table_oid = m.table_oid and o.lowers and o.by_argument and not m.is_new and not o.is_new
          and substring(o.statement from ' where ([^;]*?)(?: and |;|$)') <> substring(m.statement from ' where ([^;]*?)(?: and |;|$)'))
  ), gifts(function_oid, does, is_free, depth) as (
    select m.function_oid, format('raises %s of %s', m.column_name, m.table_name), m.by_argument or not m.is_conditioned, 0
    from moved m
    union
    select c.caller, 'calls ' || c.called, k.kind = 'free', 0
    from calls c join unnest(p_functions) f on f.oid = c.caller
    cross join lateral (select credits.gift_of(f.code, f.oid, c.called) as kind) k
    where k.kind <> 'once' and c.callee is null and c.called = any ('{change_plan, reset_monthly_credits, refund_credits, revoke_grant,
      set_subscription_status, unfreeze_account, set_test_clock, grant_credits, import_balances}')
    union
    -- Through another function of the project. Whoever is asked there for their role is asked here.
    select c.caller, format('calls %s, which %s', g.name, g.does),
      g.is_free and (credits.call_in(f.code, c.called) ~ a.pattern or credits.without_null_checks(f.code) !~ '\m(if|elsif|case|exists)\M'),
      g.depth + 1
    from (
      select x.*, f.name from gifts x join unnest(p_functions) f on f.oid = x.function_oid
      where x.depth < 3 and not credits.checks_role(f.code)) g
    join calls c on c.callee = g.function_oid
    join unnest(p_functions) f on f.oid = c.caller
    cross join lateral (
      select coalesce(string_agg(x.pattern, '|') filter (where x.type in (20, 21, 23, 700, 701, 1700, 114, 3802)), '^$') as pattern
      from credits.host_arguments(c.caller) x) a
  )
  select g.function_oid, string_agg(distinct g.does, ' and '), bool_or(g.is_free)
  from gifts g join unnest(p_functions) f on f.oid = g.function_oid
  where not credits.checks_role(f.code)
  group by g.function_oid
$$;
comment on function credits.host_gifts(credits.host_function[], credits.host_move[]) is
  'Which of these functions give credits without asking what kind of caller they have, by themselves or through others.';
revoke all on function credits.host_gifts(credits.host_function[], credits.host_move[]) from public, anon, authenticated, service_role;
