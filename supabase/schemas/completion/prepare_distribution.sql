-- Citus distributes no table that has a policy with a sub-select. Where it is installed, the
-- policies ask for each row. Where it comes later, `select credits.prepare_distribution()` is run
-- before the tables are distributed.
create function credits.prepare_distribution()
returns integer
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_policy record;
  v_changed integer := 0;
begin
  for v_policy in
    select format('policy %I on %s', y.polname, r.name) as object, a.has
    from credits.own_relations() r
    join pg_catalog.pg_policy y on y.polrelid = r.oid
    cross join lateral pg_catalog.pg_get_expr(y.polqual, y.polrelid) as x(had)
    cross join lateral credits.asked_for_each_row(x.had) as a(has)
    where a.has <> x.had
  loop
    execute format('alter %s using (%s)', v_policy.object, v_policy.has);
    v_changed := v_changed + 1;
  end loop;
  update credits.installed_objects i set definition = o.definition
  from credits.own_objects() o
  where i.kind = 'policy' and o.object = i.object and v_changed > 0;
  return v_changed;
end
$$;
comment on function credits.prepare_distribution() is
  'Takes the sub-selects out of the policies, for Citus, which distributes no table that has one. '
  'Answers how many policies were changed. Reads of large workspaces become slow by it.';
revoke all on function credits.prepare_distribution()
  from public, anon, authenticated, service_role;

do $citus$
begin
  if exists (select 1 from pg_catalog.pg_extension e where e.extname = 'citus') then
    perform credits.prepare_distribution();
  end if;
end
$citus$;
