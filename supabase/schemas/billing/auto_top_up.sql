-- The automatic top-up. That a balance has fallen below its threshold is found in the statement
-- that made it fall, and the order is written in the same transaction: the worker that asks the
-- provider for the money reads it (list_billing_events), and a spend that is rolled back buys
-- nothing.

create function credits.packs_this_month(
  p_account_id uuid, p_credit_type text, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(o.quantity), 0) from credits.billing_orders o
    where o.account_id = p_account_id and o.kind = 'auto_top_up'
      and o.credit_type = p_credit_type and o.state in ('open', 'pending', 'paid')
      and o.created_at >= date_trunc('month', p_at, 'UTC'));
end
$$;
comment on function credits.packs_this_month(uuid, text, timestamptz) is
  'How many packs were bought automatically in the calendar month (UTC), or are on their way.';
revoke all on function credits.packs_this_month(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.may_top_up(p_account_id uuid, p_auto credits.auto_top_ups, p_at timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_auto.is_enabled
    and (p_auto.state = 'ready'
      or p_auto.state = 'stopped' and p_auto.stopped_at <= p_at - interval '24 hours')
    and (credits.spell_at(p_account_id, p_at)).past_due_since is null
    and exists (
      select 1 from credits.accounts a where a.account_id = p_account_id and a.status = 'active')
    and exists (
      select 1 from credits.billing_customers c
      where c.account_id = p_account_id and c.deleted_at is null);
end
$$;
comment on function credits.may_top_up(uuid, credits.auto_top_ups, timestamptz) is
  'Whether nothing stands in the way of an automatic purchase: none is on its way, nothing is '
  'owed, no decline of less than a day ago, and somebody to charge.';
revoke all on function credits.may_top_up(uuid, credits.auto_top_ups, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.without_hanging_order(
  p_account_id uuid, p_auto credits.auto_top_ups, p_at timestamptz)
returns credits.auto_top_ups
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_auto credits.auto_top_ups := p_auto;
  v_before timestamptz := p_at - interval '24 hours';
begin
  -- With an invoice it is the provider that says what came of it.
  update credits.billing_orders o set state = 'failed', note = 'it was not charged within a day'
  where o.account_id = p_account_id and o.id = p_auto.order_id and o.state = 'open'
    and o.invoice_id is null and o.created_at <= v_before;
  if found then
    update credits.auto_top_ups a set state = 'ready', order_id = null
    where a.account_id = p_account_id and a.credit_type = p_auto.credit_type
    returning * into v_auto;
  end if;
  return v_auto;
end
$$;
comment on function credits.without_hanging_order(
  uuid, credits.auto_top_ups, timestamptz) is
  'Gives up a purchase that no invoice could be made for within a day, so that the next one may '
  'be tried.';
revoke all on function credits.without_hanging_order(
  uuid, credits.auto_top_ups, timestamptz) from public, anon, authenticated, service_role;

create function credits.begin_top_up(
  p_account_id uuid, p_credit_type text, p_available bigint, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_auto credits.auto_top_ups;
  v_order credits.billing_orders;
  v_pack_credits bigint;
begin
  select * into v_auto from credits.auto_top_ups a
  where a.account_id = p_account_id and a.credit_type = p_credit_type for no key update;
  if v_auto.state = 'in_flight' then
    v_auto := credits.without_hanging_order(p_account_id, v_auto, p_at);
  end if;
  if v_auto.account_id is null or not credits.may_top_up(p_account_id, v_auto, p_at) then
    return;
  end if;
  select k.credits into v_pack_credits from public.credit_packs k where k.id = v_auto.pack_id;
  -- A pack that is no longer sold stops no spend.
  if not found then
    return;
  end if;
  v_order.quantity := least(v_auto.monthly_cap
      - credits.packs_this_month(p_account_id, p_credit_type, p_at),
    div(v_auto.threshold - p_available + v_pack_credits - 1, v_pack_credits), 1000);
  if v_order.quantity < 1 then
    return;
  end if;
  v_order.account_id := p_account_id;
  v_order.user_id := v_auto.user_id;
  v_order.kind := 'auto_top_up';
  v_order := credits.order_of_pack(v_order, v_auto.pack_id,
    (credits.customer_of(p_account_id, null)).livemode);
  v_order.id := gen_random_uuid();
  perform credits.insert_order(p_account_id, v_order, p_at);
  update credits.auto_top_ups a set state = 'in_flight', order_id = v_order.id, stopped_at = null,
    note = null
  where a.account_id = p_account_id and a.credit_type = p_credit_type;
end
$$;
comment on function credits.begin_top_up(uuid, text, bigint, timestamptz) is
  'Orders whole packs that lift a balance to its threshold, as far as the month''s cap goes. The '
  'locked balance has p_available left.';
revoke all on function credits.begin_top_up(uuid, text, bigint, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.notice_low_balance()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_available bigint := credits.available(new);
begin
  if v_available < new.top_up_below then
    perform credits.begin_top_up(new.account_id, new.credit_type, v_available, new.settled_at);
  end if;
  return null;
end
$$;
comment on function credits.notice_low_balance() is
  'Finds that a balance has fallen below the threshold of its automatic top-up.';
revoke all on function credits.notice_low_balance()
  from public, anon, authenticated, service_role;
-- Postgres reads the condition anew in every spend, so it is the shortest that leaves most out.
create trigger balances_notice_low after update on credits.balances
  for each row when (new.top_up_below is not null)
  execute function credits.notice_low_balance();

create function credits.stop_top_up(
  p_account_id uuid, p_order_id uuid, p_at timestamptz, p_note text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update credits.auto_top_ups a set state = 'stopped', stopped_at = p_at, note = p_note
  where a.account_id = p_account_id and a.order_id = p_order_id and a.state = 'in_flight';
  return found;
end
$$;
comment on function credits.stop_top_up(uuid, uuid, timestamptz, text) is
  'Stops automatic purchases after a decline. Says whether they were running.';
revoke all on function credits.stop_top_up(uuid, uuid, timestamptz, text)
  from public, anon, authenticated, service_role;

create function credits.rearm_top_ups(p_account_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_credit_type text;
begin
  perform 1 from credits.lock_account(p_account_id);
  -- A card that changed before the decline was the one that was declined.
  update credits.auto_top_ups a set state = 'ready', stopped_at = null, note = null
  where a.account_id = p_account_id and a.state = 'stopped' and a.stopped_at <= p_at;
  for v_credit_type in
    select a.credit_type from credits.auto_top_ups a where a.account_id = p_account_id order by 1
  loop
    perform credits.top_up_on(p_account_id, v_credit_type);
  end loop;
end
$$;
comment on function credits.rearm_top_ups(uuid, timestamptz) is
  'Lets automatic purchases go on after the card has changed, and makes those that are due.';
revoke all on function credits.rearm_top_ups(uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.top_up_on(p_account_id uuid, p_credit_type text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := credits.lock_balance(p_account_id, p_credit_type);
begin
  if credits.available(v_balance) < v_balance.top_up_below then
    perform credits.begin_top_up(p_account_id, p_credit_type, credits.available(v_balance),
      v_balance.settled_at);
  end if;
end
$$;
comment on function credits.top_up_on(uuid, text) is
  'Looks anew whether an automatic purchase is due, when nothing has been spent.';
revoke all on function credits.top_up_on(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.switch_top_ups_off(p_account_id uuid, p_note text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform 1 from credits.lock_account(p_account_id);
  update credits.auto_top_ups a set is_enabled = false, note = p_note
  where a.account_id = p_account_id and a.is_enabled;
  update credits.balances b set top_up_below = null
  where b.account_id = p_account_id and b.top_up_below is not null;
end
$$;
comment on function credits.switch_top_ups_off(uuid, text) is
  'Ends automatic purchases until they are set again: a payment was disputed.';
revoke all on function credits.switch_top_ups_off(uuid, text)
  from public, anon, authenticated, service_role;
