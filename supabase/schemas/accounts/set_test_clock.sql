create table credits.test_clock_moves (
  account_id uuid not null constraint test_clock_moves_account_id_fkey
    references credits.accounts (account_id),
  test_now timestamptz not null,
  moved_at timestamptz not null,
  constraint test_clock_moves_pkey primary key (account_id, test_now)
);
comment on table credits.test_clock_moves is
  'When the clock of a test account was moved to where. What was on sale then was on sale in all '
  'the time that it passed over.';
alter table credits.test_clock_moves enable row level security;
revoke all on table credits.test_clock_moves from public, anon, authenticated, service_role;

create function credits.sale_time(p_account_id uuid, p_at timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return least(p_at, (
    select m.moved_at from credits.test_clock_moves m
    where m.account_id = p_account_id and m.test_now >= p_at order by m.test_now limit 1));
end
$$;
comment on function credits.sale_time(uuid, timestamptz) is
  'The real time of an instant of an account: that instant, or for a test account when its clock '
  'was moved past it. Plans are on sale by the real time.';
revoke all on function credits.sale_time(uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.move_clock(p_account_id uuid, p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_moved_at timestamptz := clock_timestamp();
begin
  -- Nothing is booked here: what falls due by the new time does so whoever comes by first.
  perform 1 from credits.balances b where b.account_id = p_account_id
    order by b.credit_type for no key update;
  if not exists (select 1 from credits.accounts a where a.account_id = p_account_id
    and a.is_test) then
    perform credits.raise_error('not_a_test_account');
  end if;
  select max(greatest(b.test_now, b.settled_at)) into v_now
  from credits.balances b where b.account_id = p_account_id;
  if p_now is null or not isfinite(p_now) or p_now < v_now then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_now', 'now', v_now),
      'A test clock moves forwards only.');
  end if;
  insert into credits.test_clock_moves (account_id, test_now, moved_at)
  values (p_account_id, p_now, v_moved_at) on conflict (account_id, test_now) do nothing;
  update credits.accounts a set test_now = p_now where a.account_id = p_account_id;
  update credits.balances b set test_now = p_now where b.account_id = p_account_id;
end
$$;
comment on function credits.move_clock(uuid, timestamptz) is
  'Moves the clock of a test account forwards.';
revoke all on function credits.move_clock(uuid, timestamptz)
  from public, anon, authenticated, service_role;

-- edge: result=Clock callers=service_role repeatable
--   Set the time of a test account, forwards only; every rule follows it.
--
--   Raises:
--       NotATestAccount: the account is not marked.
--       InvalidArgument: the time is not aware, or earlier than the account's.
--       AccountNotFound.
create function public.set_test_clock(p_user_id uuid, p_now timestamptz,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(p_user_id, p_workspace_id);
begin
  perform credits.move_clock(v_account_id, p_now);
  return credits.respond(credits.account_answer(v_account_id) || jsonb_build_object('now', p_now));
end
$$;
comment on function public.set_test_clock(uuid, timestamptz, uuid) is
  'Sets the time of a test account, forwards only. It stands still until it is set again, and '
  'every rule follows it. Raises not_a_test_account for others.';
revoke all on function public.set_test_clock(uuid, timestamptz, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.set_test_clock(uuid, timestamptz, uuid) to service_role;
