-- Two budgets on each account, with room for whatever a run spends: one that all share, one of each member.
select count(public.set_credit_budget(md5(n::text)::uuid, null, 'message', 1000000000, 'month'))
from generate_series(1, :accounts) n;

select count(public.set_credit_budget(md5(n::text)::uuid, null, 'message', 1000000000, 'day', 'member'))
from generate_series(1, :accounts) n;

-- The first spend of a window asks the ledger what was spent in it.
select count(public.consume_credits(md5(n::text)::uuid, 'message')) from generate_series(1, :accounts) n
