-- edge: result=MessagesTended callers=service_role repeatable slow
--   Find what time brings, give new messages to their channels, and forget old ones.
--
--   With ``find`` False it does not look for what time brings: trials that end and credits that
--   expire. Repeat it while ``more`` is True.
--
--   Raises:
--       InvalidArgument.
create function public.tend_messages(p_limit integer default 200, p_find boolean default true)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_found bigint := 0;
  v_routed bigint := 0;
  v_forgotten bigint;
  v_accounts uuid[];
  v_account_id uuid;
begin
  if p_limit is null or p_limit not between 1 and 10000 then
    perform credits.refuse_argument('p_limit', 'The limit is 1 to 10000 accounts.');
  end if;
  if p_find then
    v_found := credits.announce_expiring(p_limit) + credits.announce_ending_trials(p_limit);
  end if;
  v_accounts := array(
    select w.account_id from (
      select o.account_id, o.n from credits.outbox o where o.routed_at is null
      order by o.n limit 5 * p_limit) w
    group by w.account_id order by min(w.n) limit p_limit);
  foreach v_account_id in array v_accounts loop
    begin
      v_routed := v_routed + credits.route_messages(v_account_id);
    exception when others then
      raise warning 'the messages of account % could not be routed: % (%)',
        v_account_id, sqlerrm, sqlstate;
    end;
  end loop;
  v_forgotten := credits.forget_messages(p_limit);
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'found', v_found,
    'routed', v_routed, 'forgotten', v_forgotten, 'now', clock_timestamp(),
    'more', v_routed > 0 and exists (select 1 from credits.outbox o where o.routed_at is null)));
end
$$;
comment on function public.tend_messages(integer, boolean) is
  'For a worker: finds what time brings, gives new messages to their channels, forgets old ones. '
  'Answers whether there is more to give.';
revoke all on function public.tend_messages(integer, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.tend_messages(integer, boolean) to service_role;

-- Plan credits renew; what was bought or given runs out.
create index credit_grants_expires_at_idx on public.credit_grants (expires_at)
  where is_open and source <> all ('{plan,rollover,trial}');
create index subscription_spells_trial_ends_at_idx on credits.subscription_spells (trial_ends_at)
  where status = 'trialing' and replaced_at is null;

create function credits.announce_expiring(p_limit integer)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_grant record;
  v_now timestamptz := clock_timestamp();
  v_count bigint := 0;
begin
  for v_grant in
    select g.account_id, g.id, g.credit_type, g.source, g.remaining, g.expires_at, t.description
    from public.credit_grants g
    join credits.accounts a on a.account_id = g.account_id and a.status <> 'closed'
    join credits.credit_types t on t.id = g.credit_type
    where g.is_open and g.source <> all ('{plan,rollover,trial}') and g.remaining > 0
      and g.voided_at is null
      and (a.test_now is null and g.expires_at > v_now and g.expires_at <= v_now + interval '7 days'
        or g.expires_at > a.test_now and g.expires_at <= a.test_now + interval '7 days')
      and not exists (
        select 1 from credits.outbox o
        where o.account_id = g.account_id and o.once_key = 'expiring:' || g.id)
    order by g.expires_at
    limit p_limit
  loop
    v_count := v_count + (credits.announce(v_grant.account_id, 'credits.expiring',
      jsonb_build_object('grant_id', v_grant.id, 'source', v_grant.source,
        'remaining', v_grant.remaining, 'expires_at', v_grant.expires_at,
        'name', v_grant.description),
      v_grant.credit_type, null, 'expiring:' || v_grant.id) is not null)::integer;
  end loop;
  return v_count;
end
$$;
comment on function credits.announce_expiring(integer) is
  'Tells of credits that were bought or given and expire within 7 days: once for each grant. A '
  'test account has its own time.';
revoke all on function credits.announce_expiring(integer)
  from public, anon, authenticated, service_role;

create function credits.announce_ending_trials(p_limit integer)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_trial record;
  v_now timestamptz := clock_timestamp();
  v_count bigint := 0;
begin
  for v_trial in
    select s.account_id, s.plan_id, s.trial_ends_at
    from credits.subscription_spells s
    join credits.accounts a on a.account_id = s.account_id and a.status <> 'closed'
    where s.status = 'trialing' and s.replaced_at is null
      and (a.test_now is null and s.trial_ends_at > v_now
          and s.trial_ends_at <= v_now + interval '3 days'
        or s.trial_ends_at > a.test_now and s.trial_ends_at <= a.test_now + interval '3 days')
      and (credits.spell_at(s.account_id, coalesce(a.test_now, v_now))).status = 'trialing'
    order by s.trial_ends_at
    limit p_limit
  loop
    v_count := v_count + credits.announce_ending_trial(
      v_trial.account_id, v_trial.plan_id, v_trial.trial_ends_at)::integer;
  end loop;
  return v_count;
end
$$;
comment on function credits.announce_ending_trials(integer) is
  'Tells of trials that end within 3 days, each once. A test account has its own time.';
revoke all on function credits.announce_ending_trials(integer)
  from public, anon, authenticated, service_role;

create function credits.announce_ending_trial(
  p_account_id uuid, p_plan_id text, p_ends_at timestamptz)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return credits.announce(p_account_id, 'trial.ending', jsonb_build_object(
      'plan_id', p_plan_id, 'plan_name', credits.plan_name(p_plan_id), 'ends_at', p_ends_at),
    null, null, 'trial:' || extract(epoch from p_ends_at)::bigint) is not null;
end
$$;
comment on function credits.announce_ending_trial(uuid, text, timestamptz) is
  'Tells that a trial is about to end, once, whether time or a payment provider says so first.';
revoke all on function credits.announce_ending_trial(uuid, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.forget_messages(p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_before timestamptz := clock_timestamp() - (select s.message_retention from credits.settings s);
  v_count bigint;
begin
  delete from credits.outbox o
  where (o.account_id, o.id) in (
    select f.account_id, f.id from credits.outbox f
    where f.routed_at < v_before and not exists (
      select 1 from credits.deliveries d
      where d.account_id = f.account_id and d.message_id = f.id
        and (d.state = 'waiting' and f.created_at >= v_before or d.settled_at >= v_before))
    limit p_limit for update skip locked);
  get diagnostics v_count = row_count;
  delete from credits.channels c
  where (c.account_id, c.channel) in (
    select f.account_id, f.channel from credits.channels f
    where f.kind = 'invitation' and not exists (
      select 1 from credits.deliveries d
      where d.account_id = f.account_id and d.channel = f.channel)
    limit p_limit for update skip locked);
  -- Where no worker runs, nothing is ever routed.
  delete from credits.outbox o
  where (o.account_id, o.id) in (
    select f.account_id, f.id from (
      select u.account_id, u.id, u.created_at from credits.outbox u
      where u.routed_at is null order by u.n limit p_limit) f
    where f.created_at < v_before);
  delete from public.credit_notifications n
  where (n.account_id, n.id) in (
    select f.account_id, f.id from public.credit_notifications f
    where f.created_at at time zone 'UTC' < v_before at time zone 'UTC' limit p_limit
      for update skip locked);
  return v_count;
end
$$;
comment on function credits.forget_messages(integer) is
  'Deletes messages that were delivered or given up, or that nobody came for, and notifications, '
  'once message_retention has passed; at most so many.';
revoke all on function credits.forget_messages(integer)
  from public, anon, authenticated, service_role;
