-- Accounts that signed up over thirteen months; four in ten moved to a paid plan ten days later.
create table public.made as
select n, md5('account ' || n)::uuid as account_id, (n % 13)::integer as first_month,
  date_trunc('day', now()) - interval '420 days' + (n % 13) * interval '30 days' + (n * 7919 % 2592000) * interval '1 second' as opened_at,
  (array['free', 'free', 'free', 'free', 'free', 'free', 'starter', 'starter', 'builder', 'pro'])[1 + n % 10] as plan_id
from generate_series(1::bigint, :accounts) n;

insert into credits.accounts (account_id, kind, created_at) select account_id, 'person', opened_at from public.made;

insert into public.subscriptions (account_id, user_id, plan_id, anchor_at, created_at)
select account_id, account_id, 'free', opened_at, opened_at from public.made;

update public.subscriptions s set plan_id = m.plan_id from public.made m
where m.account_id = s.account_id and m.plan_id <> 'free';

update credits.plan_changes c set changed_at = m.opened_at + interval '10 days' from public.made m
where m.account_id = c.account_id and c.version = 2;
