-- Which plan an account was on when. The metrics ask it of every spend; nothing else reads it.

create table credits.plan_changes (
  account_id uuid not null constraint plan_changes_account_id_fkey references credits.accounts (account_id),
  version bigint not null,
  changed_at timestamptz not null,
  from_plan text,
  to_plan text not null,
  constraint plan_changes_pkey primary key (account_id, version)
);
comment on table credits.plan_changes is 'Every plan that an account has been on, in order. Rows are added, never changed.';
comment on column credits.plan_changes.version is '1, 2, 3 … per account; of two changes at one instant the later counts.';
comment on column credits.plan_changes.changed_at is 'When the plan became effective, in the account''s time: for a change at the period''s end that end, whenever it was booked.';
comment on column credits.plan_changes.from_plan is 'Null for the plan that the account was opened on.';
alter table credits.plan_changes enable row level security;
revoke all on table credits.plan_changes from public, anon, authenticated, service_role;

create function credits.record_plan_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_at timestamptz;
  -- The account's time: its balances hold a clock that steps back.
  v_now timestamptz := greatest(
    coalesce((select a.test_now from credits.accounts a where a.account_id = new.account_id), clock_timestamp()),
    (select max(b.settled_at) from credits.balances b where b.account_id = new.account_id));
begin
  if tg_op = 'INSERT' then
    v_at := new.created_at;
  elsif old.pending_at is not null and new.pending_at is null and new.plan_id = old.pending_plan_id then
    v_at := old.pending_at;
  end if;
  -- A pending plan that is taken early counts from now on.
  v_at := least(coalesce(v_at, 'infinity'), v_now);
  insert into credits.plan_changes (account_id, version, changed_at, from_plan, to_plan)
  select new.account_id, coalesce(max(c.version), 0) + 1, greatest(v_at, max(c.changed_at)),
    case when tg_op = 'UPDATE' then old.plan_id end, new.plan_id
  from credits.plan_changes c where c.account_id = new.account_id;
  return null;
end
$$;
comment on function credits.record_plan_change() is 'Writes down a plan that becomes effective, from wherever it comes.';
revoke all on function credits.record_plan_change() from public, anon, authenticated, service_role;
create trigger subscriptions_record_first_plan after insert on public.subscriptions
  for each row execute function credits.record_plan_change();
create trigger subscriptions_record_plan_change after update on public.subscriptions
  for each row when (old.plan_id <> new.plan_id) execute function credits.record_plan_change();

create view credits.plan_spells with (security_invoker = true) as
with due as (
  -- A plan whose time has come counts, booked or not.
  select s.account_id, s.pending_plan_id, s.pending_at
  from public.subscriptions s
  join credits.accounts a on a.account_id = s.account_id
  where s.pending_at is not null and s.pending_at <= coalesce(a.test_now, statement_timestamp())
)
select c.account_id, c.to_plan as plan_id, c.changed_at as started_at,
  coalesce(n.changed_at, d.pending_at, 'infinity') as ended_at, coalesce(n.to_plan, d.pending_plan_id) as next_plan
from credits.plan_changes c
-- "> 1" says nothing new but to the planner: that most accounts, with one plan, have no next row.
left join credits.plan_changes n on n.account_id = c.account_id and n.version = c.version + 1 and n.version > 1
left join due d on d.account_id = c.account_id and n.account_id is null
union all
select d.account_id, d.pending_plan_id, d.pending_at, 'infinity', null from due d;
comment on view credits.plan_spells is 'From when until when, half-open, an account was on a plan, and which one followed.';
revoke all on table credits.plan_spells from public, anon, authenticated, service_role;
