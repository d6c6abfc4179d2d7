-- Accounts that signed up over thirteen months; four in ten moved to a paid plan ten days later.
create table public.made as
select n, md5('account ' || n)::uuid as account_id, (n % 13)::integer as first_month,
  date_trunc('day', now()) - interval '420 days' + (n % 13) * interval '30 days' + (n * 7919 % 2592000) * interval '1 second' as opened_at,
  (array['free', 'free', 'free', 'free', 'free', 'free', 'starter', 'starter', 'builder', 'pro'])[1 + n % 10] as plan_id
from generate_series(1::bigint, :accounts) n;

insert into credits.accounts (account_id, kind, created_at) select account_id, 'person', opened_at from public.made;

insert into credits.subscriptions (account_id, user_id, created_at)
select account_id, account_id, opened_at from public.made;

insert into credits.subscription_events (account_id, n, kind, happened_at, recorded_at, plan_id, plan_version)
select account_id, 1, 'opened', opened_at, opened_at, 'free', 1 from public.made;

insert into credits.subscription_events (account_id, n, kind, happened_at, recorded_at, plan_id, plan_version, at_period_end)
select account_id, 2, 'plan', opened_at + interval '10 days', opened_at + interval '10 days', plan_id, 1, false
from public.made where plan_id <> 'free';

select count(credits.refold(account_id, opened_at + interval '10 days')) from public.made;
