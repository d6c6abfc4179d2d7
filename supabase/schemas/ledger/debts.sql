-- What an account owes: credits of a purchase whose payment was taken back after they had been
-- spent. The next purchase pays first, an allowance never does. A debt that turns out to be smaller
-- than what was paid comes back as credits.

create table credits.debts (
  account_id uuid not null
    constraint debts_account_id_fkey references credits.accounts (account_id),
  credit_type text not null,
  source text not null,
  amount bigint not null,
  paid bigint not null default 0,
  created_at timestamptz not null,
  constraint debts_pkey primary key (account_id, credit_type, source),
  constraint debts_paid_is_a_part_of_the_amount check (paid >= 0 and paid <= amount)
);
comment on table credits.debts is
  'Credits that an account owes. A row stays when it is paid, so that a payment that fails later '
  'can be told apart.';
comment on column credits.debts.source is
  'What it is for: the payment that was taken back, by its provider''s id.';
comment on column credits.debts.amount is
  'Credits owed in all; amount less paid is still to be paid.';
comment on column credits.debts.paid is 'Credits that purchases have paid, less what came back.';
alter table credits.debts enable row level security;
revoke all on table credits.debts from public, anon, authenticated, service_role;

create table credits.debt_payments (
  account_id uuid not null,
  credit_type text not null,
  source text not null,
  operation_id uuid not null,
  grant_id uuid not null,
  amount bigint not null,
  created_at timestamptz not null,
  constraint debt_payments_pkey primary key (account_id, credit_type, source, operation_id),
  constraint debt_payments_debt_fkey foreign key (account_id, credit_type, source)
    references credits.debts (account_id, credit_type, source),
  constraint debt_payments_move_something check (amount <> 0)
);
comment on table credits.debt_payments is
  'Which grant paid a debt, and which one gave back what had been paid too much. The ledger has a '
  'row of each.';
comment on column credits.debt_payments.amount is
  'Credits: positive for a payment, negative for what came back.';
alter table credits.debt_payments enable row level security;
revoke all on table credits.debt_payments from public, anon, authenticated, service_role;

create function credits.debt_of(p_account_id uuid, p_credit_type text)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(d.amount - d.paid), 0)::bigint from credits.debts d
    where d.account_id = p_account_id and d.credit_type = p_credit_type);
end
$$;
comment on function credits.debt_of(uuid, text) is
  'Credits that an account still owes of one type.';
revoke all on function credits.debt_of(uuid, text) from public, anon, authenticated, service_role;

