-- edge: result=KeyHolder callers=service_role repeatable
--   For whom a key acts, and on which account: asked by a backend at each request.
--
--   Raises:
--       KeyNotFound: there is no such key, it was revoked, has expired, or its person may not.
create function public.find_api_key(p_key text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.account_of_token(p_key, 'sonas');
  v_at timestamptz := clock_timestamp();
  v_key credits.api_keys;
begin
  select * into v_key from credits.api_keys k
  where k.account_id = v_account_id and k.key_hash = credits.hash_token(p_key)
    and k.revoked_at is null and (k.expires_at is null or k.expires_at > v_at);
  if not found or not credits.key_may(v_account_id, v_key.user_id) then
    perform credits.raise_error('key_not_found');
  end if;
  update credits.api_keys k set last_used_at = v_at
  where k.account_id = v_account_id and k.id = v_key.id
    and (k.last_used_at is null
      or date_trunc('minute', k.last_used_at) < date_trunc('minute', v_at));
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'workspace_id', nullif(v_account_id, v_key.user_id)) || credits.key_state(v_key));
end
$$;
comment on function public.find_api_key(text) is
  'For whom a key acts and on which account (workspace_id, null for their own). Raises '
  'key_not_found for one that is unknown, revoked or expired, or whose person may not act there.';
revoke all on function public.find_api_key(text) from public, anon, authenticated, service_role;
grant execute on function public.find_api_key(text) to service_role;

create function credits.key_may(p_account_id uuid, p_user_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return case when p_account_id = p_user_id then credits.is_living(p_account_id)
    else coalesce(credits.standing_of(p_account_id, p_user_id) <> 'viewer', false) end;
end
$$;
comment on function credits.key_may(uuid, uuid) is
  'Whether the person of a key may still act on its account.';
revoke all on function credits.key_may(uuid, uuid)
  from public, anon, authenticated, service_role;
