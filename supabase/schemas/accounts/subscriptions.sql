-- What an account has subscribed to is a list of events, each with the time at which it happened,
-- however late it was heard of. Sorted by that time they are folded
-- (calendar/fold_subscription.sql) into spells: from when on which plan, which status, which
-- periods. Everything else asks the spells. public.subscriptions shows the spell of this moment.

create table credits.subscriptions (
  account_id uuid not null constraint subscriptions_account_id_fkey
    references credits.accounts (account_id),
  user_id uuid,
  is_managed boolean not null default false,
  covered_until timestamptz,
  pinned_plan_id text,
  pinned_version integer,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint subscriptions_pkey primary key (account_id),
  constraint subscriptions_covered_ones_are_managed check (is_managed or covered_until is null),
  constraint subscriptions_pinned_plan_has_a_version
    check ((pinned_plan_id is null) = (pinned_version is null))
);
comment on table credits.subscriptions is
  'What holds for a subscription at all times. One row per account.';
comment on column credits.subscriptions.user_id is 'The person; null for a workspace.';
comment on column credits.subscriptions.is_managed is
  'A payment provider says which periods are paid: covered_until. Of others a status of active '
  'says it.';
comment on column credits.subscriptions.covered_until is
  'Paid up to here. One period beyond it is granted provisionally, no more.';
comment on column credits.subscriptions.pinned_version is
  'The version of pinned_plan_id that the account keeps.';
alter table credits.subscriptions enable row level security;
revoke all on table credits.subscriptions from public, anon, authenticated, service_role;
grant select on table credits.subscriptions to authenticated, service_role;
create policy "Users may read what they subscribed to" on credits.subscriptions
  for select to authenticated using (account_id = any (credits.readable_ids()));

create table credits.subscription_events (
  account_id uuid not null constraint subscription_events_account_id_fkey
    references credits.accounts (account_id),
  n bigint not null,
  kind text not null,
  happened_at timestamptz not null,
  recorded_at timestamptz not null,
  plan_id text,
  plan_version integer,
  quantity integer,
  at_period_end boolean,
  status text,
  ends_at timestamptz,
  keeps_paid boolean,
  time_zone text,
  constraint subscription_events_pkey primary key (account_id, n),
  constraint subscription_events_kind_is_known
    check (kind in ('opened', 'plan', 'version', 'status', 'time_zone', 'period')),
  constraint subscription_events_happened_at_some_time
    check (isfinite(happened_at) and isfinite(ends_at)),
  constraint subscription_events_plans_have_a_name
    check ((kind in ('opened', 'plan', 'version')) = (plan_id is not null)),
  constraint subscription_events_plans_come_now_or_at_the_end
    check ((kind = 'plan') = (at_period_end is not null)),
  constraint subscription_events_have_a_status check ((kind = 'status') = (status is not null)),
  constraint subscription_events_status_is_known
    check (status in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'canceled')),
  constraint subscription_events_trials_end
    check (case when status = 'trialing' then ends_at > happened_at else ends_at is null
      or status = 'canceled' end),
  constraint subscription_events_cancellations_say_what_is_kept
    check ((status = 'canceled') is not true or keeps_paid is not null),
  constraint subscription_events_zones_have_a_name
    check ((kind = 'time_zone') = (time_zone is not null)),
  constraint subscription_events_quantity_is_seats check (quantity between 1 and 1000000)
);
comment on table credits.subscription_events is
  'All that happened to a subscription. Rows are added, never changed; their order is '
  'happened_at, then n.';
comment on column credits.subscription_events.happened_at is
  'When it happened, in the account''s time.';
comment on column credits.subscription_events.recorded_at is
  'When it was heard of, in the account''s time.';
comment on column credits.subscription_events.ends_at is
  'End of a trial, or when a cancellation takes effect.';
alter table credits.subscription_events enable row level security;
revoke all on table credits.subscription_events from public, anon, authenticated, service_role;

create table credits.subscription_spells (
  account_id uuid not null constraint subscription_spells_account_id_fkey
    references credits.accounts (account_id),
  revision bigint not null,
  n integer not null,
  event_n bigint not null,
  started_at timestamptz not null,
  plan_id text not null,
  plan_version integer,
  versioned_at timestamptz,
  is_paid boolean not null,
  is_default boolean not null,
  quantity integer not null,
  status text not null,
  is_frozen boolean not null,
  is_earning boolean not null,
  forfeited_at timestamptz,
  is_whole boolean not null,
  is_given_back boolean not null,
  anchor_at timestamptz not null,
  anchored_by integer not null,
  anchored_from timestamptz not null,
  time_zone text not null,
  past_due_since timestamptz,
  grace_ends_at timestamptz,
  paused_since timestamptz,
  trial_ends_at timestamptz,
  pending_plan_id text,
  pending_at timestamptz,
  replaced_at timestamptz,
  constraint subscription_spells_pkey primary key (account_id, revision, n),
  constraint subscription_spells_status_is_known
    check (status in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'canceled')),
  constraint subscription_spells_trials_end
    check ((status = 'trialing') = (trial_ends_at is not null)),
  constraint subscription_spells_paused_ones_are_frozen_since_then
    check (status <> 'paused' or is_frozen and paused_since is not null),
  constraint subscription_spells_owing_ones_owe_since_then
    check (status not in ('past_due', 'unpaid') or past_due_since is not null),
  constraint subscription_spells_owing_ones_have_a_grace
    check ((past_due_since is null) = (grace_ends_at is null)),
  constraint subscription_spells_frozen_for_a_reason
    check (not is_frozen or paused_since is not null or past_due_since is not null),
  constraint subscription_spells_frozen_ones_earn_nothing check (not (is_frozen and is_earning)
    or replaced_at is not null
    or past_due_since is not null or paused_since is not null),
  constraint subscription_spells_pending_plan_has_a_time
    check ((pending_plan_id is null) = (pending_at is null))
);
create unique index subscription_spells_n_key on credits.subscription_spells (account_id, n)
  where replaced_at is null;
