create function credits.list_notifications(p_user_id uuid, p_limit integer)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
begin
  if p_limit is null or p_limit not between 1 and 200 then
    perform credits.refuse_argument('p_limit', 'The limit is 1 to 200.');
  end if;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'unread', (
      select count(*) from public.credit_notifications n
      where n.user_id = v_user_id and n.read_at is null),
    'rows', (
      select coalesce(jsonb_agg(to_jsonb(r) order by r.created_at desc, r.notification_id), '[]')
      from (
        select n.id as notification_id, n.account_id, n.kind, n.data, n.created_at, n.read_at, (
          select w.name from public.credit_workspaces w
          where w.account_id = n.account_id) as workspace
        from public.credit_notifications n
        where n.user_id = v_user_id
        order by n.created_at desc, n.id limit p_limit) r)));
end
$$;
comment on function credits.list_notifications(uuid, integer) is
  'What list_notifications does, after asking who calls.';
revoke all on function credits.list_notifications(uuid, integer)
  from public, anon, authenticated, service_role;
grant execute on function credits.list_notifications(uuid, integer) to authenticated, service_role;

-- edge: result=NotificationList callers=authenticated,service_role repeatable required=user_id
--   What the user was told in the app, the newest first, over all their accounts.
--
--   Raises:
--       InvalidArgument: ``limit`` is not 1 to 200.
--       AccountNotFound.
create function public.list_notifications(
  p_user_id uuid default null, p_limit integer default 50)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.list_notifications(p_user_id, p_limit);
comment on function public.list_notifications(uuid, integer) is
  'The notifications of the acting person, the newest first, and how many are unread.';
revoke all on function public.list_notifications(uuid, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.list_notifications(uuid, integer)
  to authenticated, service_role;
