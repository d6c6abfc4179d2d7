-- A part of a credit that was paid for and not used ends with the account: it was never on a
-- balance, and who comes back has what was bought, in whole credits.

create table credits.dropped_remainders (
  account_id uuid not null,
  credit_type text not null,
  nano bigint not null,
  constraint dropped_remainders_pkey primary key (account_id, credit_type),
  constraint dropped_remainders_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id),
  constraint dropped_remainders_are_something check (nano > 0)
);
comment on table credits.dropped_remainders is
  'Parts of credits that ended with their account, in billionths, summed up for verify.';
alter table credits.dropped_remainders enable row level security;
revoke all on table credits.dropped_remainders from public, anon, authenticated, service_role;

create function credits.drop_remainders(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.dropped_remainders as d (account_id, credit_type, nano)
  select b.account_id, b.credit_type, b.prepaid_nano from credits.balances b
  where b.account_id = p_account_id and b.prepaid_nano > 0
  on conflict (account_id, credit_type) do update set nano = d.nano + excluded.nano;
  update credits.balances b set prepaid_nano = 0
  where b.account_id = p_account_id and b.prepaid_nano > 0;
end
$$;
comment on function credits.drop_remainders(uuid) is
  'Ends the parts of credits of an account that is closed. Call it with the balances locked.';
revoke all on function credits.drop_remainders(uuid)
  from public, anon, authenticated, service_role;
