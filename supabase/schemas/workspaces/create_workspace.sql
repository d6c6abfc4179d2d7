create function credits.create_workspace(p_user_id uuid, p_name text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid;
begin
  if coalesce(length(btrim(p_name)) not between 1 and 200, true) then
    perform credits.refuse_argument('p_name', 'A workspace has a name of 1 to 200 characters.');
  end if;
  perform credits.lock_account(v_user_id);
  if (select count(*) from public.credit_workspace_members m
      where m.user_id = v_user_id and m.role = 'owner') >= 100 then
    perform credits.raise_error('forbidden', '{"most": 100}',
      'A person owns at most 100 workspaces. Delete or pass on one that is no longer used.');
  end if;
  insert into public.credit_workspaces (name) values (btrim(p_name)) returning account_id
    into v_account_id;
  insert into public.credit_workspace_members (account_id, user_id, role)
  values (v_account_id, v_user_id, 'owner');
  return credits.workspace_answer(v_account_id, v_user_id);
end
$$;
comment on function credits.create_workspace(uuid, text) is
  'What create_workspace does, after asking who calls.';
revoke all on function credits.create_workspace(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function credits.create_workspace(uuid, text) to authenticated, service_role;

-- edge: result=Workspace callers=authenticated,service_role required=user_id,name
--   Make a workspace; the acting user owns it.
--
--   It starts on the default plan's limits, without credits of its own.
--
--   Raises:
--       Forbidden: the user owns 100 workspaces already.
--       AccountNotFound, InvalidArgument.
create function public.create_workspace(p_user_id uuid default null, p_name text default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.create_workspace(p_user_id, p_name);
comment on function public.create_workspace(uuid, text) is
  'Makes a workspace, with the acting user as its owner. It starts on the default plan''s '
  'limits, without credits of its own unless the setting workspace_credits says so.';
revoke all on function public.create_workspace(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.create_workspace(uuid, text) to authenticated, service_role;
