-- Deliveries. A channel is one way to one receiver: a person's mail, an endpoint, an invitation. It
-- hands out its messages in their order, to one worker at a time, under a lease that ends by itself
-- when the worker dies. So a receiver that is slow or dead holds up its own channel, and no other.

create table credits.channels (
  account_id uuid not null,
  channel text not null,
  kind text not null,
  target_id uuid not null,
  last_n bigint not null,
  due_at timestamptz,
  lease_id uuid,
  leased_until timestamptz,
  constraint channels_pkey primary key (account_id, channel),
  constraint channels_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id),
  constraint channels_kind_is_known check (kind in ('email', 'webhook', 'invitation')),
  constraint channels_are_leased_until_some_time
    check ((lease_id is null) = (leased_until is null))
);
create index channels_due_at_idx on credits.channels (due_at) where due_at is not null;
comment on table credits.channels is 'One way to one receiver of an account''s messages.';
comment on column credits.channels.target_id is 'The person, the endpoint, or the invitation.';
comment on column credits.channels.last_n is 'The number of its last message.';
comment on column credits.channels.due_at is
  'When its next message is to be tried; null when none waits.';
alter table credits.channels enable row level security;
revoke all on table credits.channels from public, anon, authenticated, service_role;

create table credits.deliveries (
  account_id uuid not null,
  channel text not null,
  n bigint not null,
  message_id uuid not null,
  state text not null default 'waiting',
  attempts integer not null default 0,
  error text,
  settled_at timestamptz,
  constraint deliveries_pkey primary key (account_id, channel, n),
  constraint deliveries_message_fkey foreign key (account_id, message_id)
    references credits.outbox (account_id, id) on delete cascade,
  constraint deliveries_state_is_known
    check (state in ('waiting', 'delivered', 'dropped', 'dead')),
  constraint deliveries_wait_until_they_are_settled
    check ((state = 'waiting') = (settled_at is null))
);
create index deliveries_message_idx on credits.deliveries (account_id, message_id);
create index deliveries_waiting_idx on credits.deliveries (account_id, channel, n)
  where state = 'waiting';
comment on table credits.deliveries is
  'One message on one channel: waiting, delivered, dropped (nobody wants it any more), or dead '
  'after the last retry.';
comment on column credits.deliveries.n is 'Its place on the channel.';
alter table credits.deliveries enable row level security;
revoke all on table credits.deliveries from public, anon, authenticated, service_role;

create function credits.channel_name(p_kind text, p_target_id uuid)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return p_kind || ':' || p_target_id::text;
end
$$;
comment on function credits.channel_name(text, uuid) is 'What a channel is called.';
revoke all on function credits.channel_name(text, uuid)
  from public, anon, authenticated, service_role;

create function credits.queue_delivery(
  p_account_id uuid, p_kind text, p_target_id uuid, p_message_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_channel text := credits.channel_name(p_kind, p_target_id);
  v_n bigint;
begin
  insert into credits.channels as c (account_id, channel, kind, target_id, last_n, due_at)
  values (p_account_id, v_channel, p_kind, p_target_id, 1, p_at)
  on conflict (account_id, channel) do update
    set last_n = c.last_n + 1, due_at = coalesce(c.due_at, excluded.due_at)
  returning c.last_n into v_n;
  insert into credits.deliveries (account_id, channel, n, message_id)
  values (p_account_id, v_channel, v_n, p_message_id);
end
$$;
comment on function credits.queue_delivery(uuid, text, uuid, uuid, timestamptz) is
  'Puts a message at the end of a channel.';
revoke all on function credits.queue_delivery(uuid, text, uuid, uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.route_messages(p_account_id uuid)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_message credits.outbox;
  v_count bigint := 0;
begin
  -- One worker at a time gives the messages of an account their places.
  perform 1 from credits.accounts a where a.account_id = p_account_id
  for no key update skip locked;
  if not found then
    return 0;
  end if;
  for v_message in
    select * from credits.outbox o
    where o.account_id = p_account_id and o.routed_at is null order by o.n
  loop
    perform credits.queue_delivery(p_account_id, 'email', p.user_id, v_message.id, v_now)
    from credits.message_kinds k
    cross join credits.people_of(p_account_id) p
    where k.id = v_message.kind and (k.is_essential
      -- Who starts a worker late is not to send the news of last month.
      or k.is_mailed and p.by_mail and v_message.created_at > v_now - interval '3 days');
    perform credits.queue_delivery(p_account_id, 'webhook', w.id, v_message.id, v_now)
    from public.credit_webhooks w
    where w.account_id = p_account_id and w.disabled_at is null
      and w.created_at <= v_message.created_at
      and (w.kinds is null or v_message.kind = any (w.kinds));
    update credits.outbox o set routed_at = v_now
    where o.account_id = p_account_id and o.id = v_message.id;
    v_count := v_count + 1;
  end loop;
  return v_count;
end
$$;
comment on function credits.route_messages(uuid) is
  'Gives the new messages of an account to its channels, in their order: mail to its people, and '
  'its endpoints. Leaves an account to the worker that is at it.';
revoke all on function credits.route_messages(uuid)
  from public, anon, authenticated, service_role;
