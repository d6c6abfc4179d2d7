create function credits.revoke_api_key(
  p_user_id uuid, p_workspace_id uuid, p_key_id uuid)
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
  v_at timestamptz := clock_timestamp();
  v_key credits.api_keys;
begin
  if p_key_id is null then
    perform credits.refuse_argument('p_key_id', 'Pass the id of the key.');
  end if;
  update credits.api_keys k set revoked_at = coalesce(k.revoked_at, v_at)
  where k.account_id = v_account_id and k.id = p_key_id
    and (v_only_actor is null or k.user_id = v_only_actor)
  returning * into v_key;
  if not found then
    perform credits.raise_error('key_not_found', jsonb_build_object('key_id', p_key_id));
  end if;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'workspace_id', p_workspace_id) || credits.key_state(v_key));
end
$$;
comment on function credits.revoke_api_key(uuid, uuid, uuid) is
  'What revoke_api_key does, after asking who calls.';
revoke all on function credits.revoke_api_key(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.revoke_api_key(uuid, uuid, uuid) to authenticated, service_role;

-- edge: result=ApiKey callers=authenticated,service_role repeatable required=user_id,key_id
--   Revoke a key: the next request with it is refused.
--
--   Raises:
--       KeyNotFound: there is none, or it is another member's.
--       AccountNotFound.
create function public.revoke_api_key(
  p_user_id uuid default null, p_workspace_id uuid default null, p_key_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.revoke_api_key(p_user_id, p_workspace_id, p_key_id);
comment on function public.revoke_api_key(uuid, uuid, uuid) is
  'Revokes a key at once: the next request with it is refused. People revoke their own, owners and '
  'admins of a workspace everybody''s.';
revoke all on function public.revoke_api_key(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.revoke_api_key(uuid, uuid, uuid) to authenticated, service_role;
