-- A budget limits what some of the people, or agents, on one account may spend of a credit type in
-- a window. Budgets make a tree: the workspace, a role, a member, a key of metadata. All that apply
-- to a spend must have room for it.
--
-- What a budget has counted is worked out from the ledger once per window, and from then on kept up
-- under the lock of the balance. Live holds count as well, and are added where they are asked for:
-- time ends them, not a job.

create table public.credit_budgets (
  account_id uuid not null constraint credit_budgets_account_id_fkey
    references credits.accounts (account_id),
  id uuid not null default gen_random_uuid(),
  credit_type text not null,
  scope text not null,
  scope_value text,
  window_kind text not null,
  hours integer,
  credit_limit bigint not null,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint credit_budgets_pkey primary key (account_id, id),
  constraint credit_budgets_spot_key unique nulls not distinct
    (account_id, credit_type, window_kind, hours, scope, scope_value),
  constraint credit_budgets_scope_is_known
    check (scope in ('workspace', 'role', 'member', 'metadata')),
  constraint credit_budgets_window_is_known check (
    window_kind in ('draw', 'rolling', 'day', 'week', 'month', 'period', 'in_flight')),
  constraint credit_budgets_rolling_has_hours
    check ((window_kind = 'rolling') = (hours is not null) and hours > 0),
  constraint credit_budgets_limit_is_not_negative check (credit_limit >= 0)
);
comment on table public.credit_budgets is
  'How much may be spent of an account by whom and in which window. Members of a workspace read '
  'them.';
comment on column public.credit_budgets.scope is
  'workspace: everybody. role: who has this role now, together. member: one member, or without a '
  'value each one separately. metadata: spends whose metadata has this key with this value.';
comment on column public.credit_budgets.scope_value is
  'A role, the id of a member, or key=value, such as actor=bob.';
comment on column public.credit_budgets.window_kind is
  'draw: one spend. rolling: the last so many hours. day, week (from Monday), month: on the wall '
  'clock of the account. period: the billing period. in_flight: what live holds have pinned.';
comment on column public.credit_budgets.user_id is 'Who set it last.';
alter table public.credit_budgets enable row level security;
revoke all on table public.credit_budgets from public, anon, authenticated, service_role;
grant select on table public.credit_budgets to authenticated, service_role;
create policy "People may read the budgets of their accounts" on public.credit_budgets
  for select to authenticated using (account_id = any (credits.readable_ids()));

create table credits.budget_uses (
  account_id uuid not null,
  budget_id uuid not null,
  user_id uuid not null,
  credit_type text not null,
  credit_limit bigint not null,
  is_of_period boolean not null,
  used bigint not null,
  window_start timestamptz not null,
  window_end timestamptz not null,
  tail bigint not null default 0,
  constraint budget_uses_pkey primary key (account_id, user_id, budget_id),
  constraint budget_uses_budget_fkey foreign key (account_id, budget_id)
    references public.credit_budgets (account_id, id) on delete cascade
) with (fillfactor = 50);
comment on table credits.budget_uses is
  'What a budget has counted in its window. A row that is missing, or whose window is over, is '
  'worked out anew from the ledger.';
comment on column credits.budget_uses.user_id is
  'The member, for a budget of each member; else the account itself.';
comment on column credits.budget_uses.credit_limit is
  'Copy of the budget''s, as credit_type and is_of_period are: a spend needs no second row.';
comment on column credits.budget_uses.used is
  'Spent less refunded by what was booked from window_start on, before window_end.';
comment on column credits.budget_uses.tail is
  'For rolling hours: the version of the ledger up to which rows have left the window.';
create index budget_uses_budget_idx on credits.budget_uses (account_id, budget_id);
alter table credits.budget_uses enable row level security;
revoke all on table credits.budget_uses from public, anon, authenticated, service_role;

create type credits.budget_state as (
  budget_id uuid,
  scope text,
  scope_value text,
  window_kind text,
  hours integer,
  credit_limit bigint,
  user_id uuid,
  used bigint,
  held bigint,
  window_start timestamptz,
  window_end timestamptz,
  tail bigint
);
comment on type credits.budget_state is
  'A budget that applies to somebody, and what it has counted at an instant.';
