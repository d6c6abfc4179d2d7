-- A customer was changed, or is gone.

create function credits.apply_customer(p_fact jsonb)
returns credits.billing_result
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_customer_id text := p_fact ->> 'customer_id';
  v_at timestamptz := credits.fact_time(p_fact, 'at');
  v_account_id uuid := credits.account_of_customer(v_customer_id);
begin
  if v_account_id is null then
    return credits.billing_result('ignored', 'a customer of no account');
  end if;
  if p_fact ->> 'fact' = 'customer_gone' then
    update credits.billing_customers c
    set deleted_at = least(c.deleted_at, v_at), is_default = false
    where c.customer_id = v_customer_id;
  elsif (p_fact ->> 'card_changed')::boolean then
    perform credits.rearm_top_ups(v_account_id, v_at);
  end if;
  return credits.billing_result('applied');
end
$$;
comment on function credits.apply_customer(jsonb) is
  'A customer changed their card, which re-arms automatic top-ups, or is gone.';
revoke all on function credits.apply_customer(jsonb)
  from public, anon, authenticated, service_role;
