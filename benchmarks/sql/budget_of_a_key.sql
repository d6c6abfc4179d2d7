-- A third one, of a key of metadata that no spend of the benchmark has: now it is asked which ones apply.
select count(public.set_credit_budget(md5(n::text)::uuid, null, 'message', 1000000000, 'month', 'metadata', 'actor=bob'))
from generate_series(1, :accounts) n
