-- edge: result=MessagesSettled callers=service_role repeatable reads=results:json_objects
--   Say what became of claimed messages, and give their channel back.
--
--   Each result is a mapping with ``n``, ``state`` (``delivered``, ``dropped``, ``failed``,
--   ``dead``, ``gone``), ``error``, and for ``failed`` ``retry_seconds``. ``gone`` also disables
--   the endpoint.
--
--   Raises:
--       InvalidArgument.
create function public.settle_messages(
  p_lease_id uuid, p_account_id uuid, p_channel text, p_results jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_channel credits.channels;
  v_retry_at timestamptz;
  v_result jsonb;
begin
  if jsonb_typeof(p_results) is distinct from 'array' then
    perform credits.refuse_argument('p_results', 'Pass an array of results.');
  end if;
  select * into v_channel from credits.channels c
  where c.account_id = p_account_id and c.channel = p_channel for no key update;
  if not found then
    return credits.respond('{"success": true, "code": "ok", "settled": false}');
  end if;
  for v_result in select r.value from jsonb_array_elements(p_results) r(value) loop
    -- What another worker has taken over meanwhile is its to retry; what arrived has arrived.
    continue when v_result ->> 'state' <> 'delivered'
      and v_channel.lease_id is distinct from p_lease_id;
    v_retry_at := coalesce(
      credits.settle_delivery(p_account_id, v_channel, v_result), v_retry_at);
  end loop;
  if v_channel.lease_id = p_lease_id then
    update credits.channels c set lease_id = null, leased_until = null,
      due_at = case when exists (
        select 1 from credits.deliveries d
        where d.account_id = p_account_id and d.channel = p_channel and d.state = 'waiting')
        then coalesce(v_retry_at, c.due_at) end
    where c.account_id = p_account_id and c.channel = p_channel;
  end if;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'settled', v_channel.lease_id is not distinct from p_lease_id));
end
$$;
comment on function public.settle_messages(uuid, uuid, text, jsonb) is
  'For a worker: what became of claimed messages. Gives the channel back; settled is false where '
  'another worker has taken it over.';
revoke all on function public.settle_messages(uuid, uuid, text, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.settle_messages(uuid, uuid, text, jsonb) to service_role;

create function credits.settle_delivery(
  p_account_id uuid, p_channel credits.channels, p_result jsonb)
returns timestamptz
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_state text := p_result ->> 'state';
  v_error text := left(p_result ->> 'error', 500);
begin
  if v_state is null or v_state not in ('delivered', 'dropped', 'failed', 'dead', 'gone') then
    perform credits.refuse_argument('p_results', 'A result has a state that is known.');
  end if;
  update credits.deliveries d set
    state = case v_state when 'failed' then 'waiting' when 'gone' then 'dead' else v_state end,
    settled_at = case when v_state <> 'failed' then v_now end,
    attempts = d.attempts + (v_state <> 'dropped')::integer, error = v_error
  where d.account_id = p_account_id and d.channel = p_channel.channel
    and d.n = (p_result ->> 'n')::bigint and d.state = 'waiting';
  if v_state = 'gone' then
    update public.credit_webhooks w
    set disabled_at = v_now, disabled_reason = 'the receiver says that it is gone (410)'
    where w.account_id = p_account_id and w.id = p_channel.target_id and w.disabled_at is null;
    update credits.deliveries d set state = 'dead', settled_at = v_now, error = v_error
    where d.account_id = p_account_id and d.channel = p_channel.channel and d.state = 'waiting';
  end if;
  return case when v_state = 'failed' then
    v_now + make_interval(secs => coalesce((p_result ->> 'retry_seconds')::double precision, 0))
    end;
end
$$;
comment on function credits.settle_delivery(uuid, credits.channels, jsonb) is
  'What became of one message on a locked channel. Answers when it is to be tried again.';
revoke all on function credits.settle_delivery(uuid, credits.channels, jsonb)
  from public, anon, authenticated, service_role;
