-- edge: result=Diagnosis callers=service_role repeatable slow
--   Inspect the credit system: what was changed, who may do what, how it runs.
create function public.diagnose()
returns jsonb
language sql
stable
security definer
set search_path = ''
-- Many small queries over estimates of many rows: compiling them takes ten times longer than
-- running them.
set jit = off
as $$
  with findings as (
    select f.*, array_position('{critical, high, medium, low, info}', f.severity) as rank
    from (
      select i.* from credits.diagnose_installation() i
      union all
      select o.* from credits.diagnose_operation() o
    ) f
  )
  select jsonb_build_object(
    'success', coalesce(min(f.rank), 5) > 2,
    'code', case when coalesce(min(f.rank), 5) > 2 then 'ok' else 'findings' end,
    'server_version', current_setting('server_version'),
    'findings', coalesce(jsonb_agg(jsonb_build_object(
      'code', f.code, 'severity', f.severity, 'object', f.object, 'meaning', f.meaning,
      'how_to_try', f.how_to_try,
      'how_to_mend', f.how_to_mend) order by f.rank, f.code, f.object), '[]'))
  from findings f
$$;
comment on function public.diagnose() is
  'Inspects the credit system here: what is not as it was made, who may do what, how it runs. '
  'Answers findings with code, severity, object, meaning, how_to_try and how_to_mend; success is '
  'false when one is critical or high. Changes nothing. The project''s own code is read by '
  '`sonas doctor`.';
revoke all on function public.diagnose() from public, anon, authenticated, service_role;
grant execute on function public.diagnose() to service_role;
