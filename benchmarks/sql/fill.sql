-- Accounts that never run dry, and the floor: what any ledger must do at least. One row to change, one row to add, with
-- the two indexes of the ledger.
update public.plan_limits set allowance = 1000000000 where plan_id = 'free' and credit_type <> 'project';

insert into auth.users (id) select md5(n::text)::uuid from generate_series(1, :accounts) n;

create function public.select_one() returns integer language sql set search_path = '' as 'select 1';

grant execute on function public.select_one() to service_role;

create schema floor;

create table floor.balances (
  account_id uuid not null,
  credit_type text not null,
  version bigint not null,
  balance bigint not null,
  primary key (account_id, credit_type)
) with (fillfactor = 50);

create table floor.ledger (
  account_id uuid not null,
  credit_type text not null,
  version bigint not null,
  operation_id uuid not null,
  amount bigint not null,
  balance_after bigint not null,
  description text,
  created_at timestamptz not null,
  primary key (account_id, credit_type, version)
);

create index on floor.ledger (account_id, operation_id);

insert into floor.balances select md5(n::text)::uuid, 'message', 0, 1000000000 from generate_series(1, :accounts) n;

-- A peer: double entry between two accounts, locked in sorted order, as ledgers without holds, grants and keys do it.
create schema peer;

create table peer.accounts (
  id uuid primary key,
  balance numeric not null default 0,
  version bigint not null default 0,
  allow_negative boolean not null default false,
  updated_at timestamptz not null default now()
) with (fillfactor = 50);

create table peer.transfers (
  id uuid primary key,
  from_account_id uuid not null references peer.accounts (id),
  to_account_id uuid not null references peer.accounts (id),
  amount numeric not null check (amount > 0),
  created_at timestamptz not null
);

create index on peer.transfers (from_account_id);

create index on peer.transfers (to_account_id);

create table peer.entries (
  id uuid primary key,
  account_id uuid not null references peer.accounts (id),
  transfer_id uuid not null references peer.transfers (id),
  amount numeric not null,
  balance_before numeric not null,
  balance_after numeric not null,
  account_version bigint not null,
  created_at timestamptz not null
);

create index on peer.entries (account_id, account_version);

create index on peer.entries (transfer_id);

create function peer.transfer(p_from uuid, p_to uuid, p_amount numeric) returns uuid language plpgsql as $$
declare
  v_id uuid := gen_random_uuid();
  v_account record;
begin
  perform 1 from peer.accounts a where a.id in (p_from, p_to) order by a.id for update;
  insert into peer.transfers values (v_id, p_from, p_to, p_amount, now());
  for v_account in
    update peer.accounts a set balance = a.balance + case when a.id = p_to then p_amount else -p_amount end,
      version = a.version + 1, updated_at = now()
    where a.id in (p_from, p_to)
    returning a.id, a.balance, a.version, a.allow_negative, case when a.id = p_to then p_amount else -p_amount end as amount
  loop
    if v_account.balance < 0 and not v_account.allow_negative then
      raise exception 'account % has not got that much', v_account.id;
    end if;
    insert into peer.entries values (gen_random_uuid(), v_account.id, v_id, v_account.amount,
      v_account.balance - v_account.amount, v_account.balance, v_account.version, now());
  end loop;
  return v_id;
end
$$;

-- Each pays to one of a hundred, so that the other side is no queue.
insert into peer.accounts (id, balance, allow_negative)
select md5(n::text)::uuid, 1000000000, false from generate_series(1, :accounts) n
union all
select md5('sink' || n)::uuid, 0, true from generate_series(1, 100) n;

vacuum analyze public.credit_grants, public.credit_transactions, public.usage, credits.balances, floor.balances;

notify pgrst, 'reload schema'
