-- edge: result=UncollectedResolved callers=service_role repeatable
--   Say what came of an entry: charged by hand, forgiven, a mistake. It is listed no more.
--
--   ``resolved`` is False when it was resolved before.
--
--   Raises:
--       InvalidArgument: there is no such entry, or nothing is said.
create function public.resolve_uncollected(
  p_user_id uuid, p_uncollected_id uuid, p_resolution text, p_workspace_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
  v_now timestamptz := clock_timestamp();
begin
  if p_resolution is null or length(p_resolution) not between 1 and 2000 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_resolution"}',
      'Say what came of it, in 1 to 2000 characters.');
  end if;
  if not exists (
    select 1 from credits.uncollected u
    where u.account_id = v_account_id and u.id = p_uncollected_id
  ) then
    perform credits.raise_error('invalid_argument', '{"argument": "p_uncollected_id"}',
      'This account has no such entry.');
  end if;
  update credits.uncollected u set resolved_at = v_now, resolution = p_resolution
  where u.account_id = v_account_id and u.id = p_uncollected_id and u.resolved_at is null;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'uncollected_id', p_uncollected_id,
    'resolved', found));
end
$$;
comment on function public.resolve_uncollected(uuid, uuid, text, uuid) is
  'Says what came of work that could not be charged, which takes it off the list.';
revoke all on function public.resolve_uncollected(uuid, uuid, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.resolve_uncollected(uuid, uuid, text, uuid) to service_role;
