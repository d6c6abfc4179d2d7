create function credits.open_account(p_account_id uuid, p_kind text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_user_id uuid := case when p_kind = 'person' then p_account_id end;
begin
  insert into credits.accounts (account_id, kind, created_at) values (p_account_id, p_kind, v_now)
  on conflict (account_id) do nothing;
  insert into public.subscriptions (account_id, user_id, plan_id, anchor_at, created_at, updated_at)
  select p_account_id, v_user_id, p.id, v_now, v_now, v_now from public.plans p where p.is_default
  on conflict (account_id) do nothing;
  insert into credits.balances (
    account_id, credit_type, user_id, kind, used_since, period_start, period_end, settled_at, test_now, account_status)
  select p_account_id, t.id, v_user_id, t.kind, v_now, p.period_start, p.period_end, v_now, a.test_now, a.status
  from credits.credit_types t
  join public.subscriptions s on s.account_id = p_account_id
  join credits.accounts a on a.account_id = p_account_id
  left join lateral credits.period_at(s.anchor_at, s.time_zone, coalesce(a.test_now, v_now)) p on t.kind = 'credit'
  order by t.id
  on conflict (account_id, credit_type) do nothing;
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.open_account(uuid, text) is
  'Opens an account on the default plan with its credits, or completes one that lacks something. Safe to repeat.';
revoke all on function credits.open_account(uuid, text) from public, anon, authenticated, service_role;

create function credits.open_account_of_new_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.open_account(new.id, 'person');
  return new;
exception when others then
  -- A sign-up is worth more than its credits: the first call opens the account then.
  raise warning 'credits: the account of user % could not be opened: % (%)', new.id, sqlerrm, sqlstate;
  return new;
end
$$;
comment on function credits.open_account_of_new_user() is
  'Gives a new user the default plan and its credits in the transaction of the sign-up. Never blocks a sign-up: it logs, and the first call mends it.';
revoke all on function credits.open_account_of_new_user() from public, anon, authenticated, service_role;
create trigger credits_open_account after insert on auth.users
  for each row execute function credits.open_account_of_new_user();

create function credits.close_account_of_deleted_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform 1 from credits.balances b where b.account_id = old.id order by b.credit_type for no key update;
  update credits.accounts a set status = 'closed', closed_at = clock_timestamp()
  where a.account_id = old.id and a.status <> 'closed';
  update credits.balances b set account_status = 'closed' where b.account_id = old.id;
  delete from public.credit_workspace_members m where m.user_id = old.id;
  perform credits.give_deleted_rows_back(old.id);
  return old;
exception when others then
  raise warning 'credits: the account of user % could not be closed: % (%)', old.id, sqlerrm, sqlstate;
  return old;
end
$$;
comment on function credits.close_account_of_deleted_user() is
  'Closes the account of a deleted user and keeps its ledger. Never blocks the deletion.';
revoke all on function credits.close_account_of_deleted_user() from public, anon, authenticated, service_role;
-- At the end of the transaction, when all that goes with the user is gone as well.
create constraint trigger credits_close_account after delete on auth.users
  deferrable initially deferred for each row execute function credits.close_account_of_deleted_user();

create function credits.open_account_of_new_workspace()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.open_account(new.account_id, 'workspace');
  return new;
end
$$;
comment on function credits.open_account_of_new_workspace() is 'Gives a new workspace the default plan and its credits.';
revoke all on function credits.open_account_of_new_workspace() from public, anon, authenticated, service_role;
create trigger credit_workspaces_open_account after insert on public.credit_workspaces
  for each row execute function credits.open_account_of_new_workspace();
