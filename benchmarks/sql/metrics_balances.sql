insert into credits.balances (
  account_id, credit_type, user_id, kind, allowance, version, balance, used_since, period_start, period_end, due_at, settled_at)
select t.account_id, t.credit_type, t.account_id, 'credit', 100, max(t.version),
  (array_agg(t.balance_after order by t.version desc))[1], now(), now(), now() + interval '30 days',
  'infinity', max(t.created_at)
from public.credit_transactions t group by t.account_id, t.credit_type;

drop table public.made;
