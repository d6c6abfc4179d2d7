-- edge: result=Reset callers=service_role repeatable-without=user_id slow
--   Restart an account's allowances now, period unchanged; ``restarted`` lists them.
--
--   Without a user: book what has fallen due on a bounded number of accounts, and answer how many
--   ``accounts`` were renewed and whether there is ``more``: repeat it until there is none.
--   Restarting one account is never repeated by itself when the connection breaks.
--
--   Raises:
--       AccountNotFound: there is no such user.
create function public.reset_monthly_credits(p_user_id uuid default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_renewed record;
begin
  if p_user_id is null and p_workspace_id is null then
    perform credits.tend_accounts();
    select * into v_renewed from credits.renew_due();
    return credits.respond(credits.account_answer(null)
      || jsonb_build_object('accounts', v_renewed.accounts, 'more', v_renewed.more));
  end if;
  return credits.respond(
    credits.restart(credits.paying_account(p_user_id, p_workspace_id), p_user_id));
end
$$;
comment on function public.reset_monthly_credits(uuid, uuid) is
  'With a user: restarts that account''s allowances now, as far as its status grants any, period '
  'unchanged; restarted lists them. With none: books what has fallen due on 20 to 200 accounts, as '
  'many as a tenth of a second allows, leaves out busy ones, and answers how many were renewed '
  '(accounts) and whether to call it again (more).';
revoke all on function public.reset_monthly_credits(uuid, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.reset_monthly_credits(uuid, uuid) to service_role;

create function credits.restart(p_account_id uuid, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation_id uuid := gen_random_uuid();
  v_balance credits.balances;
  v_restarted jsonb := '[]'::jsonb;
begin
  for v_balance in select * from credits.lock_account(p_account_id) loop
    if credits.restart_allowance(p_account_id, v_balance, p_user_id, v_operation_id) then
      v_restarted := v_restarted || to_jsonb(v_balance.credit_type);
    end if;
  end loop;
  return credits.account_answer(p_account_id, v_operation_id) || jsonb_build_object('restarted',
    v_restarted);
end
$$;
comment on function credits.restart(uuid, uuid) is
  'Restarts the allowances of an account, and lists which.';
revoke all on function credits.restart(uuid, uuid) from public, anon, authenticated, service_role;

create function credits.restart_allowance(
  p_account_id uuid, p_balance credits.balances, p_user_id uuid, p_operation_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances := p_balance;
  v_spell credits.subscription_spells := credits.spell_at(p_account_id, p_balance.settled_at);
  v_grant record;
  v_issued record;
  v_amount bigint;
begin
  -- A limit is never reset, and what is not paid for gets no new allowance.
  if v_balance.kind = 'limit' or not v_spell.is_earning or v_spell.is_frozen
    or v_spell.status = 'canceled'
  then
    return false;
  end if;
  -- What is unlimited has no stock to restart, and what a counted plan left is not touched by it.
  if v_balance.allowance is null then
    v_balance.used := 0;
    v_balance.used_since := v_balance.settled_at;
    perform credits.save_balance(p_account_id, v_balance);
    return true;
  end if;
  select g.id, g.remaining - g.held as free into v_grant from public.credit_grants g
  where g.account_id = p_account_id and g.credit_type = v_balance.credit_type
    and g.period_start = v_balance.period_start and g.voided_at is null;
  if found then
    if v_grant.free > 0 then
      v_balance := credits.take_unspent(p_account_id, v_balance, v_grant.id, v_grant.free, 'void',
        p_user_id,
        gen_random_uuid(), p_operation_id, 'allowance restarted');
    end if;
    update public.credit_grants g set voided_at = v_balance.settled_at,
      void_reason = 'allowance restarted'
    where g.account_id = p_account_id and g.id = v_grant.id;
  end if;
  v_balance.used := 0;
  v_balance.used_since := v_balance.settled_at;
  v_balance.restarted_at := v_balance.settled_at;
  v_balance.restarted_event := (
    select max(e.n) from credits.subscription_events e where e.account_id = p_account_id);
  v_amount := credits.period_allowance(p_account_id, v_balance.credit_type, v_balance.period_start,
    v_balance.period_end,
    v_balance.restarted_at, v_balance.restarted_event, v_balance.settled_at);
  v_balance.granted := v_amount;
  v_balance.overdrawn := 0;
  if v_amount > 0 then
    v_issued := credits.issue_allowance(p_account_id, v_balance, v_amount, v_balance.plan_id,
      p_user_id, p_operation_id,
      'allowance restarted', case when v_spell.trial_ends_at is null then 'plan' else 'trial' end);
    v_balance := v_issued.p_balance;
  end if;
  perform credits.save_balance(p_account_id, v_balance);
  perform credits.rearm_levels(p_account_id, v_balance.credit_type);
  return true;
end
$$;
comment on function credits.restart_allowance(uuid, credits.balances, uuid, uuid) is
  'Books out what the period''s allowance has left and grants it anew in full, where the status '
  'grants any. The period stays, other grants are not touched.';
revoke all on function credits.restart_allowance(uuid, credits.balances, uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.lock_idle_account(p_account_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_locked integer;
begin
  perform 1 from (
    select b.credit_type from credits.balances b where b.account_id = p_account_id
    order by b.credit_type for no key update skip locked) l;
  get diagnostics v_locked = row_count;
  return v_locked = (select count(*) from credits.balances b where b.account_id = p_account_id);
end
$$;
comment on function credits.lock_idle_account(uuid) is
  'Locks all balances of an account, unless another session is at one of them: then false. A job '
  'waits for no caller.';
revoke all on function credits.lock_idle_account(uuid)
  from public, anon, authenticated, service_role;

create function credits.renew(p_account_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_before jsonb;
begin
  if not credits.lock_idle_account(p_account_id) then
    return null;
  end if;
  select jsonb_object_agg(b.credit_type, b.period_start) into v_before
  from credits.balances b where b.account_id = p_account_id;
  perform credits.lock_account(p_account_id);
  return v_before is distinct from (
    select jsonb_object_agg(b.credit_type, b.period_start) from credits.balances b
      where b.account_id = p_account_id);
end
$$;
comment on function credits.renew(uuid) is
  'Books all that has fallen due on one account. True when a period began, null when another '
  'session was at it.';
revoke all on function credits.renew(uuid) from public, anon, authenticated, service_role;

create function credits.renew_due(out accounts bigint, out more boolean)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_after uuid := uuid '00000000-0000-0000-0000-000000000000';
  v_accounts uuid[];
  v_account_id uuid;
  v_seen bigint := 0;
  v_renewed boolean;
  v_ends_at timestamptz;
begin
  accounts := 0;
  more := false;
  loop
    select array_agg(d.account_id order by d.account_id) into v_accounts from (
      select distinct b.account_id from credits.balances b
      where b.account_id > v_after and b.account_status <> 'closed' and not b.is_floating
        and ((b.test_now is null and b.due_at <= clock_timestamp())
          or (b.test_now is not null and b.due_at <= b.test_now))
      order by b.account_id limit 200) d;
    exit when v_accounts is null;
    v_ends_at := coalesce(v_ends_at, clock_timestamp() + interval '100 milliseconds');
    foreach v_account_id in array v_accounts loop
      -- Locks are kept until the caller commits, so a call ends soon and the next one goes on.
      more := v_seen >= 200 or v_seen >= 20 and clock_timestamp() > v_ends_at;
      exit when more;
      -- One account whose books are broken does not keep the others from their renewal.
      begin
        v_renewed := credits.renew(v_account_id);
        accounts := accounts + coalesce(v_renewed, false)::integer;
        v_seen := v_seen + (v_renewed is not null)::integer;
      exception when others then
        raise warning 'account % could not be renewed: % (%)', v_account_id, sqlerrm, sqlstate;
      end;
    end loop;
    exit when more;
    v_after := v_accounts[array_upper(v_accounts, 1)];
  end loop;
end
$$;
comment on function credits.renew_due() is
  'Books what has fallen due, on 20 to 200 accounts: whoever spends meanwhile from one of them '
  'waits for no more than a moment. Several processes may run it at once. '
  'Nothing depends on it: every operation books its own account first.';
revoke all on function credits.renew_due() from public, anon, authenticated, service_role;
