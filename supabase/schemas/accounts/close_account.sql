-- An account ends with its person or workspace. From that instant it spends nothing: each spend
-- asks whether they exist (credits.living_accounts). What else has to be done is done here, at once
-- where no transaction is in the way, and by the job otherwise: a deletion neither fails nor waits
-- because of credits.

create table credits.accounts_to_follow (
  account_id uuid not null,
  noticed_at timestamptz not null default now(),
  constraint accounts_to_follow_pkey primary key (account_id)
);
comment on table credits.accounts_to_follow is
  'Accounts whose person or workspace has left, come back or changed while the account was busy. '
  'The job works them off.';
alter table credits.accounts_to_follow enable row level security;
revoke all on table credits.accounts_to_follow from public, anon, authenticated, service_role;

create function credits.close_account(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  perform credits.release_open_holds(p_account_id, null, 'the account was closed');
  perform credits.give_deleted_rows_back(p_account_id);
  perform credits.end_plan(p_account_id);
  update credits.accounts a set status = 'closed', closed_at = v_now
  where a.account_id = p_account_id and a.status <> 'closed';
  update credits.balances b set account_status = 'closed' where b.account_id = p_account_id;
  perform credits.drop_remainders(p_account_id);
  perform credits.leave_workspaces(p_account_id);
  perform credits.pass_identities_on(p_account_id);
end
$$;
comment on function credits.close_account(uuid) is
  'Closes an account and keeps its ledger: releases its holds, ends its plan like a cancellation, '
  'takes the person out of workspaces.';
revoke all on function credits.close_account(uuid) from public, anon, authenticated, service_role;

create function credits.end_plan(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_event credits.subscription_events;
  v_at timestamptz := credits.account_time(p_account_id);
begin
  select 'plan', v_at, p.id, credits.latest_version(p.id), false
    into v_event.kind, v_event.happened_at, v_event.plan_id, v_event.plan_version,
      v_event.at_period_end
  from public.plans p where p.is_default;
  if not (credits.spell_at(p_account_id, v_at)).is_default then
    perform credits.record_event(p_account_id, v_event, v_at);
    perform credits.lock_account(p_account_id);
  end if;
end
$$;
comment on function credits.end_plan(uuid) is
  'Ends a plan that is paid for, like a cancellation that takes effect now.';
revoke all on function credits.end_plan(uuid) from public, anon, authenticated, service_role;

create function credits.reopen_account(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_status text;
begin
  perform 1 from credits.balances b where b.account_id = p_account_id
    order by b.credit_type for no key update;
  -- One that was frozen comes back frozen, and one that was forgotten never does.
  update credits.accounts a set
    status = case when a.frozen_reason is null then 'active' else 'frozen' end, closed_at = null
  where a.account_id = p_account_id and a.status = 'closed'
    and not exists (select 1 from credits.forgotten_accounts f where f.account_id = p_account_id)
  returning a.status into v_status;
  if found then
    update credits.balances b set account_status = v_status, due_at = '-infinity'
      where b.account_id = p_account_id;
  end if;
end
$$;
comment on function credits.reopen_account(uuid) is
  'Gives an id that came back its account, with what it had bought. Does nothing for an account '
  'that is open or was forgotten.';
revoke all on function credits.reopen_account(uuid) from public, anon, authenticated, service_role;

create function credits.leave_workspaces(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- The row of a workspace comes before all that belongs to it.
  perform 1 from public.credit_workspaces w
  where w.account_id in (
    select m.account_id from public.credit_workspace_members m where m.user_id = p_account_id)
  order by w.account_id for no key update;
  delete from public.credit_workspace_members m where m.user_id = p_account_id;
end
$$;
comment on function credits.leave_workspaces(uuid) is
  'Takes a person out of all workspaces, which releases their holds there.';
revoke all on function credits.leave_workspaces(uuid)
  from public, anon, authenticated, service_role;

create function credits.release_open_holds(p_account_id uuid, p_user_id uuid, p_reason text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_hold public.credit_reservations;
begin
  for v_balance in select * from credits.lock_account(p_account_id) loop
    for v_hold in
      select r.* from public.credit_reservations r
      where r.account_id = p_account_id and r.credit_type = v_balance.credit_type
        and r.status = 'open'
        and (p_user_id is null or r.user_id = p_user_id)
      order by r.id
    loop
      v_balance := credits.close_hold(p_account_id, v_balance, v_hold, p_reason);
    end loop;
  end loop;
end
$$;
comment on function credits.release_open_holds(uuid, uuid, text) is
  'Releases all holds of an account, or those of one person, also when the account is gone.';
revoke all on function credits.release_open_holds(uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.release_holds_of_removed_member()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- A workspace that is gone releases all its holds. Who is in it again keeps them.
  if exists (
    select 1 from public.credit_reservations r
    where r.account_id = old.account_id and r.user_id = old.user_id and r.status = 'open')
    and credits.is_living(old.account_id)
    and not exists (
      select 1 from public.credit_workspace_members m
      where m.account_id = old.account_id and m.user_id = old.user_id) then
    perform credits.release_open_holds(old.account_id, old.user_id, 'the member was removed');
  end if;
  return null;
end
$$;
comment on function credits.release_holds_of_removed_member() is
  'Removing a member releases what they hold of the workspace.';
revoke all on function credits.release_holds_of_removed_member()
  from public, anon, authenticated, service_role;
create trigger credit_workspace_members_release_holds after delete
  on public.credit_workspace_members
  for each row execute function credits.release_holds_of_removed_member();

create function credits.pass_ownership_on()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- A person may leave for good without asking (their user is deleted): the member of the highest
  -- role who is there the longest follows.
  if old.role = 'owner' and credits.is_living(old.account_id) and not exists (
    select 1 from public.credit_workspace_members m
    where m.account_id = old.account_id and m.role = 'owner') then
    update public.credit_workspace_members m set role = 'owner'
    where m.account_id = old.account_id and m.user_id = (
      select o.user_id from public.credit_workspace_members o
      where o.account_id = old.account_id
      order by array_position('{admin,member,viewer}'::text[], o.role), o.created_at, o.user_id
      limit 1);
  end if;
  return null;
end
$$;
comment on function credits.pass_ownership_on() is
  'Makes another member the owner when the last one is gone.';
revoke all on function credits.pass_ownership_on() from public, anon, authenticated, service_role;
create trigger credit_workspace_members_pass_ownership_on after delete
  on public.credit_workspace_members for each row execute function credits.pass_ownership_on();

create function credits.follow_account(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_status text;
begin
  select a.status into v_status from credits.accounts a where a.account_id = p_account_id;
  if v_status <> 'closed' and not credits.is_living(p_account_id) then
    perform credits.close_account(p_account_id);
  elsif v_status = 'closed' and credits.is_living(p_account_id) then
    perform credits.reopen_account(p_account_id);
  end if;
  if credits.is_living(p_account_id) then
    perform credits.remember_identities(p_account_id);
    perform credits.decide_free_credits(p_account_id);
  elsif v_status = 'closed' then
    perform credits.give_deleted_rows_back(p_account_id);
  end if;
end
$$;
comment on function credits.follow_account(uuid) is
  'Brings an account in line with its person or workspace: closes it where they are gone, reopens '
  'it where they are back, and gives free credits that they are due by now. Safe to repeat.';
revoke all on function credits.follow_account(uuid) from public, anon, authenticated, service_role;

create function credits.follow_at_once(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
-- Nothing is waited for: whoever deletes a user may hold what a spend wants, while the spend holds
-- the account.
set lock_timeout = '1ms'
as $$
begin
  begin
    perform credits.follow_account(p_account_id);
  exception when others then
    insert into credits.accounts_to_follow (account_id) values (p_account_id)
      on conflict (account_id) do nothing;
  end;
exception when others then
  raise warning 'credits: account % could not be brought in line with its user: % (%)',
    p_account_id, sqlerrm, sqlstate;
end
$$;
comment on function credits.follow_at_once(uuid) is
  'Brings an account in line with its person or workspace, or leaves that to the job where the '
  'account is busy. Waits for no lock and raises nothing.';
revoke all on function credits.follow_at_once(uuid) from public, anon, authenticated, service_role;

create function credits.follow_waiting_accounts(p_limit integer default 100)
returns integer
language plpgsql
volatile
security invoker
set search_path = ''
set lock_timeout = '1ms'
as $$
declare
  v_account_id uuid;
  v_count integer := 0;
begin
  for v_account_id in
    select f.account_id from credits.accounts_to_follow f order by f.account_id limit p_limit
      for update skip locked
  loop
    begin
      perform credits.follow_account(v_account_id);
      delete from credits.accounts_to_follow f where f.account_id = v_account_id;
      v_count := v_count + 1;
    exception when others then
      raise warning 'credits: account % could not be brought in line with its user: % (%)',
        v_account_id, sqlerrm, sqlstate;
    end;
  end loop;
  return v_count;
end
$$;
comment on function credits.follow_waiting_accounts(integer) is
  'Works off accounts whose person or workspace changed while they were busy. Answers how many.';
revoke all on function credits.follow_waiting_accounts(integer)
  from public, anon, authenticated, service_role;

create function credits.tend_accounts()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform credits.follow_waiting_accounts();
  perform credits.return_dropped_tables();
  perform credits.drop_old_identities();
  perform credits.forget_messages();
end
$$;
comment on function credits.tend_accounts() is
  'The part of the job that is about accounts: follows what users and workspaces did while '
  'accounts were busy, gives back rows of dropped tables, drops old identities and old messages. '
  'Bounded.';
revoke all on function credits.tend_accounts() from public, anon, authenticated, service_role;

create function credits.follow_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.follow_at_once(coalesce(new.id, old.id));
  return null;
end
$$;
comment on function credits.follow_user() is
  'Follows what becomes of a user: deleted, also softly, come back, under another e-mail, with one '
  'that is confirmed, no longer anonymous. Never blocks it.';
revoke all on function credits.follow_user() from public, anon, authenticated, service_role;
-- At the end of the transaction, when all that goes with the user is gone as well.
create constraint trigger credits_close_account after delete on auth.users
  deferrable initially deferred for each row execute function credits.follow_user();
create constraint trigger credits_follow_user
  after update of deleted_at, email, phone, is_anonymous, email_confirmed_at on auth.users
  deferrable initially deferred for each row
  when ((old.deleted_at, old.email, old.phone, old.is_anonymous, old.email_confirmed_at is null)
    is distinct from (new.deleted_at, new.email, new.phone, new.is_anonymous,
      new.email_confirmed_at is null))
  execute function credits.follow_user();

create function credits.follow_workspace()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.follow_at_once(old.account_id);
  return null;
end
$$;
comment on function credits.follow_workspace() is
  'Closes the account of a workspace that is deleted.';
revoke all on function credits.follow_workspace() from public, anon, authenticated, service_role;
create constraint trigger credit_workspaces_follow_deleted after delete on public.credit_workspaces
  deferrable initially deferred for each row execute function credits.follow_workspace();