create index subscription_spells_started_at_idx on credits.subscription_spells (account_id,
  started_at, n)
  where replaced_at is null;
create index subscription_spells_plan_id_idx on credits.subscription_spells (plan_id)
  where replaced_at is null;
comment on table credits.subscription_spells is
  'The events of a subscription, folded: each row holds from started_at until the next row''s. '
  'What later news replaced is kept.';
comment on column credits.subscription_spells.event_n is
  'The event that it began with, or the last one before time alone began it.';
comment on column credits.subscription_spells.versioned_at is
  'From when on plan_version counts, until the end of that period; then the newest version does.';
comment on column credits.subscription_spells.is_paid is
  'Whether the plan had a price when the account came to it.';
comment on column credits.subscription_spells.is_default is
  'Whether the plan was the default one when the account came to it: its allowance belongs to the '
  'person.';
comment on column credits.subscription_spells.grace_ends_at is
  'Until when what is owed for stays spendable, by the grace that the plan had when it came to be '
  'owed.';
comment on column credits.subscription_spells.is_earning is
  'Whether the plan''s allowance comes due in this spell.';
comment on column credits.subscription_spells.forfeited_at is
  'From when on it does not count any more: the account left without having paid for the period, '
  'or to leave nothing.';
comment on column credits.subscription_spells.is_whole is
  'Its allowance counts in full, not for the share of the period left: what is due to an account '
  'that left without paying.';
comment on column credits.subscription_spells.is_given_back is
  'It was cut short, and the provider gave back what was paid for the rest of its period: what was '
  'spent beyond the time that it ran counts in the next one.';
comment on column credits.subscription_spells.anchored_by is
  'Which anchor this is, counted from 1: each one starts a new period.';
comment on column credits.subscription_spells.anchored_from is
  'The first instant whose periods follow this anchor and zone.';
alter table credits.subscription_spells enable row level security;
revoke all on table credits.subscription_spells from public, anon, authenticated, service_role;

create function credits.refuse_event_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  raise exception 'what happened to a subscription is never changed'
    using errcode = 'object_not_in_prerequisite_state',
      hint = 'Record what happened since, with its time.';
end
$$;
comment on function credits.refuse_event_change() is
  'Keeps the events of subscriptions as they were recorded.';
revoke all on function credits.refuse_event_change() from public, anon, authenticated, service_role;
create trigger subscription_events_are_kept before update or delete
  or truncate on credits.subscription_events
  for each statement execute function credits.refuse_event_change();

create function credits.plan_is_used()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'TRUNCATE' then
    raise exception 'plans are deleted one by one'
      using errcode = 'foreign_key_violation',
        hint = 'Delete from plans those without subscribers.';
  end if;
  -- The row is locked by now: a subscriber that was on the way in has arrived, or finds no plan.
  if exists (
    select 1 from credits.subscription_spells s
    where s.replaced_at is null and old.id in (s.plan_id, s.pending_plan_id)
      and not exists (
        select 1 from credits.subscription_spells n
        where n.account_id = s.account_id and n.n = s.n + 1 and n.replaced_at is null
          and n.started_at <= coalesce(
            (select a.test_now from credits.accounts a where a.account_id = s.account_id),
              clock_timestamp()))) then
    raise exception 'the plan % has subscribers', old.id
      using errcode = 'foreign_key_violation', hint = 'Move them with change_plan first.';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end
$$;
comment on function credits.plan_is_used() is
  'Keeps a plan that accounts are on. A trigger instead of a foreign key: keys of an account''s '
  'tables never leave the account.';
revoke all on function credits.plan_is_used() from public, anon, authenticated, service_role;
create trigger plans_keep_subscribed before delete on public.plans
  for each row execute function credits.plan_is_used();
create trigger plans_keep_subscribed_id before update of id on public.plans
  for each row when (old.id <> new.id) execute function credits.plan_is_used();
create trigger plans_are_not_truncated before truncate on public.plans
  for each statement execute function credits.plan_is_used();
