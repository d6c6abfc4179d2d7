-- A month of each account and type: the allowance, six spends, and the expiry of what is left, in the order of time.
-- Every seventh account-period spends everything and meets three denials.
insert into public.credit_grants (
  account_id, id, credit_type, source, priority, amount, remaining, spent, lapsed, starts_at, expires_at, period_start, plan_id, created_at)
select m.account_id, md5(m.account_id || t.id || :month)::uuid, t.id, 'plan', 30, t.amount,
  case when :month = 12 and (m.n + :month) % 7 > 0 then t.amount * 4 / 10 else 0 end,
  case when (m.n + :month) % 7 = 0 then t.amount else t.amount * 6 / 10 end,
  case when :month < 12 and (m.n + :month) % 7 > 0 then t.amount * 4 / 10 else 0 end,
  p.at, case when :month < 12 then p.at + interval '30 days' end, p.at, m.plan_id, p.at
from public.made m
cross join (values ('message', 100), ('integration', 2000)) t(id, amount)
cross join lateral (select m.opened_at + (:month - m.first_month) * interval '30 days' as at) p
where m.first_month <= :month;

insert into public.credit_transactions (
  account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, metadata, created_at)
select m.account_id, t.id, (:month - m.first_month) * 8 + k.nth, gen_random_uuid(), md5(m.account_id || t.id || :month)::uuid,
  m.account_id,
  case k.nth when 1 then 'grant' when 8 then 'expire' else 'consume' end::credits.entry_kind,
  case k.nth when 1 then t.amount when 8 then -t.amount * 4 / 10 else -t.amount * s.tenths[k.nth - 1] / 10 end,
  t.amount - t.amount * (select coalesce(sum(x), 0) from unnest(s.tenths[1:least(k.nth, 7) - 1]) x) / 10
    - case when k.nth = 8 then t.amount * 4 / 10 else 0 end,
  case when k.nth between 2 and 7 then jsonb_build_object('model', (array['small', 'large', 'vision'])[1 + (m.n + k.nth) % 3]) else '{}' end,
  m.opened_at + (:month - m.first_month) * interval '30 days'
    + (k.nth - 1) * interval '4 days' + (m.n * k.nth * 104729 % 86400) * interval '1 second'
from public.made m
cross join (values ('message', 100), ('integration', 2000)) t(id, amount)
cross join generate_series(1, 8) k(nth)
cross join lateral (
  select case when (m.n + :month) % 7 = 0 then array[2, 2, 2, 2, 1, 1] else array[1, 1, 1, 1, 1, 1] end as tenths) s
where m.first_month <= :month and (k.nth < 8 or (m.n + :month) % 7 > 0 and :month < 12)
order by 11;

insert into public.usage (account_id, user_id, credit_type, credits_used, status, operation_id, created_at)
select m.account_id, m.account_id, t.id, 0, 'denied', gen_random_uuid(),
  m.opened_at + (:month - m.first_month) * interval '30 days' + (25 + d.nth) * interval '1 day'
from public.made m
cross join (values ('message'), ('integration')) t(id)
cross join generate_series(1, 3) d(nth)
where m.first_month <= :month and (m.n + :month) % 7 = 0
order by 7;
