create function credits.make_again(p_object text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  -- The definition of a function is too long to be shown. Made anew it has to be closed again, and
  -- a view has triggers.
  select format(
    'do $mend$ declare d text; begin for d in select i.definition from credits.installed_objects i '
    'where i.object in (%1$L, %2$L) or i.object like %3$L order by i.object <> %1$L loop execute '
    'd; end loop; end $mend$;',
    p_object, 'privileges on ' || regexp_replace(p_object, '^view ', 'table '),
    'trigger % on ' || regexp_replace(p_object, '^[a-z]+ ', ''))
$$;
comment on function credits.make_again(text) is
  'The statement that makes a function or view again as it was installed.';
revoke all on function credits.make_again(text) from public, anon, authenticated, service_role;

create function credits.drop_of(p_object text, p_kind text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select case p_kind
    when 'constraint'
      then regexp_replace(p_object, '^constraint (.*) on ([^ ]*)$',
      'alter table \2 drop constraint \1;')
    when 'column' then regexp_replace(p_object, '^column (.*)\.("[^"]*"|[^.]*)$',
      'alter table \1 drop column \2;')
    else 'drop ' || p_object || ';' end
$$;
comment on function credits.drop_of(text, text) is
  'The statement that takes an object of own_objects away.';
revoke all on function credits.drop_of(text, text) from public, anon, authenticated, service_role;

create function credits.diagnose_drift()
returns table (code text, severity text, object text, meaning text, how_to_try text,
  how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with guards(object, severity, meaning) as (values
    ('trigger credit_transactions_are_append_only on public.credit_transactions', 'critical',
      'The ledger can be changed by whoever owns it.'),
    ('trigger credit_transactions_are_never_truncated on public.credit_transactions', 'critical',
      'The ledger can be emptied by whoever owns it.'),
    ('trigger credits_open_account on auth.users', 'medium',
      'A new user has no account until the first call, and no balance to show until then.'),
    ('trigger credits_close_account on auth.users', 'medium',
      'The account of a deleted user stays open.'),
    ('trigger credits_follow_user on auth.users', 'medium',
      'The account of a user whom Auth deletes softly stays open, and anonymous users who sign up '
        'get no free credits.'),
    ('trigger plan_limits_make_version on public.plan_limits', 'high',
      'A changed figure makes no version of the plan, and reaches no account.')
  ), compared as materialized (
    select coalesce(i.object, o.object) as object, coalesce(i.kind, o.kind) as kind,
      i.definition as installed, o.definition as found,
      -- Another major version may write the same definition in other words.
      i.server_major = current_setting('server_version_num')::integer / 10000 as is_comparable,
      format('select i.definition as installed, o.definition as found from '
        'credits.installed_objects i full join credits.own_objects() o using (object) where '
        'object = %L;',
        coalesce(i.object, o.object)) as how_to_try,
      coalesce(substring(coalesce(i.object, o.object)
        from '^(?:column|default of column) (.*)\.[^.]*$'),
        substring(coalesce(i.object, o.object)
          from '^(?:constraint|trigger|policy) .* on ([^ ]*)$')) as of_table
    from credits.installed_objects i full join credits.own_objects() o on o.object = i.object
  )
  select 'guard_is_missing', coalesce(g.severity, 'high'), c.object,
    coalesce(g.meaning, 'What it sees to is no longer seen to.'), c.how_to_try,
    case when c.found is null then c.installed
      else regexp_replace(c.object, '^trigger (.*) on ([^ ]*)$',
        'alter table \2 enable trigger \1;') end
  from compared c left join guards g on g.object = c.object
  where c.kind = 'trigger' and c.installed is not null and to_regclass(c.of_table) is not null
    and (c.found is null or c.found ~ ' (disable|enable replica) trigger '
    and c.installed !~ ' (disable|enable replica) trigger ')

  union all
  select 'index_is_missing', 'medium', substring(c.object from '^index (.*)$'),
    'The index is gone: what it is for reads the whole table.', c.how_to_try, c.installed
  from compared c where c.kind = 'index' and c.found is null

  union all
  select 'index_is_missing', 'medium', i.indexrelid::regclass::text,
    'The index is not valid: what it is for reads the whole table.',
    format('select indisvalid from pg_index where indexrelid = %L::regclass;',
      i.indexrelid::regclass),
    format('reindex index concurrently %s;', i.indexrelid::regclass)
  from pg_catalog.pg_index i join credits.own_relations() r on r.oid = i.indrelid
  where not i.indisvalid and not r.is_usage

  union all
  select 'object_is_missing', case when c.kind in ('table', 'column') then 'critical'
    else 'high' end, c.object,
    'It is gone. Calls that need it fail, or what it kept out gets in.', c.how_to_try,
    case c.kind when 'table' then 'Restore it from a backup: docs/runbook.md says how.'
      when 'column' then 'Restore it from a backup: docs/runbook.md says how.'
      when 'constraint' then c.installed when 'policy' then c.installed when 'type' then c.installed
        else credits.make_again(c.object) end
  from compared c
  where c.found is null and c.kind not in ('trigger', 'index', 'privileges', 'default', 'sequence')
    and (c.of_table is null or to_regclass(c.of_table) is not null)

  union all
  select case c.kind when 'privileges' then 'privileges_were_changed' else 'object_was_changed' end,
    case when c.kind in ('index', 'default', 'type') then 'medium' else 'high' end,
    regexp_replace(c.object, '^privileges on (table |function |sequence )?', ''),
    case when c.kind in ('function', 'view')
      then 'It is no longer what the migrations made: it may do something else than the '
      'documentation says.'
      when c.kind = 'privileges'
        then format('Who may do what is no longer as it was installed. Now: %s', c.found)
      else format('It is no longer what the migrations made. Now: %s', c.found) end,
    c.how_to_try,
    case when c.kind in ('function', 'view') then credits.make_again(c.object)
      when c.kind in ('trigger', 'constraint', 'policy', 'index')
        then credits.drop_of(c.object, c.kind) || ' ' || c.installed
      when c.installed is null then c.found
      when c.kind = 'type' then 'Labels that were added stay; no function uses them.'
      else c.installed end
  from compared c
  where c.found is distinct from c.installed
    and (c.is_comparable and c.found is not null and c.installed is not null
      -- A privilege on a column alone, where none was.
      or c.kind = 'privileges' and c.installed is null and c.object like 'privileges on column %')
    and not (c.kind = 'trigger' and c.found ~ ' (disable|enable replica) trigger ')
    -- Told of already: search_path_is_open.
    and not (c.kind = 'function' and c.found !~ 'SET search_path TO ''''')

  union all
  select 'object_was_added', 'low', c.object,
    case when c.kind in ('trigger', 'constraint')
      then 'It is not the credit system''s. It runs inside its operations, and where it fails they '
      'fail.'
      when c.kind = 'policy' then 'It is not the credit system''s. It decides which rows users see.'
      else 'It is not the credit system''s, and no migration knows it.' end,
    c.how_to_try, credits.drop_of(c.object, c.kind)
      || '  -- unless it is yours and meant to be there'
  from compared c
  where c.installed is null and c.kind not in ('privileges', 'default', 'index', 'sequence')
    -- What stands in public is looked at by name: function_is_overloaded, policy_widens_reading.
    and not (c.kind = 'function' and c.object like 'function public.%')
    and not (c.kind = 'policy' and c.found ~ ' as permissive ')
    and (c.of_table is null or c.of_table = 'auth.users' or exists (
      select from credits.installed_objects i
        where i.object in ('table ' || c.of_table, 'view ' || c.of_table)))
$$;
comment on function credits.diagnose_drift() is
  'What is gone, changed or added since the migrations ran.';
revoke all on function credits.diagnose_drift() from public, anon, authenticated, service_role;

create function credits.diagnose_installation()
returns table (code text, severity text, object text, meaning text, how_to_try text,
  how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with privileges as materialized (select p.* from credits.diagnose_privileges() p)
  select p.* from privileges p
  union all
  select s.* from credits.diagnose_surroundings() s
  union all
  -- That privileges differ is said of what nothing plainer is said of.
  select d.* from credits.diagnose_drift() d
  where d.code <> 'privileges_were_changed'
    or regexp_replace(d.object, '^column (.*)\.[^.]*$', '\1') not in (select p.object
    from privileges p)
$$;
comment on function credits.diagnose_installation() is
  'What of the credit system is no longer as its migrations made it.';
revoke all on function credits.diagnose_installation()
  from public, anon, authenticated, service_role;
