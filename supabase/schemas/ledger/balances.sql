create table credits.balances (
  account_id uuid not null constraint balances_account_id_fkey references credits.accounts (account_id),
  credit_type text not null,
  user_id uuid,
  kind text not null,
  account_status text not null default 'active',
  allowance bigint,
  version bigint not null default 0,
  balance bigint not null default 0,
  withheld bigint not null default 0,
  reserved bigint not null default 0,
  reserved_unlimited bigint not null default 0,
  used bigint not null default 0,
  used_since timestamptz not null,
  period_start timestamptz,
  period_end timestamptz,
  allowance_period timestamptz,
  peak_allowance bigint not null default 0,
  due_at timestamptz not null default '-infinity',
  settled_at timestamptz not null,
  test_now timestamptz,
  constraint balances_pkey primary key (account_id, credit_type),
  constraint balances_parts_fit_into_the_whole
    check (least(withheld, reserved, reserved_unlimited, used, balance - withheld - reserved) >= 0)
) with (fillfactor = 50);
create index balances_user_id_idx on credits.balances (user_id);
create index balances_due_at_idx on credits.balances (due_at) where test_now is null;
create index balances_test_now_idx on credits.balances (test_now) where test_now is not null;
comment on table credits.balances is
  'The booked state of one account and credit type, and the row that every operation on them locks first. Read public.credit_balances instead: it is right to the second.';
comment on column credits.balances.version is 'The version of the last ledger row.';
comment on column credits.balances.balance is 'What the grants hold: the last balance_after of the ledger.';
comment on column credits.balances.withheld is 'The part of it in grants that are frozen or have not started.';
comment on column credits.balances.reserved is 'The part of it that live holds have pinned.';
comment on column credits.balances.reserved_unlimited is
  'What live holds have set aside that were made while the type was unlimited: of no grant, and of no balance.';
comment on column credits.balances.used is 'Spent less refunded since used_since; for a limit, how many exist.';
comment on column credits.balances.allowance is 'The allowance in force, null for unlimited.';
comment on column credits.balances.allowance_period is 'Start of the last period whose allowance was granted.';
comment on column credits.balances.peak_allowance is 'The largest counted allowance held in the period: an upgrade grants only what exceeds it.';
comment on column credits.balances.due_at is 'The next instant at which something expires, starts or renews; until then this row is the truth.';
comment on column credits.balances.settled_at is 'The latest time this row has seen. A clock that steps back is held here.';
comment on column credits.balances.account_status is 'Copy of accounts.status, so that a spend needs no second row.';
comment on column credits.balances.test_now is 'Copy of accounts.test_now, so that a spend needs no second row.';
alter table credits.balances enable row level security;
revoke all on table credits.balances from public, anon, authenticated, service_role;
grant select on table credits.balances to authenticated, service_role;
create policy "Users may read their balances" on credits.balances
  for select to authenticated using (account_id = any (credits.readable_ids()));

create function credits.make_balances_due()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update credits.balances b set due_at = '-infinity' where b.account_id = new.account_id;
  return new;
end
$$;
comment on function credits.make_balances_due() is 'A change of the subscription, from wherever it comes, is booked by the next operation.';
revoke all on function credits.make_balances_due() from public, anon, authenticated, service_role;
create trigger subscriptions_make_balances_due after update on public.subscriptions
  for each row execute function credits.make_balances_due();

create function credits.stamp_subscription()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  new.updated_at := clock_timestamp();
  if new.status = 'past_due' and new.past_due_since is null then
    new.past_due_since := coalesce(
      (select a.test_now from credits.accounts a where a.account_id = new.account_id), clock_timestamp());
  elsif new.status <> 'past_due' then
    new.past_due_since := null;
  end if;
  return new;
end
$$;
comment on function credits.stamp_subscription() is 'Keeps updated_at, and past_due_since in step with the status.';
revoke all on function credits.stamp_subscription() from public, anon, authenticated, service_role;
create trigger subscriptions_stamp before update on public.subscriptions
  for each row execute function credits.stamp_subscription();

create function credits.make_subscribers_due()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update credits.balances b set due_at = '-infinity'
  from public.subscriptions s
  where s.account_id = b.account_id and b.credit_type = coalesce(new.credit_type, old.credit_type)
    and coalesce(new.plan_id, old.plan_id) in (s.plan_id, s.pending_plan_id);
  return null;
end
$$;
comment on function credits.make_subscribers_due() is 'A changed plan limit reaches the accounts on that plan with their next operation.';
revoke all on function credits.make_subscribers_due() from public, anon, authenticated, service_role;
create trigger plan_limits_make_subscribers_due after insert or update or delete on public.plan_limits
  for each row execute function credits.make_subscribers_due();
