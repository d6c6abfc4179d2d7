-- Adds spends of one credit until the ledger has :rows rows, the first account a fifth of them, the others alike. What is
-- added agrees with grants, balances and usage, so that verify_books holds. Indexes are made anew: faster than by row.
alter table public.usage drop constraint usage_pkey;

drop index public.usage_user_id_created_at_idx, public.credit_transactions_operation_idx, public.credit_transactions_related_idx;

create unlogged table if not exists public.history (
  account_id uuid, grant_id uuid, operation_id uuid, version bigint, balance_after bigint, created_at timestamptz);

insert into public.history
with missing as (
  select greatest(0, :rows - count(*)) as total from public.credit_transactions
), accounts as (
  select b.account_id, b.version, b.balance, b.settled_at, g.id as grant_id,
    case when b.account_id = md5('1')::uuid then m.total / 5 else (m.total - m.total / 5) / (:accounts - 1) end as spends
  from missing m
  join credits.balances b on b.credit_type = 'message'
  join public.credit_grants g on g.account_id = b.account_id and g.credit_type = 'message' and g.source = 'plan'
)
select a.account_id, a.grant_id, gen_random_uuid(), a.version + n, a.balance - n, a.settled_at
from accounts a cross join generate_series(1, a.spends) n;

insert into public.credit_transactions (
  account_id, credit_type, version, operation_id, grant_id, user_id, kind, amount, balance_after, description, created_at)
select h.account_id, 'message', h.version, h.operation_id, h.grant_id, h.account_id, 'consume', -1, h.balance_after, 'bench',
  h.created_at
from public.history h;

insert into public.usage (account_id, user_id, credit_type, credits_used, status, description, operation_id, created_at)
select h.account_id, h.account_id, 'message', 1, 'allowed', 'bench', h.operation_id, h.created_at from public.history h;

update public.credit_grants g set remaining = g.remaining - s.spent, spent = g.spent + s.spent
from (select h.account_id, h.grant_id, count(*) as spent from public.history h group by h.account_id, h.grant_id) s
where g.account_id = s.account_id and g.id = s.grant_id;

update credits.balances b set version = b.version + s.spent, balance = b.balance - s.spent, used = b.used + s.spent
from (select h.account_id, count(*) as spent from public.history h group by h.account_id) s
where b.account_id = s.account_id and b.credit_type = 'message';

drop table public.history;

create index credit_transactions_operation_idx on public.credit_transactions (account_id, operation_id);

create index credit_transactions_related_idx on public.credit_transactions (account_id, related_operation_id)
  where related_operation_id is not null;

alter table public.usage add constraint usage_pkey primary key (account_id, created_at, id);

create index usage_user_id_created_at_idx on public.usage (user_id, created_at);

vacuum analyze public.credit_grants, public.credit_transactions, public.usage, credits.balances
