create function credits.create_api_key(
  p_user_id uuid, p_workspace_id uuid, p_name text, p_ttl_seconds integer)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid := credits.budget_account(
    v_user_id, p_workspace_id, '{owner,admin,member}', null);
  v_at timestamptz := clock_timestamp();
  v_secret text := credits.new_token(v_account_id, 'sonas');
  v_key credits.api_keys;
begin
  perform credits.check_key(v_account_id, p_name, p_ttl_seconds);
  insert into credits.api_keys (account_id, key_hash, name, user_id, created_at, expires_at)
  values (v_account_id, credits.hash_token(v_secret), btrim(p_name), v_user_id, v_at,
    v_at + make_interval(secs => p_ttl_seconds))
  returning * into v_key;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'workspace_id', p_workspace_id, 'key', v_secret) || credits.key_state(v_key));
end
$$;
comment on function credits.create_api_key(uuid, uuid, text, integer) is
  'What create_api_key does, after asking who calls.';
revoke all on function credits.create_api_key(uuid, uuid, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function credits.create_api_key(uuid, uuid, text, integer) to authenticated,
  service_role;

-- edge: result=NewApiKey callers=authenticated,service_role required=user_id,name
--   Make a key for a program. The ``key`` is answered this once.
--
--   It acts for the user, on their own account or in the workspace, and ends with their
--   membership. What is done with it has ``name`` as its actor, in the ledger and for budgets.
--
--   Raises:
--       Forbidden: the user is a viewer of the workspace, or there are 100 keys.
--       AccountNotFound, InvalidArgument.
create function public.create_api_key(
  p_user_id uuid default null, p_workspace_id uuid default null, p_name text default null,
  p_ttl_seconds integer default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.create_api_key(p_user_id, p_workspace_id, p_name, p_ttl_seconds);
comment on function public.create_api_key(uuid, uuid, text, integer) is
  'Makes a key for a program that acts for the acting user, on their own account or in a '
  'workspace. The key is answered once; its SHA-256 is stored.';
revoke all on function public.create_api_key(uuid, uuid, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.create_api_key(uuid, uuid, text, integer) to authenticated,
  service_role;

create function credits.check_key(p_account_id uuid, p_name text, p_ttl_seconds integer)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if coalesce(btrim(p_name) !~ '^[[:graph:] ]{1,80}$', true) then
    perform credits.refuse_argument('p_name', 'A key has a name of 1 to 80 characters.');
  end if;
  if p_ttl_seconds < 1 or p_ttl_seconds > 315360000 then
    perform credits.refuse_argument('p_ttl_seconds',
      'A key lives for 1 second to 10 years, or (null) until it is revoked.');
  end if;
  -- One after the other, so that two of one name are seen.
  perform 1 from credits.accounts a where a.account_id = p_account_id for no key update;
  if exists (
    select 1 from credits.api_keys k
    where k.account_id = p_account_id and k.name = btrim(p_name) and k.revoked_at is null) then
    perform credits.refuse_argument('p_name', 'A key of this name exists. Revoke it first.');
  end if;
  if (select count(*) from credits.api_keys k
      where k.account_id = p_account_id and k.revoked_at is null) >= 100 then
    perform credits.raise_error('forbidden', '{"most": 100}',
      'An account has at most 100 keys. Revoke one first.');
  end if;
end
$$;
comment on function credits.check_key(uuid, text, integer) is
  'Raises what is wrong with a key before it is made.';
revoke all on function credits.check_key(uuid, text, integer)
  from public, anon, authenticated, service_role;
