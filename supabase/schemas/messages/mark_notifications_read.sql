create function credits.mark_notifications_read(p_user_id uuid, p_notification_ids uuid[])
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_now timestamptz := clock_timestamp();
  v_count bigint;
begin
  if cardinality(p_notification_ids) > 1000 then
    perform credits.refuse_argument('p_notification_ids', 'Up to 1000 at once; null for all.');
  end if;
  update public.credit_notifications n set read_at = v_now
  where n.user_id = v_user_id and n.read_at is null
    and (p_notification_ids is null or n.id = any (p_notification_ids));
  get diagnostics v_count = row_count;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'marked', v_count,
    'unread', (
      select count(*) from public.credit_notifications n
      where n.user_id = v_user_id and n.read_at is null)));
end
$$;
comment on function credits.mark_notifications_read(uuid, uuid[]) is
  'What mark_notifications_read does, after asking who calls.';
revoke all on function credits.mark_notifications_read(uuid, uuid[])
  from public, anon, authenticated, service_role;
grant execute on function credits.mark_notifications_read(uuid, uuid[])
  to authenticated, service_role;

-- edge: result=NotificationsRead callers=authenticated,service_role repeatable required=user_id
--   Mark notifications of the user as read, by their ids or all of them.
--
--   Ids of other people's are passed over. ``unread`` is how many are left.
--
--   Raises:
--       InvalidArgument: more than 1000 ids.
--       AccountNotFound.
create function public.mark_notifications_read(
  p_user_id uuid default null, p_notification_ids uuid[] default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.mark_notifications_read(p_user_id, p_notification_ids);
comment on function public.mark_notifications_read(uuid, uuid[]) is
  'Marks the acting person''s notifications as read, some or all. Answers how many are unread.';
revoke all on function public.mark_notifications_read(uuid, uuid[])
  from public, anon, authenticated, service_role;
grant execute on function public.mark_notifications_read(uuid, uuid[])
  to authenticated, service_role;
