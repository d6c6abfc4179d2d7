create table credits.accounts (
  account_id uuid primary key,
  kind text not null,
  status text not null default 'active',
  is_test boolean not null default false,
  is_elsewhere boolean not null default false,
  free_credits text not null default 'own',
  test_now timestamptz,
  frozen_reason text,
  created_at timestamptz not null default now(),
  closed_at timestamptz,
  constraint accounts_kind_is_person_workspace_or_payer
    check (kind in ('person', 'workspace', 'payer')),
  constraint accounts_status_is_active_frozen_or_closed
    check (status in ('active', 'frozen', 'closed')),
  constraint accounts_free_credits_are_own_or_withheld_for_a_reason
    check (free_credits in ('own', 'anonymous', 'other_account')),
  constraint accounts_closed_has_a_time check ((status = 'closed') = (closed_at is not null)),
  constraint accounts_only_test_accounts_have_a_clock check (is_test or test_now is null)
);
create index accounts_closed_at_idx on credits.accounts (closed_at) where closed_at is not null;
comment on table credits.accounts is
  'Who owns credits: a person (account_id is the auth user''s id) or a workspace (account_id is '
  'the workspace''s id). Deleting the user closes the account and keeps its ledger.';
comment on column credits.accounts.is_elsewhere is
  'Opened by open_account for an id that has no row in auth.users here, and therefore not gone '
  'without one.';
comment on column credits.accounts.free_credits is
  'own: the default plan''s allowance is its own. Else why it has none: its person is anonymous, '
  'or has another open account.';
comment on column credits.accounts.test_now is
  'The time of a test account, moved by set_test_clock; null follows the real clock.';
alter table credits.accounts enable row level security;
revoke all on table credits.accounts from public, anon, authenticated, service_role;
