create function credits.mail_token(p_account_id uuid, p_user_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return translate(encode(uuid_send(p_account_id) || uuid_send(p_user_id) || substring(
    credits.hash_identity('unsubscribe:' || p_account_id || ':' || p_user_id) from 1 for 16),
    'base64'), '+/', '-_');
end
$$;
comment on function credits.mail_token(uuid, uuid) is
  'What stands in a mail so that its reader can turn mails off without signing in.';
revoke all on function credits.mail_token(uuid, uuid)
  from public, anon, authenticated, service_role;

-- edge: result=MailSubscription callers=service_role repeatable
--   Turn the mails off that bear this token in their unsubscribe link, or on again.
--
--   Raises:
--       InvalidArgument: no mail bears such a token.
create function public.unsubscribe_credit_mail(p_token text, p_by_mail boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_bytes bytea;
  v_account_id uuid;
  v_user_id uuid;
begin
  if p_token ~ '^[A-Za-z0-9_-]{64}$' then
    v_bytes := decode(translate(p_token, '-_', '+/'), 'base64');
    v_account_id := encode(substring(v_bytes from 1 for 16), 'hex')::uuid;
    v_user_id := encode(substring(v_bytes from 17 for 16), 'hex')::uuid;
  end if;
  if v_user_id is null or p_token <> credits.mail_token(v_account_id, v_user_id)
     or not exists (select 1 from credits.accounts a where a.account_id = v_account_id) then
    perform credits.refuse_argument('p_token', 'This link is not one of ours, or is incomplete.');
  end if;
  insert into credits.message_preferences as f (account_id, user_id, by_mail)
  values (v_account_id, v_user_id, coalesce(p_by_mail, false))
  on conflict (account_id, user_id) do update set by_mail = excluded.by_mail;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'by_mail', coalesce(p_by_mail, false), 'workspace', (
      select w.name from public.credit_workspaces w where w.account_id = v_account_id)));
end
$$;
comment on function public.unsubscribe_credit_mail(text, boolean) is
  'Turns mails about an account off for the person whose unsubscribe link it is, or on again.';
revoke all on function public.unsubscribe_credit_mail(text, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.unsubscribe_credit_mail(text, boolean) to service_role;
