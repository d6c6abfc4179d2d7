create function credits.alerts_answer(p_account_id uuid, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_by_mail boolean;
  v_in_app boolean;
begin
  select f.by_mail, f.in_app into v_by_mail, v_in_app from credits.message_preferences f
  where f.account_id = p_account_id and f.user_id = p_user_id;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'account_id', p_account_id,
    'by_mail', coalesce(v_by_mail, true), 'in_app', coalesce(v_in_app, true),
    'topic', credits.topic_of(p_account_id),
    'alerts', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'credit_type', t.id, 'description', t.description, 'percents', l.percents,
        'amounts', l.amounts, 'is_default', l.is_default) order by t.id), '[]')
      from credits.credit_types t cross join lateral credits.levels_of(p_account_id, t.id) l)));
end
$$;
comment on function credits.alerts_answer(uuid, uuid) is
  'How a person is told about an account: the levels of each credit type, and the channels.';
revoke all on function credits.alerts_answer(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.get_credit_alerts(p_user_id uuid, p_workspace_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
begin
  return credits.alerts_answer(credits.paying_account(v_user_id, p_workspace_id), v_user_id);
end
$$;
comment on function credits.get_credit_alerts(uuid, uuid) is
  'What get_credit_alerts does, after asking who calls.';
revoke all on function credits.get_credit_alerts(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.get_credit_alerts(uuid, uuid) to authenticated, service_role;

-- edge: result=Alerts callers=authenticated,service_role repeatable required=user_id
--   How the user is told about the account: the levels of each credit type, and the channels.
--
--   ``topic`` is where Supabase Realtime broadcasts that there is news.
--
--   Raises:
--       AccountNotFound.
create function public.get_credit_alerts(
  p_user_id uuid default null, p_workspace_id uuid default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.get_credit_alerts(p_user_id, p_workspace_id);
comment on function public.get_credit_alerts(uuid, uuid) is
  'How a person is told about an account: at which levels, by mail, in the app, and on which topic '
  'of Supabase Realtime.';
revoke all on function public.get_credit_alerts(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.get_credit_alerts(uuid, uuid) to authenticated, service_role;
