-- edge: result=BillingOutcome callers=service_role repeatable reads=facts:json_objects
--   Apply one event of a payment provider: its facts, and all that follows from them, in one
--   transaction.
--
--   The answer's ``outcome`` is applied, replayed, ignored, waiting (something is not known yet) or
--   needs_attention (no repeat can mend it). An exception means that nothing was recorded: send the
--   event again.
--
--   Raises:
--       InvalidArgument: the event has no id, type or time, or a fact is none of the ten.
create function public.apply_billing_event(p_event jsonb, p_facts jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_row credits.billing_inbox;
  v_is_new boolean;
  v_ignored text;
  v_before text;
begin
  perform credits.check_billing_event(p_event, p_facts);
  v_is_new := credits.receive_event(p_event, p_facts);
  select * into v_row from credits.billing_inbox b
  where b.event_id = p_event ->> 'id' for update;
  if not v_is_new and p_facts <> '[]' then
    v_before := v_row.outcome;
    v_row.facts := p_facts;
  end if;
  v_ignored := credits.why_ignored(p_event, v_row.facts);
  -- What was ignored had no effect: told again where it counts, by the right key or a release that
  -- reads it, it takes effect.
  if not v_is_new and (v_row.outcome = 'applied'
    or v_row.outcome = 'ignored' and v_ignored is not null) then
    return credits.respond(credits.event_answer(v_row, 'replayed'));
  end if;
  v_row := credits.settle_event(v_row, v_ignored);
  return credits.respond(credits.event_answer(v_row,
    case when v_before = 'ignored' and v_row.outcome = 'ignored' then 'replayed' end));
end
$$;
comment on function public.apply_billing_event(jsonb, jsonb) is
  'Applies one event of a payment provider: its facts, and all that follows from them, in one '
  'transaction. Answers outcome: applied, replayed, ignored, waiting or needs_attention. An '
  'exception means that nothing was recorded.';
revoke all on function public.apply_billing_event(jsonb, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.apply_billing_event(jsonb, jsonb) to service_role;

create function credits.check_billing_event(p_event jsonb, p_facts jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_event is null or jsonb_typeof(p_event) <> 'object' or coalesce(p_event ->> 'id', '') = ''
     or length(p_event ->> 'id') > 255 or coalesce(p_event ->> 'type', '') = ''
     or credits.is_time(p_event ->> 'created') is not true
     or jsonb_typeof(coalesce(p_event -> 'livemode', 'false')) <> 'boolean' then
    perform credits.raise_error('invalid_argument', '{"argument": "p_event"}',
      'An event has an id, a type, the time at which it was created, and a mode.');
  end if;
  if p_facts is null or jsonb_typeof(p_facts) <> 'array' or exists (
    select 1 from jsonb_array_elements(p_facts) f
    where credits.is_fact(f) is not true) then
    perform credits.raise_error('invalid_argument', '{"argument": "p_facts"}',
      'Facts are a list of objects; fact is one of the ten, with the ids and times that it needs.');
  end if;
end
$$;
comment on function credits.check_billing_event(jsonb, jsonb) is
  'Raises invalid_argument for what is no event, or no list of facts.';
revoke all on function credits.check_billing_event(jsonb, jsonb)
  from public, anon, authenticated, service_role;

create function credits.is_time(p_text text)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return isfinite(p_text::timestamptz);
exception when data_exception then
  return false;
end
$$;
comment on function credits.is_time(text) is 'Whether a text is an instant.';
revoke all on function credits.is_time(text) from public, anon, authenticated, service_role;

create function credits.is_fact(p_fact jsonb)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_needed text[] := case p_fact ->> 'fact'
    when 'subscription_seen' then array['subscription_id', 'customer_id', 'status', 'at']
    when 'period_paid' then array['invoice_id', 'paid_at']
    when 'payment_failed' then array['at']
    when 'sale_paid' then array['session_id', 'mode', 'state', 'at']
    when 'sale_failed' then array['session_id', 'state']
    when 'payment_linked' then array['invoice_id']
    when 'refund_seen' then case when p_fact ->> 'credit_note_id' is not null
      then array['invoice_id', 'at'] else array['refund_id', 'amount', 'status', 'at'] end
    when 'dispute_seen' then array['dispute_id', 'at']
    when 'customer_changed' then array['customer_id', 'at']
    when 'customer_gone' then array['customer_id', 'at'] end;
begin
  return jsonb_typeof(p_fact) = 'object' and v_needed is not null
    and not exists (select 1 from unnest(v_needed) n where p_fact ->> n is null)
    and not exists (
      select 1 from unnest(array['at', 'paid_at']) t
      where p_fact ->> t is not null and credits.is_time(p_fact ->> t) is not true)
    and not exists (
      select 1 from unnest(array['items', 'lines', 'payments', 'refund_ids']) a
      where coalesce(jsonb_typeof(p_fact -> a), 'null') not in ('array', 'null'))
    and not exists (
      select 1 from unnest(array['amount', 'amount_total']) a
      where p_fact ->> a like '-%')
    and case p_fact ->> 'fact'
      when 'payment_failed' then
        coalesce(p_fact ->> 'invoice_id', p_fact ->> 'payment_intent') is not null
      when 'payment_linked' then
        coalesce(p_fact ->> 'payment_intent', p_fact ->> 'charge') is not null
      when 'dispute_seen' then
        coalesce(p_fact ->> 'payment_intent', p_fact ->> 'charge') is not null
      when 'refund_seen' then p_fact ->> 'credit_note_id' is not null
        or coalesce(p_fact ->> 'payment_intent', p_fact ->> 'charge') is not null
      else true end;
end
$$;
comment on function credits.is_fact(jsonb) is
  'Whether it is one of the ten facts, and has what that needs.';
revoke all on function credits.is_fact(jsonb) from public, anon, authenticated, service_role;

create function credits.receive_event(p_event jsonb, p_facts jsonb)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  -- A second delivery waits here until the first has ended, and then finds what it came to.
  insert into credits.billing_inbox (event_id, type, happened_at, livemode, api_version, facts,
    body, outcome, received_at)
  values (p_event ->> 'id', p_event ->> 'type', (p_event ->> 'created')::timestamptz,
    coalesce((p_event ->> 'livemode')::boolean, false), p_event ->> 'api_version', p_facts,
    p_event -> 'body', 'needs_attention', v_now)
  on conflict (event_id) do nothing;
  return found;
end
$$;
comment on function credits.receive_event(jsonb, jsonb) is
  'Puts an event into the inbox. Says whether it is new.';
revoke all on function credits.receive_event(jsonb, jsonb)
  from public, anon, authenticated, service_role;

create function credits.why_ignored(p_event jsonb, p_facts jsonb)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_livemode boolean := coalesce((p_event ->> 'livemode')::boolean, false);
begin
  if p_event ->> 'ignored' is not null then
    return left(p_event ->> 'ignored', 500);
  elsif p_event ->> 'account' is not null then
    return 'an event of a connected account';
  elsif credits.is_of_other_mode(p_facts, v_livemode) then
    return case when v_livemode then 'a live event, and this is a test'
      else 'a test event, and this is live' end;
  elsif p_facts = '[]' then
    return 'nothing in it concerns credits';
  end if;
  return null;
end
$$;
comment on function credits.why_ignored(jsonb, jsonb) is
  'Why an event is to have no effect; null where it is to have one.';
revoke all on function credits.why_ignored(jsonb, jsonb)
  from public, anon, authenticated, service_role;

create function credits.is_of_other_mode(p_facts jsonb, p_livemode boolean)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
      select 1 from jsonb_array_elements(p_facts) f
      join credits.billing_customers c on c.customer_id = f ->> 'customer_id'
      where c.livemode <> p_livemode)
    -- What sells nothing in a mode expects no money in it.
    or exists (select 1 from credits.billing_prices b)
      and not exists (select 1 from credits.billing_prices b where b.livemode = p_livemode)
      and not exists (
        select 1 from jsonb_array_elements(p_facts) f
        join credits.billing_customers c on c.customer_id = f ->> 'customer_id');
end
$$;
comment on function credits.is_of_other_mode(jsonb, boolean) is
  'Whether facts are of the mode, test or live, that this database does not sell in.';
revoke all on function credits.is_of_other_mode(jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.settle_event(p_row credits.billing_inbox, p_ignored text)
returns credits.billing_inbox
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_row credits.billing_inbox := p_row;
  v_result credits.billing_result;
  v_now timestamptz := clock_timestamp();
begin
  if p_ignored is not null then
    v_result := credits.billing_result('ignored', p_ignored);
  else
    v_result := credits.apply_facts(p_row.event_id, p_row.facts, p_row.livemode);
  end if;
  update credits.billing_inbox b set facts = p_row.facts, outcome = v_result.outcome,
    note = v_result.note, waits_for = v_result.waits_for, effects = v_result.effects,
    tries = b.tries + 1, settled_at = v_now
  where b.event_id = p_row.event_id
  returning * into v_row;
  return v_row;
end
$$;
comment on function credits.settle_event(credits.billing_inbox, text) is
  'Applies the facts of an event whose row is locked, and writes down how it ended.';
revoke all on function credits.settle_event(credits.billing_inbox, text)
  from public, anon, authenticated, service_role;

create function credits.apply_facts(p_event_id text, p_facts jsonb, p_livemode boolean)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_ranks text[] := array['ignored', 'applied', 'waiting', 'needs_attention'];
  v_all credits.billing_result := credits.billing_result('ignored');
  v_result credits.billing_result;
  v_fact jsonb;
begin
  for v_fact in select f from jsonb_array_elements(p_facts) f loop
    v_result := credits.apply_fact(p_event_id, v_fact, p_livemode);
    -- The event is as far as the fact of it that has come the least far.
    if array_position(v_ranks, v_result.outcome) >= array_position(v_ranks, v_all.outcome) then
      v_all.outcome := v_result.outcome;
      v_all.note := coalesce(v_result.note, v_all.note);
    end if;
    v_all.waits_for := v_all.waits_for || v_result.waits_for;
    v_all.effects := v_all.effects || v_result.effects;
  end loop;
  if v_all.outcome <> 'waiting' then
    v_all.waits_for := array[]::text[];
  end if;
  return v_all;
end
$$;
comment on function credits.apply_facts(text, jsonb, boolean) is
  'Applies the facts of an event one after the other.';
revoke all on function credits.apply_facts(text, jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.apply_fact(p_event_id text, p_fact jsonb, p_livemode boolean)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return case p_fact ->> 'fact'
    when 'subscription_seen' then credits.apply_subscription(p_event_id, p_fact)
    when 'period_paid' then credits.apply_period_paid(p_fact)
    when 'payment_failed' then credits.apply_payment_failed(p_fact)
    when 'sale_paid' then credits.apply_sale(p_fact, p_livemode)
    when 'sale_failed' then credits.apply_sale_failed(p_fact)
    when 'payment_linked' then credits.apply_payment_linked(p_fact)
    when 'refund_seen' then credits.apply_refund(p_fact)
    when 'dispute_seen' then credits.apply_dispute(p_fact)
    else credits.apply_customer(p_fact) end;
end
$$;
comment on function credits.apply_fact(text, jsonb, boolean) is 'Applies one of the ten facts.';
revoke all on function credits.apply_fact(text, jsonb, boolean)
  from public, anon, authenticated, service_role;

create function credits.event_answer(p_row credits.billing_inbox, p_outcome text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('success', true, 'code', 'ok', 'event_id', p_row.event_id,
    'outcome', coalesce(p_outcome, p_row.outcome), 'note', p_row.note,
    'waits_for', to_jsonb(p_row.waits_for), 'effects', p_row.effects,
    'replayed', coalesce(p_outcome = 'replayed', false));
end
$$;
comment on function credits.event_answer(credits.billing_inbox, text) is
  'What is answered about an event.';
revoke all on function credits.event_answer(credits.billing_inbox, text)
  from public, anon, authenticated, service_role;

create function credits.settle_waiting(p_key text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_row credits.billing_inbox;
begin
  -- One that another session is at finds by itself what it waits for, or is taken up by the worker.
  for v_row in
    select * from credits.billing_inbox b
    where b.outcome = 'waiting' and b.waits_for @> array[p_key]
    order by b.happened_at, b.event_id for update skip locked
  loop
    perform credits.settle_event(v_row, null);
  end loop;
end
$$;
comment on function credits.settle_waiting(text) is
  'Applies the events that waited for something which is known by now.';
revoke all on function credits.settle_waiting(text)
  from public, anon, authenticated, service_role;

create function credits.tell(p_account_id uuid, p_kind text, p_data jsonb, p_once text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.announce(p_account_id, p_kind, p_data, null, null, p_once);
end
$$;
comment on function credits.tell(uuid, text, jsonb, text) is
  'Tells an account what selling has come to, once per p_once.';
revoke all on function credits.tell(uuid, text, jsonb, text)
  from public, anon, authenticated, service_role;
