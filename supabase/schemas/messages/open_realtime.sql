create function credits.readable_topics()
returns text[]
language plpgsql
stable
security definer
cost 10000
set search_path = ''
as $$
begin
  return array(select credits.topic_of(a.id) from unnest(credits.readable_ids()) a(id));
end
$$;
comment on function credits.readable_topics() is
  'The topics that the signed-in user may listen to: those of their own account and of their '
  'workspaces, as they are called now.';
revoke all on function credits.readable_topics() from public, anon, authenticated, service_role;
grant execute on function credits.readable_topics() to authenticated;

create function credits.open_realtime()
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if to_regclass('realtime.messages') is null or to_regprocedure('realtime.topic()') is null then
    return false;
  end if;
  execute 'drop policy if exists "People may hear of their accounts" on realtime.messages';
  execute 'create policy "People may hear of their accounts" on realtime.messages
    for select to authenticated using (
      extension = ''broadcast'' and (select realtime.topic()) = any (credits.readable_topics()))';
  return true;
exception when insufficient_privilege then
  raise warning 'credits: the policy for Realtime could not be made: %', sqlerrm;
  return false;
end
$$;
comment on function credits.open_realtime() is
  'Lets people listen to news of their accounts, where Supabase Realtime is there. Run it as the '
  'owner of realtime.messages where Realtime is switched on later.';
revoke all on function credits.open_realtime() from public, anon, authenticated, service_role;
do $$
begin
  perform credits.open_realtime();
end
$$;
