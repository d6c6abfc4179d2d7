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

vacuum analyze public.credit_grants, public.credit_transactions, public.usage, credits.balances, floor.balances;

notify pgrst, 'reload schema'
