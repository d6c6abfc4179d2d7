-- edge: result=OpenedAccount callers=service_role repeatable
--   Open an account on the default plan for an id that has no row in `auth.users` here: a user of
--   another project, or of another shard. It is there until it is forgotten.
--
--   Raises:
--       AccountNotFound: the id is a workspace's, or the account was forgotten.
--       InvalidArgument: no id, or the nil UUID.
create function public.open_account(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  -- The nil UUID stands for no user at all, in libraries and in tokens.
  if p_user_id is null or p_user_id = '00000000-0000-0000-0000-000000000000'::uuid then
    perform credits.raise_error('invalid_argument', '{"argument": "p_user_id"}',
      'Pass the id of the user.');
  end if;
  if exists (select 1 from credits.accounts a where a.account_id = p_user_id and a.kind <> 'person')
     or exists (select 1 from credits.forgotten_accounts f where f.account_id = p_user_id)
     or exists (select 1 from auth.users u where u.id = p_user_id and u.deleted_at is not null) then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id));
  end if;
  perform credits.open_account(p_user_id, 'person');
  -- A user who is known here comes and goes by auth.users; another one is there from now on.
  if not exists (select 1 from auth.users u where u.id = p_user_id) then
    update credits.accounts a set is_elsewhere = true where a.account_id = p_user_id
      and not a.is_elsewhere;
    perform credits.reopen_account(p_user_id);
    perform credits.lock_account(p_user_id);
  end if;
  return credits.respond(
    credits.account_answer(p_user_id) || jsonb_build_object('account_id', p_user_id));
end
$$;
comment on function public.open_account(uuid) is
  'Opens an account on the default plan for an id that has no row in auth.users here: users of '
  'another project, or a shard''s. Safe to repeat.';
revoke all on function public.open_account(uuid) from public, anon, authenticated, service_role;
grant execute on function public.open_account(uuid) to service_role;

create function credits.open_account(p_account_id uuid, p_kind text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_user_id uuid := case when p_kind <> 'workspace' then p_account_id end;
  v_anchor_at timestamptz := v_now;
begin
  insert into credits.accounts (account_id, kind, created_at) values (p_account_id, p_kind, v_now)
  on conflict (account_id) do nothing;
  if p_kind = 'person' then
    perform credits.remember_identities(p_account_id);
    perform credits.decide_free_credits(p_account_id);
    v_anchor_at := coalesce(credits.inherited_anchor(p_account_id), v_now);
  end if;
  insert into credits.subscriptions (account_id, user_id, created_at, updated_at)
  values (p_account_id, v_user_id, v_now, v_now) on conflict (account_id) do nothing;
  if found then
    perform credits.open_subscription(p_account_id, v_anchor_at);
  end if;
  insert into credits.balances (account_id, credit_type, user_id, kind, used_since, settled_at,
    test_now, account_status)
  select p_account_id, t.id, v_user_id, t.kind, v_now, v_now, a.test_now, a.status
  from credits.credit_types t
  join credits.accounts a on a.account_id = p_account_id
  order by t.id
  on conflict (account_id, credit_type) do nothing;
  if credits.is_living(p_account_id) then
    perform credits.reopen_account(p_account_id);
  end if;
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.open_account(uuid, text) is
  'Opens an account on the default plan with its credits, completes one that lacks something, or '
  'reopens one whose person is back. Safe to repeat.';
revoke all on function credits.open_account(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.open_account_of_new_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform credits.open_account(new.id, 'person');
  -- From now on the account ends with the user who is known here.
  update credits.accounts a set is_elsewhere = false where a.account_id = new.id and a.is_elsewhere;
  return new;
exception when others then
  -- A sign-up is worth more than its credits: the first call opens the account then.
  raise warning 'credits: the account of user % could not be opened: % (%)', new.id, sqlerrm,
    sqlstate;
  return new;
end
$$;
comment on function credits.open_account_of_new_user() is
  'Gives a new user the default plan and its credits in the transaction of the sign-up. Never '
  'blocks a sign-up: it logs, and the first call mends it.';
revoke all on function credits.open_account_of_new_user()
  from public, anon, authenticated, service_role;
create trigger credits_open_account after insert on auth.users
  for each row execute function credits.open_account_of_new_user();

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
comment on function credits.open_account_of_new_workspace() is
  'Gives a new workspace the default plan and its credits.';
revoke all on function credits.open_account_of_new_workspace()
  from public, anon, authenticated, service_role;
create trigger credit_workspaces_open_account after insert on public.credit_workspaces
  for each row execute function credits.open_account_of_new_workspace();
