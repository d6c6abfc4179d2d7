-- Times follow the order of insertion closely, so a summary per block range finds an hour of the
-- ledger for next to nothing.
create index credit_transactions_created_at_idx on public.credit_transactions
  using brin (created_at)
  with (pages_per_range = 32, autosummarize = on);
create index usage_denied_idx on public.usage (created_at) include (account_id, credit_type)
  where status = 'denied';
comment on index public.usage_denied_idx is 'Added by the credit system.';

create view credits.ledger_facts with (security_invoker = true) as
select t.account_id, t.credit_type, t.version, t.created_at, t.amount, t.user_id, t.metadata,
  case when t.grant_id is null then 'unlimited' else g.source end as source,
  (select s.plan_id from credits.subscription_spells s
    where s.account_id = t.account_id and s.replaced_at is null and s.started_at <= t.created_at
    order by s.started_at desc, s.n desc limit 1) as plan_id,
  case t.kind
    when 'grant' then 'granted'
    when 'refund' then 'refunded'
    when 'expire' then case when t.description = 'above the allowance' then 'returned'
      else 'expired' end
    when 'void' then 'voided'
    else 'spent' end as flow,
  case when t.kind in ('consume', 'capture') then -t.amount else 0 end as spent,
  -- The rows of one operation follow each other; its first one counts it.
  case when exists (
    select 1 from public.credit_transactions p
    where p.account_id = t.account_id and p.credit_type = t.credit_type
      and p.version = t.version - 1
      and p.operation_id = t.operation_id) then 0 else 1 end as operations
from public.credit_transactions t
-- Each row has one, but for unlimited ones. A left join leaves it alone where a reader asks for
-- nothing of it.
left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id;
comment on view credits.ledger_facts is
  'The ledger as the metrics see it: each row with the plan of its time, the source of its grant '
  '(unlimited for a row of none), and where its credits went.';
comment on column credits.ledger_facts.flow is
  'granted, spent, refunded, expired, voided, or returned (taken back from a limit, nobody''s '
  'loss).';
comment on column credits.ledger_facts.spent is
  'The credits of a row whose flow is spent, 0 of any other: told without looking at its grant.';
revoke all on table credits.ledger_facts from public, anon, authenticated, service_role;
