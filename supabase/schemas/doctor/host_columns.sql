-- What of the project's own tables is worth money, told by names and types.

create function credits.host_tables()
returns table (oid oid, name text, relname name, rls boolean, is_served boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  select c.oid, format('%I.%I', s.name, c.relname), c.relname, c.relrowsecurity, s.is_served
  from pg_catalog.pg_class c join credits.host_schemas() s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and not (s.name = 'public' and (c.relname = 'usage' or c.relname in (select credits.public_relations())))
    and not exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
$$;
comment on function credits.host_tables() is 'The tables of the project itself.';
revoke all on function credits.host_tables() from public, anon, authenticated, service_role;

create function credits.worth_of(p_table text, p_column text, p_type oid, p_default text default null)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when t.base in (20, 21, 23, 700, 701, 790, 1700) then case
      -- What a model read and wrote is a note about one message, and no balance.
      when n.name ~ '(^|_)tokens?(_|$)' and (n.name ~ '^(max|min|total|prompt|completion|input|output|context|cached|reasoning)_'
        or p_table ~* '(message|log|event|completion|generation|request|conversation|chat|run|job|document|chunk|embedding|session)s?$') then null
      when n.name ~ '_(id|ids|at|on|version|type|score|card|hours|rate|price|cost|order|index)$|^credit_(card|score|type|limit)' then null
      when n.name ~ '(^|_)(credits?|balance|quota|coins?|points|allowance|tokens?|gems)(_|$)'
        or n.name ~ '(^|_)(messages?|generations?|requests?|calls|images?|exports?|minutes|queries|searches|prompts?|uploads?|words|videos?|projects?|scans?|uses|runs)_(left|remaining|limit|quota|used|allowed)$'
        or n.name ~ '^(remaining|free|available)_(messages?|generations?|requests?|calls|images?|exports?|minutes|queries|searches|prompts?|words|videos?|uses|runs)$'
        or n.name ~ '^(usage|request|generation|api_call)_(count|limit)$|^(monthly|daily)_(limit|usage|quota)$'
        then case when n.name ~ '(^|_)(used|spent|consumed|usage)(_|$)|_count$' then 'used' else 'counter' end
      when n.name ~ '^(amount|delta|change|quantity|credit_amount)$' and p_table ~* '(credit|token|coin|wallet|balance|points)' then 'counter'
      when n.name ~ '^((subscription_?)?(plan|tier)(_id)?)$' then 'plan'
    end
    when t.base in (114, 3802) then case
      when p_default ~ '"(credits?|balance|quota|coins|points|tokens|plan|tier)"' then 'json' end
    when n.name ~ '^((current_|user_)?(subscription_?)?(plan|tier)(_id|_name|_type)?|subscription_status|subscription|(stripe_)?(price|product|variant)_id|(stripe_)?(customer|subscription)_id|(is_|has_)?(pro|premium|paid|subscribed|subscriber)|(premium|paid|pro|trial|subscription)_(until|ends?_at|end|end_date|expires_at|expiry)|current_period_end)$'
      -- A product of a shop and the subscription of a newsletter are none.
      and (n.name !~ '^(price|product|variant|customer)_id$|^subscription$' or p_table ~* '(profile|user|account|subscription|organi[sz]ation|team|workspace)s?$')
      then 'plan'
    when n.name ~ '^((is_)?(super_?)?(admin|staff|superuser))$' and t.base = 16
      or n.name ~ '^((user|app|account|system)_)?roles?$' and p_table ~* '(^|_)(profile|user|account|user_role)s?$' then 'role'
  end
  from (select lower(regexp_replace(p_column, '([a-z0-9])([A-Z])', '\1_\2', 'g')) as name) n
  cross join (select coalesce(nullif(y.typbasetype, 0), y.oid) as base from pg_catalog.pg_type y where y.oid = p_type) t
$$;
comment on function credits.worth_of(text, text, oid, text) is
  'What a column of this name and type is: a counter of what is left, a counter of what was used, json with one in it, what names a plan, a role, or null.';
revoke all on function credits.worth_of(text, text, oid, text) from public, anon, authenticated, service_role;

create function credits.host_columns()
returns table (table_oid oid, table_name text, relname name, is_served boolean, column_name name, worth text, type oid)
language sql
stable
security invoker
set search_path = ''
as $$
  select t.oid, t.name, t.relname, t.is_served, a.attname, w.worth, a.atttypid
  from credits.host_tables() t
  join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  cross join lateral (
    select credits.worth_of(t.relname, a.attname, a.atttypid, pg_catalog.pg_get_expr(d.adbin, d.adrelid)) as worth) w
  where w.worth is not null
$$;
comment on function credits.host_columns() is 'Columns of the project''s own tables that are worth money, and what they are.';
revoke all on function credits.host_columns() from public, anon, authenticated, service_role;
