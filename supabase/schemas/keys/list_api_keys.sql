create function credits.list_api_keys(
  p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid := credits.budget_account(
    v_user_id, p_workspace_id, '{owner,admin,member,viewer}', null);
  v_only_actor uuid := credits.only_actor(v_account_id, v_user_id);
begin
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'workspace_id', p_workspace_id, 'keys', (
      select coalesce(jsonb_agg(credits.key_state(k) order by k.created_at, k.id), '[]')
      from credits.api_keys k
      where k.account_id = v_account_id and k.revoked_at is null
        and (v_only_actor is null or k.user_id = v_only_actor))));
end
$$;
comment on function credits.list_api_keys(uuid, uuid) is
  'What list_api_keys does, after asking who calls.';
revoke all on function credits.list_api_keys(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.list_api_keys(uuid, uuid) to authenticated, service_role;

-- edge: result=ApiKeys callers=authenticated,service_role repeatable required=user_id
--   The keys that are not revoked: the user's own, and everybody's for owners and admins.
--
--   Raises:
--       AccountNotFound.
create function public.list_api_keys(
  p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.list_api_keys(p_user_id, p_workspace_id);
comment on function public.list_api_keys(uuid, uuid) is
  'The keys that a person has made on their own account or in a workspace; owners and admins of a '
  'workspace see everybody''s.';
revoke all on function public.list_api_keys(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.list_api_keys(uuid, uuid) to authenticated, service_role;
