-- A subscription was seen at the provider.

create function credits.apply_subscription(p_event_id text, p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid := credits.account_of_customer(p_fact ->> 'customer_id');
  v_effects jsonb;
begin
  if (p_fact ->> 'items_incomplete')::boolean then
    return credits.billing_result('waiting', 'not all items of the subscription were sent',
      'fetch:' || (p_fact ->> 'subscription_id'));
  end if;
  perform credits.keep_subscription(p_event_id, p_fact);
  if v_account_id is null then
    return credits.wait_for_customer(p_fact);
  end if;
  v_effects := credits.follow_billing(v_account_id);
  if p_fact ->> 'alert' = 'trial_ending' then
    perform credits.announce_ending_trial(v_account_id,
      (credits.spell_at(v_account_id, credits.account_time(v_account_id))).plan_id,
      (p_fact ->> 'trial_end')::timestamptz);
  end if;
  if p_fact ->> 'status' not in ('incomplete', 'incomplete_expired', 'canceled')
     and not credits.sells_a_plan(p_fact -> 'items') then
    return credits.billing_result('needs_attention',
      'the subscription has a price that is not registered', null, v_effects);
  end if;
  if credits.living_subscriptions(v_account_id) > 1 then
    return credits.billing_result('applied', 'the account has two living subscriptions', null,
      v_effects);
  end if;
  return credits.billing_result('applied', null, null, v_effects);
end
$$;
comment on function credits.apply_subscription(text, jsonb) is
  'What a subscription was at an instant: moves plan, status and period of its account.';
revoke all on function credits.apply_subscription(text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.sells_a_plan(p_items jsonb)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from jsonb_array_elements(p_items) i
    join credits.billing_prices b on b.price_id = i ->> 'price_id'
    where b.plan_id is not null);
end
$$;
comment on function credits.sells_a_plan(jsonb) is
  'Whether one of the prices is known as that of a plan.';
revoke all on function credits.sells_a_plan(jsonb)
  from public, anon, authenticated, service_role;
