-- edge: result=bool callers=authenticated,service_role repeatable
--   Whether the signed-in user may have one more of what this type limits: for policies of your
--   own.
--
--   Raises:
--       UnknownCreditType.
create function public.within_limit(p_credit_type text)
returns boolean
language sql
stable
security invoker
set search_path = ''
return coalesce(credits.read_room(p_credit_type, 1) > 0, true);
comment on function public.within_limit(text) is
  'Whether the signed-in user may have one more of what this type limits, right to the second: for '
  'policies of your own tables, written as (select within_limit(''project'')). The limit itself is '
  'kept by consuming or by credits.meter_table; this says so before.';
revoke all on function public.within_limit(text) from public, anon, authenticated, service_role;
grant execute on function public.within_limit(text) to authenticated, service_role;
