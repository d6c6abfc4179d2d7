create function credits.announce(
  p_account_id uuid, p_kind text, p_data jsonb default '{}', p_credit_type text default null,
  p_user_id uuid default null, p_once text default null)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_data jsonb;
  v_message_id uuid;
begin
  if not exists (select 1 from credits.message_kinds k where k.id = p_kind) then
    raise exception 'no such kind of message: %', p_kind;
  end if;
  v_data := jsonb_build_object('account_id', p_account_id, 'at', credits.account_time(p_account_id))
    || case when p_credit_type is null then jsonb '{}'
      else jsonb_build_object('credit_type', p_credit_type) end
    || case when p_user_id is null then jsonb '{}'
      else jsonb_build_object('user_id', p_user_id) end
    || coalesce(p_data, '{}');
  insert into credits.outbox (
    account_id, kind, credit_type, user_id, data, once_key, created_at)
  values (p_account_id, p_kind, p_credit_type, p_user_id, v_data, p_once, v_now)
  on conflict (account_id, once_key) where once_key is not null do nothing
  returning id into v_message_id;
  if v_message_id is null then
    return null;
  end if;
  insert into public.credit_notifications (account_id, user_id, kind, data, created_at)
  select p_account_id, p.user_id, p_kind, v_data, v_now
  from credits.people_of(p_account_id) p
  where p.in_app;
  perform credits.broadcast(p_account_id, p_kind, v_message_id);
  return v_message_id;
end
$$;
comment on function credits.announce(uuid, text, jsonb, text, uuid, text) is
  'Tells the people and the receivers of an account what has just happened to it, as part of the '
  'transaction: nothing is told of what is rolled back. p_once: what bears the same key is told '
  'once (then null). Answers the id of the message.';
revoke all on function credits.announce(uuid, text, jsonb, text, uuid, text)
  from public, anon, authenticated, service_role;
