-- Which plan an account was on when. The metrics ask it of every spend.
create view credits.plan_spells with (security_invoker = true) as
with known as (
  -- What lies in the future of an account has not happened: it is on its plan still.
  select s.account_id, s.n, s.started_at, s.plan_id,
    lag(s.plan_id) over (partition by s.account_id order by s.n) as before
  from credits.subscription_spells s
  join credits.accounts a on a.account_id = s.account_id
  where s.replaced_at is null
    and s.started_at <= greatest(coalesce(a.test_now, statement_timestamp()), (
    select max(b.settled_at) from credits.balances b where b.account_id = s.account_id))
)
select k.account_id, k.plan_id, k.started_at,
  lead(k.started_at, 1, 'infinity') over later as ended_at, lead(k.plan_id) over later as next_plan
from known k
where k.plan_id is distinct from k.before
window later as (partition by k.account_id order by k.n);
comment on view credits.plan_spells is
  'From when until when, half-open, an account was on a plan, and which one followed.';
revoke all on table credits.plan_spells from public, anon, authenticated, service_role;