create function credits.pay_debts(
  p_account_id uuid, inout p_balance credits.balances, p_grant_id uuid, p_amount bigint,
  p_related_operation_id uuid, out p_paid bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
-- A row beside another OUT argument is meant here; plpgsql_check takes it for a slip.
-- @plpgsql_check_options: extra_warnings = false
declare
  v_debt record;
  v_part bigint;
  v_operation_id uuid;
begin
  p_paid := 0;
  for v_debt in
    select d.source, d.amount - d.paid as open from credits.debts d
    where d.account_id = p_account_id and d.credit_type = p_balance.credit_type
      and d.paid < d.amount
    order by d.created_at, d.source
  loop
    v_part := least(v_debt.open, p_amount - p_paid);
    exit when v_part = 0;
    v_operation_id := gen_random_uuid();
    p_balance := credits.take_unspent(p_account_id, p_balance, p_grant_id, v_part, 'void', null,
      v_operation_id, p_related_operation_id,
      'pays for credits that were spent before their payment was taken back');
    update credits.debts d set paid = d.paid + v_part
    where d.account_id = p_account_id and d.credit_type = p_balance.credit_type
      and d.source = v_debt.source;
    insert into credits.debt_payments (
      account_id, credit_type, source, operation_id, grant_id, amount, created_at)
    values (p_account_id, p_balance.credit_type, v_debt.source, v_operation_id, p_grant_id, v_part,
      p_balance.settled_at);
    p_paid := p_paid + v_part;
  end loop;
end
$$;
comment on function credits.pay_debts(uuid, credits.balances, uuid, bigint, uuid) is
  'Pays debts of the locked balance''s type out of a grant that p_related_operation_id has just '
  'issued, the oldest debt first.';
revoke all on function credits.pay_debts(uuid, credits.balances, uuid, bigint, uuid)
  from public, anon, authenticated, service_role;

create function credits.set_debt(
  p_account_id uuid, inout p_balance credits.balances, p_source text, p_amount bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_paid bigint;
begin
  if p_amount is null or p_amount not between 0 and 9007199254740992 then
    perform credits.raise_error('invalid_amount', jsonb_build_object('amount', p_amount));
  end if;
  select d.paid into v_paid from credits.debts d
  where d.account_id = p_account_id and d.credit_type = p_balance.credit_type
    and d.source = p_source;
  if v_paid > p_amount then
    p_balance := credits.give_back_paid(p_account_id, p_balance, p_source, v_paid - p_amount);
  end if;
  if p_amount > 0 or v_paid is not null then
    insert into credits.debts as d (account_id, credit_type, source, amount, created_at)
    values (p_account_id, p_balance.credit_type, p_source, p_amount, p_balance.settled_at)
    on conflict (account_id, credit_type, source) do update set amount = excluded.amount;
  end if;
end
$$;
comment on function credits.set_debt(uuid, credits.balances, text, bigint) is
  'Sets what the account owes for p_source, whatever order the news came in. What had been paid '
  'above it comes back as credits. Call save_balance afterwards.';
revoke all on function credits.set_debt(uuid, credits.balances, text, bigint)
  from public, anon, authenticated, service_role;

create function credits.give_back_paid(
  p_account_id uuid, inout p_balance credits.balances, p_source text, p_amount bigint)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_amount;
  v_part bigint;
  v_payment record;
  v_issued record;
  v_operation_id uuid;
begin
  -- The last payment first, as long as it may be spent as the credits that paid it, and for a day
  -- at least.
  for v_payment in
    select p.grant_id, g.expires_at, sum(p.amount) as amount, max(p.created_at) as paid_at
    from credits.debt_payments p
    join public.credit_grants g on g.account_id = p.account_id and g.id = p.grant_id
    where p.account_id = p_account_id and p.credit_type = p_balance.credit_type
      and p.source = p_source
    group by p.grant_id, g.expires_at
    having sum(p.amount) > 0
    order by paid_at desc, p.grant_id
  loop
    v_part := least(v_left, v_payment.amount);
    exit when v_part = 0;
    v_left := v_left - v_part;
    v_operation_id := gen_random_uuid();
    v_issued := credits.issue(p_account_id, p_balance, null, v_operation_id, 'top_up', v_part,
      p_balance.settled_at, case when v_payment.expires_at is not null then
        greatest(v_payment.expires_at, p_balance.settled_at + interval '24 hours') end, null,
      'paid for a debt that was smaller in the end', '{}');
    p_balance := v_issued.p_balance;
    insert into credits.debt_payments (
      account_id, credit_type, source, operation_id, grant_id, amount, created_at)
    values (p_account_id, p_balance.credit_type, p_source, v_operation_id, v_payment.grant_id,
      -v_part, p_balance.settled_at);
    update credits.debts d set paid = d.paid - v_part, amount = d.paid - v_part
    where d.account_id = p_account_id and d.credit_type = p_balance.credit_type
      and d.source = p_source;
    p_balance := (select d.p_balance
      from credits.pay_debts(
        p_account_id, p_balance, v_issued.p_grant_id, v_part, v_operation_id) d);
  end loop;
end
$$;
comment on function credits.give_back_paid(uuid, credits.balances, text, bigint) is
  'Gives credits back that had paid a debt, as grants with the expiry of those that paid. Other '
  'debts are paid from them first.';
revoke all on function credits.give_back_paid(uuid, credits.balances, text, bigint)
  from public, anon, authenticated, service_role;
