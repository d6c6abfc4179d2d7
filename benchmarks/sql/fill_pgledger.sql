-- Each pays to one of a hundred, so that the other side is no queue.
insert into public.pgledger_accounts (
  id, name, currency, balance, allow_negative_balance, allow_positive_balance, created_at, updated_at)
select 'pgla_' || upper(left(md5(n::text), 26)), 'account', 'USD', 1000000000, false, true, now(), now()
from generate_series(1, :accounts) n
union all
select 'pgla_' || upper(left(md5('sink' || n), 26)), 'sink', 'USD', 0, true, true, now(), now() from generate_series(1, 100) n
