-- What becomes of a fact, and what all of them do first. Each fact has a function of its own:
-- apply_<fact>.sql.

create type credits.billing_result as (
  outcome text,
  note text,
  waits_for text[],
  effects jsonb
);
comment on type credits.billing_result is 'How a fact ended.';

create function credits.billing_result(
  p_outcome text, p_note text default null, p_waits_for text default null,
  p_effects jsonb default '[]')
returns credits.billing_result
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return row(p_outcome, p_note,
    case when p_waits_for is not null then array[p_waits_for] else array[]::text[] end,
    p_effects)::credits.billing_result;
end
$$;
comment on function credits.billing_result(text, text, text, jsonb) is 'How a fact ended.';
revoke all on function credits.billing_result(text, text, text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.wait_for_customer(p_fact jsonb)
returns credits.billing_result
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_fact ->> 'customer_id' is null then
    return credits.billing_result('needs_attention', 'it names no customer');
  end if;
  return credits.billing_result('waiting', 'the customer belongs to no account',
    'customer:' || (p_fact ->> 'customer_id'));
end
$$;
comment on function credits.wait_for_customer(jsonb) is
  'How a fact ends whose customer is not mapped.';
revoke all on function credits.wait_for_customer(jsonb)
  from public, anon, authenticated, service_role;

create function credits.is_closed(p_account_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return not credits.is_living(p_account_id) or exists (
    select 1 from credits.accounts a where a.account_id = p_account_id and a.status = 'closed');
end
$$;
comment on function credits.is_closed(uuid) is 'Whether an account is closed, or its person gone.';
revoke all on function credits.is_closed(uuid) from public, anon, authenticated, service_role;
