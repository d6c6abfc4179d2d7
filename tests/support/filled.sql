-- A thousand persons and two hundred workspaces, each with a hundred spends: what a reader must not have to read.
set local session_replication_role = replica;
set local synchronous_commit = off;

create temporary table people on commit drop as
select gen_random_uuid() as id, n, false as is_workspace from generate_series(1, 1000) n
union all
select gen_random_uuid(), n, true from generate_series(1, 200) n;

insert into credits.accounts (account_id, kind)
select p.id, case when p.is_workspace then 'workspace' else 'person' end from people p;
insert into public.credit_workspaces (account_id, name)
select p.id, 'Team ' || p.n from people p where p.is_workspace;
-- The first person is in no workspace, the second owns one, the third owns 39, the fourth is a member of 39.
insert into public.credit_workspace_members (account_id, user_id, role)
select w.id, p.id, case when p.n = 4 then 'member' else 'owner' end
from people w
join people p on not p.is_workspace
  and ((p.n = 2 and w.n = 1) or (p.n in (3, 4) and w.n between 2 and 40) or (p.n > 4 and p.n % 200 = w.n % 200))
where w.is_workspace;

insert into credits.subscriptions (account_id, user_id)
select p.id, case when not p.is_workspace then p.id end from people p;
insert into credits.subscription_events (account_id, n, kind, happened_at, recorded_at, plan_id, plan_version)
select p.id, 1, 'opened', now(), now(), 'free', 1 from people p;
insert into credits.subscription_spells (
  account_id, revision, n, event_n, started_at, plan_id, plan_version, versioned_at, is_paid, is_default, quantity, status, is_frozen, is_earning, is_whole, is_given_back,
  anchor_at, anchored_by, anchored_from, time_zone)
select p.id, 1, 1, 1, now(), 'free', 1, now(), false, true, 1, 'active', false, true, false, false, now(), 1, now(), 'UTC' from people p;
insert into credits.balances (account_id, credit_type, user_id, kind, used_since, settled_at, due_at, version)
select p.id, t.id, case when not p.is_workspace then p.id end, t.kind, now(), now(), 'infinity', 100
from people p cross join credits.credit_types t;
insert into public.credit_grants (
  account_id, credit_type, source, priority, amount, remaining, spent, starts_at, expires_at, created_at)
select p.id, t.id, 'promotion', 20, 1000, 1000 - (g % 2) * 1000, (g % 2) * 1000, now(), now() + interval '1 year', now()
from people p cross join credits.credit_types t cross join generate_series(1, 10) g;

create temporary table spends on commit drop as
select p.id as account_id, s as n, gen_random_uuid() as operation_id,
  case when not p.is_workspace then p.id else coalesce(
    -- Every tenth spend of a workspace is its fourth person's, where that is a member.
    (select m.user_id from public.credit_workspace_members m
     where m.account_id = p.id and (m.role = 'member') = (s % 10 = 0) order by m.user_id limit 1), p.id) end as user_id,
  (array['message', 'integration'])[1 + s % 2] as credit_type,
  now() - s * interval '1 hour' - p.n * interval '1 second' as created_at
from people p cross join generate_series(1, 100) s;

insert into public.credit_transactions (
  account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, related_operation_id,
  created_at)
select s.account_id, s.credit_type, 101 - s.n, s.operation_id, gen_random_uuid(), s.user_id, 'consume', -1, 1000,
  case when s.n % 20 = 0 then s.operation_id end, s.created_at
from spends s order by s.created_at;
insert into public.usage (account_id, user_id, credit_type, credits_used, status, operation_id, created_at)
select s.account_id, s.user_id, s.credit_type, 1, case when s.n % 10 < 8 then 'allowed' else 'denied' end,
  s.operation_id, s.created_at
from spends s order by s.created_at;
insert into public.credit_reservations (
  account_id, credit_type, operation_id, user_id, status, amount, released, created_at, expires_at, closed_at)
select s.account_id, s.credit_type, s.operation_id, s.user_id, case when s.n % 2 = 0 then 'open' else 'released' end, 1,
  s.n % 2, s.created_at, s.created_at + interval '1 hour', case when s.n % 2 = 1 then s.created_at end
from spends s where s.n <= 20 order by s.created_at;

insert into public.credit_notifications (account_id, user_id, kind, data, created_at)
select s.account_id, s.user_id, 'credits.level', '{"level": 50}', s.created_at
from spends s where s.n <= 20 order by s.created_at;
insert into public.credit_webhooks (account_id, url, created_at)
select p.id, 'https://example.com/' || e, now() - p.n * interval '1 minute' from people p cross join generate_series(1, 5) e;
insert into public.credit_invitations (account_id, email, role, user_id, created_at, expires_at)
select p.id, format('guest-%s@example.com', e), 'member', p.id, now() - e * interval '1 minute', now() + interval '1 week'
from people p cross join generate_series(1, 20) e where p.is_workspace;
insert into public.credit_budgets (account_id, credit_type, scope, scope_value, window_kind, credit_limit, user_id)
select p.id, 'message', 'metadata', 'actor=' || e, 'day', 100, p.id from people p cross join generate_series(1, 5) e;
