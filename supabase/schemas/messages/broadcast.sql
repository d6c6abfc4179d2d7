-- Where Supabase Realtime is there, pages that show an account hear at once that there is news, and
-- read it through row level security. Who may listen is asked when a page joins a topic, not for
-- each message: so the topic of an account changes when a member goes.
create table credits.broadcast_epochs (
  account_id uuid not null,
  epoch integer not null,
  constraint broadcast_epochs_pkey primary key (account_id),
  constraint broadcast_epochs_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
comment on table credits.broadcast_epochs is
  'How often the topic of a workspace has changed because a member went. Without a row: never.';
alter table credits.broadcast_epochs enable row level security;
revoke all on table credits.broadcast_epochs from public, anon, authenticated, service_role;

create function credits.topic_of(p_account_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return 'account:' || p_account_id || ':' || coalesce(
    (select e.epoch from credits.broadcast_epochs e where e.account_id = p_account_id), 0);
end
$$;
comment on function credits.topic_of(uuid) is 'On which topic news of an account is broadcast.';
revoke all on function credits.topic_of(uuid) from public, anon, authenticated, service_role;

create function credits.broadcast(p_account_id uuid, p_kind text, p_message_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_send regproc := to_regprocedure('realtime.send(jsonb,text,text,boolean)');
begin
  if v_send is null then
    return;
  end if;
  begin
    -- Ids and kinds only: figures are read by those who may.
    execute format('select %s($1, ''credits'', $2, true)', v_send)
      using jsonb_build_object('id', p_message_id, 'kind', p_kind), credits.topic_of(p_account_id);
  exception when others then
    raise warning 'credits: news of account % was not broadcast: % (%)',
      p_account_id, sqlerrm, sqlstate;
  end;
end
$$;
comment on function credits.broadcast(uuid, text, uuid) is
  'Says on the account''s topic that there is news, where Supabase Realtime is there. Never fails.';
revoke all on function credits.broadcast(uuid, text, uuid)
  from public, anon, authenticated, service_role;

create function credits.change_topic()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into credits.broadcast_epochs as e (account_id, epoch) values (old.account_id, 1)
  on conflict (account_id) do update set epoch = e.epoch + 1;
  return null;
end
$$;
comment on function credits.change_topic() is
  'Gives a workspace another topic when a member goes: who listened to the old one hears no more.';
revoke all on function credits.change_topic() from public, anon, authenticated, service_role;
create trigger credit_workspace_members_change_topic
  after delete or update of user_id on public.credit_workspace_members
  for each row execute function credits.change_topic();
