create function credits.restart_allowance(p_account_id uuid, inout p_balance credits.balances, p_user_id uuid, p_operation_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_terms record;
  v_grant record;
begin
  select * into v_terms from credits.plan_terms_at(p_account_id, p_balance.credit_type, p_balance.settled_at);
  -- A limit is never reset, and a subscription that is not paid for gets no new allowance.
  if p_balance.kind = 'limit' or not v_terms.renews then
    return;
  end if;
  select g.id, g.remaining - g.held as free into v_grant from public.credit_grants g
  -- What is unlimited has nothing to restart, and what a counted plan left is not touched by it.
  where v_terms.allowance is not null and g.account_id = p_account_id and g.credit_type = p_balance.credit_type
    and g.period_start = p_balance.period_start and g.voided_at is null;
  if found then
    if v_grant.free > 0 then
      p_balance := credits.take_unspent(p_account_id, p_balance, v_grant.id, v_grant.free, 'void', p_user_id, gen_random_uuid(),
        p_operation_id, 'allowance restarted');
    end if;
    update public.credit_grants g set voided_at = p_balance.settled_at, void_reason = 'allowance restarted'
    where g.account_id = p_account_id and g.id = v_grant.id;
  end if;
  p_balance.used := 0;
  p_balance.used_since := p_balance.settled_at;
  p_balance.allowance_period := p_balance.period_start;
  p_balance.peak_allowance := greatest(p_balance.peak_allowance, v_terms.allowance);
  if v_terms.allowance > 0 then
    p_balance := (select i.p_balance from credits.issue_allowance(p_account_id, p_balance, v_terms.allowance, v_terms.plan_id,
      p_user_id, p_operation_id, 'allowance restarted') i);
  end if;
  p_balance := credits.save_balance(p_account_id, p_balance);
end
$$;
comment on function credits.restart_allowance(uuid, credits.balances, uuid, uuid) is
  'Books out what the period''s allowance has left and grants it anew in full. The period stays, other grants are not touched.';
revoke all on function credits.restart_allowance(uuid, credits.balances, uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.book_pending_plan(p_account_id uuid, p_at timestamptz)
returns void
language sql
volatile
security invoker
set search_path = ''
as $$
  update public.subscriptions s set
    plan_id = s.pending_plan_id, pending_plan_id = null, pending_at = null,
    status = case when s.status = 'past_due' and (
      select p.price_cents > 0 from public.plans p where p.id = s.pending_plan_id) then s.status else 'active' end
  where s.account_id = p_account_id and s.pending_at <= p_at
$$;
comment on function credits.book_pending_plan(uuid, timestamptz) is
  'Writes down a plan change whose time has come. Call it with all balances of the account locked.';
revoke all on function credits.book_pending_plan(uuid, timestamptz) from public, anon, authenticated, service_role;

create function credits.renew(p_account_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_before jsonb;
  v_locked integer;
begin
  -- Nobody waits for the job and the job waits for nobody: a busy account is settled by whoever keeps it busy.
  perform 1 from (
    select b.credit_type from credits.balances b where b.account_id = p_account_id
    order by b.credit_type for no key update skip locked) l;
  get diagnostics v_locked = row_count;
  if v_locked < (select count(*) from credits.balances b where b.account_id = p_account_id) then
    return false;
  end if;
  select jsonb_object_agg(b.credit_type, b.allowance_period) into v_before
  from credits.balances b where b.account_id = p_account_id;
  perform credits.lock_account(p_account_id);
  perform credits.book_pending_plan(p_account_id, (
    select max(b.settled_at) from credits.balances b where b.account_id = p_account_id));
  perform credits.lock_account(p_account_id);
  return v_before is distinct from (
    select jsonb_object_agg(b.credit_type, b.allowance_period) from credits.balances b where b.account_id = p_account_id);
end
$$;
comment on function credits.renew(uuid) is
  'Books all that has fallen due on one account, unless somebody else is at it. True when an allowance was renewed.';
revoke all on function credits.renew(uuid) from public, anon, authenticated, service_role;

create function credits.renew_due()
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_until timestamptz := clock_timestamp() + interval '5 seconds';
  v_after uuid := uuid '00000000-0000-0000-0000-000000000000';
  v_accounts uuid[];
  v_account_id uuid;
  v_renewed bigint := 0;
begin
  loop
    select array_agg(d.account_id order by d.account_id) into v_accounts from (
      select b.account_id from credits.balances b
      where b.account_id > v_after and b.account_status <> 'closed'
        and ((b.test_now is null and b.due_at <= clock_timestamp()) or (b.test_now is not null and b.due_at <= b.test_now))
      union
      -- Spends settle balances one by one; the plan is written down when the last one is, which may be now.
      select s.account_id from public.subscriptions s
      join credits.accounts a on a.account_id = s.account_id and a.status <> 'closed'
      where s.account_id > v_after and s.pending_at <= coalesce(a.test_now, clock_timestamp())
      order by account_id limit 500) d;
    exit when v_accounts is null;
    foreach v_account_id in array v_accounts loop
      -- One account whose books are broken does not keep the others from their renewal.
      begin
        if credits.renew(v_account_id) then
          v_renewed := v_renewed + 1;
        end if;
      exception when others then
        raise warning 'account % could not be renewed: % (%)', v_account_id, sqlerrm, sqlstate;
      end;
    end loop;
    v_after := v_accounts[array_upper(v_accounts, 1)];
    -- Locks are kept until the caller commits, so a call ends in time and the next one goes on.
    exit when clock_timestamp() > v_until;
  end loop;
  return v_renewed;
end
$$;
comment on function credits.renew_due() is
  'Books what has fallen due on all accounts, in batches, for about five seconds at most. Several processes may run it at once. Nothing depends on it: every operation settles its own account first.';
revoke all on function credits.renew_due() from public, anon, authenticated, service_role;

-- edge: result=Reset callers=service_role repeatable-without=user_id slow
--   Restart a person's allowance now, period unchanged.
--
--   Without a user: renew every account that has fallen due, and answer how many ``accounts``. A
--   call ends after about five seconds; repeat it while it answers more than 0. Restarting one
--   person's allowance is never repeated by itself when the connection breaks.
--
--   Raises:
--       AccountNotFound: there is no such user.
create function public.reset_monthly_credits(p_user_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_operation_id uuid := gen_random_uuid();
  v_balance credits.balances;
begin
  if p_user_id is null then
    perform credits.tend_accounts();
    return credits.account_answer(null) || jsonb_build_object('accounts', credits.renew_due());
  end if;
  v_account_id := credits.paying_account(p_user_id);
  for v_balance in select * from credits.lock_account(v_account_id) loop
    v_balance := credits.restart_allowance(v_account_id, v_balance, p_user_id, v_operation_id);
  end loop;
  return credits.account_answer(v_account_id, v_operation_id);
end
$$;
comment on function public.reset_monthly_credits(uuid) is
  'With a user: restarts that person''s allowance now, period unchanged. With none: renews every account that has fallen due and answers how many (accounts); a call ends after about five seconds, repeat it while it answers more than 0.';
revoke all on function public.reset_monthly_credits(uuid) from public, anon, authenticated, service_role;
grant execute on function public.reset_monthly_credits(uuid) to service_role;
