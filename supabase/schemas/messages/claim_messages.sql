-- edge: result=MessageClaim callers=service_role
--   Take the next messages of some channels, for a worker. The lease ends after ``lease_seconds``.
--
--   ``channel_kinds`` are ``email``, ``webhook`` and ``invitation``. Channels that fell due after
--   ``due_before`` are left alone. Requests to endpoints come signed.
--
--   Raises:
--       InvalidArgument.
create function public.claim_messages(
  p_lease_id uuid, p_lease_seconds integer default 60, p_channel_kinds text[] default null,
  p_limit integer default 100, p_per_channel integer default 20,
  p_due_before timestamptz default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_until timestamptz;
  v_channel credits.channels;
  v_claims jsonb := jsonb '[]';
begin
  if p_lease_id is null then
    perform credits.refuse_argument('p_lease_id', 'A lease has an id of its own.');
  end if;
  if p_lease_seconds is null or p_lease_seconds not between 1 and 3600 then
    perform credits.refuse_argument('p_lease_seconds', 'A lease lasts for 1 to 3600 seconds.');
  end if;
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.refuse_argument('p_limit', 'The limit is 1 to 1000 channels.');
  end if;
  if p_per_channel is null or p_per_channel not between 1 and 1000 then
    perform credits.refuse_argument('p_per_channel', 'It is 1 to 1000 messages a channel.');
  end if;
  v_until := v_now + make_interval(secs => p_lease_seconds);
  for v_channel in
    select * from credits.channels c
    where c.due_at <= least(v_now, p_due_before)
      and (c.leased_until is null or c.leased_until <= v_now)
      and (p_channel_kinds is null or c.kind = any (p_channel_kinds))
    order by c.due_at
    limit p_limit
    for no key update skip locked
  loop
    update credits.channels c set lease_id = p_lease_id, leased_until = v_until
    where c.account_id = v_channel.account_id and c.channel = v_channel.channel;
    v_claims := v_claims || jsonb_build_object(
      'account_id', v_channel.account_id, 'channel', v_channel.channel, 'kind', v_channel.kind,
      'receiver', credits.receiver_of(v_channel.account_id, v_channel.kind, v_channel.target_id),
      'messages', credits.waiting_messages(v_channel.account_id, v_channel, p_per_channel));
  end loop;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'claims', v_claims,
    'leased_until', v_until));
end
$$;
comment on function public.claim_messages(uuid, integer, text[], integer, integer, timestamptz) is
  'For a worker: leases channels that are due, and answers their receivers and next messages.';
revoke all on function public.claim_messages(uuid, integer, text[], integer, integer, timestamptz)
  from public, anon, authenticated, service_role;
grant execute on function
  public.claim_messages(uuid, integer, text[], integer, integer, timestamptz) to service_role;

create function credits.receiver_of(p_account_id uuid, p_kind text, p_target_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_kind = 'invitation' then
    return credits.invitee_of(p_account_id, p_target_id);
  end if;
  if p_kind = 'webhook' then
    return (
      select jsonb_build_object('url', w.url, 'wanted', w.disabled_at is null)
      from public.credit_webhooks w
      where w.account_id = p_account_id and w.id = p_target_id);
  end if;
  return (
    select jsonb_build_object('email', nullif(credits.confirmed_email(u.id), ''),
      'wanted', p.by_mail,
      'token', credits.mail_token(p_account_id, p_target_id),
      'workspace', (
        select w.name from public.credit_workspaces w where w.account_id = p_account_id))
    from credits.people_of(p_account_id) p
    join auth.users u on u.id = p.user_id and u.deleted_at is null
    where p.user_id = p_target_id);
end
$$;
comment on function credits.receiver_of(uuid, text, uuid) is
  'Where a channel leads now: an address and whether it wants messages. Null where it leads '
  'nowhere any more.';
revoke all on function credits.receiver_of(uuid, text, uuid)
  from public, anon, authenticated, service_role;

create function credits.waiting_messages(
  p_account_id uuid, p_channel credits.channels, p_limit integer)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_sent_at bigint := extract(epoch from credits.clock())::bigint;
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
        'n', m.n, 'id', m.message_id, 'kind', m.kind, 'attempts', m.attempts, 'data', m.data,
        'created_at', m.created_at, 'essential', m.is_essential)
      || case when p_channel.kind = 'webhook' then jsonb_build_object(
        'body', m.body, 'timestamp', v_sent_at,
        'signature', credits.sign_webhook(p_account_id, p_channel.target_id,
          m.message_id || '.' || v_sent_at || '.' || m.body)) else '{}' end order by m.n), '[]')
    from (
      select d.n, d.message_id, d.attempts, o.kind, o.data, o.created_at,
        coalesce(k.is_essential, false) as is_essential,
        jsonb_build_object('type', o.kind, 'timestamp', o.created_at, 'data', o.data)::text as body
      from credits.deliveries d
      join credits.outbox o on o.account_id = d.account_id and o.id = d.message_id
      left join credits.message_kinds k on k.id = o.kind
      where d.account_id = p_account_id and d.channel = p_channel.channel and d.state = 'waiting'
      order by d.n limit p_limit
    ) m);
end
$$;
comment on function credits.waiting_messages(uuid, credits.channels, integer) is
  'The next messages of a channel. What goes to an endpoint is signed here: no worker ever sees a '
  'secret.';
revoke all on function credits.waiting_messages(uuid, credits.channels, integer)
  from public, anon, authenticated, service_role;
