create table public.subscriptions (
  account_id uuid not null constraint subscriptions_account_id_fkey references credits.accounts (account_id),
  user_id uuid,
  plan_id text not null,
  status text not null default 'active',
  anchor_at timestamptz not null,
  time_zone text not null default 'UTC',
  pending_plan_id text,
  pending_at timestamptz,
  past_due_since timestamptz,
  left_paid_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint subscriptions_pkey primary key (account_id),
  constraint subscriptions_status_is_known check (status in ('active', 'trialing', 'past_due', 'canceled')),
  constraint subscriptions_pending_plan_has_a_time check ((pending_plan_id is null) = (pending_at is null)),
  constraint subscriptions_past_due_has_a_start check ((status = 'past_due') = (past_due_since is not null))
);
comment on table public.subscriptions is
  'Which plan an account is on. One row per account. A pending plan counts from pending_at on, booked or not.';
comment on column public.subscriptions.user_id is 'The person; null for a workspace.';
comment on column public.subscriptions.anchor_at is 'Periods end n whole months after this instant, in time_zone.';
comment on column public.subscriptions.pending_plan_id is 'The plan that follows at pending_at: a downgrade or a cancellation at the period''s end.';
comment on column public.subscriptions.past_due_since is 'No new allowance from here on; after the plan''s grace its plan credits are frozen and the default plan''s limits apply.';
comment on column public.subscriptions.left_paid_at is 'When a paid plan was last left at once, so that coming back within the period grants nothing twice.';
create index subscriptions_pending_at_idx on public.subscriptions (pending_at) where pending_at is not null;
alter table public.subscriptions enable row level security;
revoke all on table public.subscriptions from public, anon, authenticated, service_role;
grant select on table public.subscriptions to authenticated, service_role;
create policy "Users may read their subscription" on public.subscriptions
  for select to authenticated using (account_id = any (credits.readable_ids()));

create function credits.plan_is_used()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if exists (select from public.subscriptions s where old.id in (s.plan_id, s.pending_plan_id)) then
    raise exception 'the plan % has subscribers', old.id
      using errcode = 'foreign_key_violation', hint = 'Move them with change_plan first.';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end
$$;
comment on function credits.plan_is_used() is
  'Keeps a plan that somebody is on. A trigger instead of a foreign key: keys of an account''s tables never leave the account.';
revoke all on function credits.plan_is_used() from public, anon, authenticated, service_role;
create trigger plans_keep_subscribed before delete on public.plans
  for each row execute function credits.plan_is_used();
create trigger plans_keep_subscribed_id before update of id on public.plans
  for each row when (old.id <> new.id) execute function credits.plan_is_used();
