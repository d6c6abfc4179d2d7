-- A hook of Supabase Auth (before user created) that a project may switch on. Without it a second
-- account of a person is let in, with no free credits of its own.
create function credits.refuse_repeated_signup(p_event jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_user auth.users := jsonb_populate_record(null::auth.users, jsonb_build_object(
    'email', p_event #> '{user,email}', 'phone', p_event #> '{user,phone}',
    'is_anonymous', p_event #> '{user,is_anonymous}', 'raw_app_meta_data',
    p_event #> '{user,app_metadata}',
    'raw_user_meta_data', p_event #> '{user,user_metadata}'));
begin
  if exists (
    select 1 from credits.identity_holders h
    where h.identity = credits.hash_identity(credits.identity_of(v_user))
      and credits.is_living(h.account_id)
      -- One that waits for its address to be confirmed may be anybody's.
      and not exists (
        select 1 from auth.users u where u.id = h.account_id and u.email_confirmed_at is null
          and to_jsonb(u) ->> 'confirmation_sent_at' is not null)) then
    return jsonb_build_object('error', jsonb_build_object('http_code', 403,
      'message', 'You have an account already. Sign in with the address that you signed up with.'));
  end if;
  return jsonb '{}';
exception when others then
  -- A sign-up is worth more than its credits.
  raise warning 'credits: a sign-up was let in unseen: % (%)', sqlerrm, sqlstate;
  return jsonb '{}';
end
$$;
comment on function credits.refuse_repeated_signup(jsonb) is
  'A before-user-created hook of Supabase Auth: refuses to sign a person up who has an open '
  'account, as far as credits.identity_of can tell. Switch it on with: grant usage on schema '
  'credits to supabase_auth_admin; grant execute on function '
  'credits.refuse_repeated_signup(jsonb) to supabase_auth_admin; and choose it under '
  'Authentication, Hooks.';
revoke all on function credits.refuse_repeated_signup(jsonb)
  from public, anon, authenticated, service_role;
