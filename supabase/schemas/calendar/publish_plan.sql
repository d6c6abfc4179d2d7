-- edge: result=Published callers=service_role repeatable
--   Make the figures of ``plan_limits`` the newest version of a plan.
--
--   Accounts take it at their ``"next_period"``. ``"now"`` moves everybody on the plan to it under
--   the rules of a plan change, but for pinned accounts; repeat it while it answers ``more``.
--
--   Raises:
--       InvalidArgument: no such plan, or another ``apply``.
create function public.publish_plan(p_plan_id text, p_apply text default 'next_period')
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_accounts bigint := 0;
  v_more boolean := false;
  v_version integer;
begin
  if p_apply is null or p_apply not in ('next_period', 'now') then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_apply', 'value', p_apply),
      'A version counts from the ''next_period'' of each account, or ''now''.');
  end if;
  if not exists (select 1 from public.plans p where p.id = p_plan_id) then
    perform credits.refuse_plan(p_plan_id);
  end if;
  perform credits.make_plan_version(p_plan_id);
  v_version := credits.latest_version(p_plan_id);
  if p_apply = 'now' then
    select r.accounts, r.more into v_accounts, v_more from credits.roll_out(p_plan_id, v_version) r;
  end if;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'plan', p_plan_id, 'version', v_version,
    'accounts', v_accounts, 'more', v_more));
end
$$;
comment on function public.publish_plan(text, text) is
  'Makes the figures of plan_limits the plan''s newest version. Accounts take it at their next '
  'period; ''now'' moves everybody on the plan to it under the rules of a plan change, but for '
  'pinned accounts. A call does 20 to 1000 accounts, as many as a tenth of a second allows, and '
  'leaves out busy ones: repeat it while it answers more.';
revoke all on function public.publish_plan(text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.publish_plan(text, text) to service_role;

create function credits.roll_out(p_plan_id text, p_version integer, out accounts bigint,
  out more boolean)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_account_id uuid;
  v_seen bigint := 0;
  v_ends_at timestamptz;
begin
  accounts := 0;
  for v_account_id in
    select distinct s.account_id from credits.subscription_spells s
    join credits.accounts a on a.account_id = s.account_id and a.status <> 'closed'
    where s.plan_id = p_plan_id and s.replaced_at is null
      and credits.takes_version(s.account_id, p_plan_id, p_version)
    order by s.account_id limit 1001
  loop
    v_seen := v_seen + 1;
    v_ends_at := coalesce(v_ends_at, clock_timestamp() + interval '100 milliseconds');
    exit when v_seen > 1000 or v_seen > 20 and clock_timestamp() > v_ends_at;
    if credits.lock_idle_account(v_account_id) then
      perform credits.take_version(v_account_id, p_plan_id, p_version);
      accounts := accounts + 1;
    end if;
  end loop;
  more := v_seen > accounts;
end
$$;
comment on function credits.roll_out(text, integer) is
  'Moves accounts that are on a plan to a version of it, a bounded number of them; no account '
  'that is busy is waited for.';
revoke all on function credits.roll_out(text, integer)
  from public, anon, authenticated, service_role;

create function credits.takes_version(p_account_id uuid, p_plan_id text, p_version integer)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_at timestamptz := credits.account_time(p_account_id);
  s credits.subscription_spells := credits.spell_at(p_account_id, v_at);
begin
  return s.plan_id = p_plan_id
    and not exists (
      select 1 from credits.subscriptions b where b.account_id = p_account_id
        and b.pinned_plan_id = p_plan_id)
    and credits.period_version(p_account_id, s,
      (select p.period_start from credits.spell_period(s, v_at) p)) <> p_version;
end
$$;
comment on function credits.takes_version(uuid, text, integer) is
  'Whether an account is on a plan, in another version, and not pinned to it.';
revoke all on function credits.takes_version(uuid, text, integer)
  from public, anon, authenticated, service_role;

create function credits.take_version(p_account_id uuid, p_plan_id text, p_version integer)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_event credits.subscription_events;
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  v_event.kind := 'version';
  v_event.happened_at := v_now;
  v_event.plan_id := p_plan_id;
  v_event.plan_version := p_version;
  perform credits.record_event(p_account_id, v_event, v_now);
  perform credits.lock_account(p_account_id);
end
$$;
comment on function credits.take_version(uuid, text, integer) is
  'Moves an account to a version of its plan, now.';
revoke all on function credits.take_version(uuid, text, integer)
  from public, anon, authenticated, service_role;

create function credits.clock()
returns timestamptz
language sql
stable
security invoker
set search_path = ''
as $$
  select clock_timestamp()
$$;
comment on function credits.clock() is
  'The real time, for functions that only read: each sees one snapshot, at the time it looks.';
revoke all on function credits.clock() from public, anon, authenticated, service_role;

create function credits.account_time(p_account_id uuid)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return greatest(
    coalesce(
      (select a.test_now from credits.accounts a where a.account_id = p_account_id),
      credits.clock()),
    (select max(b.settled_at) from credits.balances b where b.account_id = p_account_id));
end
$$;
comment on function credits.account_time(uuid) is
  'What time it is for an account: the real one or that of its own clock, and never earlier than '
  'what it has seen.';
revoke all on function credits.account_time(uuid) from public, anon, authenticated, service_role;
