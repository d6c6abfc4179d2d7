-- Messages out. What happens to an account is announced in the transaction in which it happens
-- (credits.announce): a row of the outbox, and a notification for each of its people. A rollback
-- takes both back. A worker routes the outbox to channels (credits.route_messages), and each
-- channel of an account delivers its messages in their order, whatever becomes of the others.

create table credits.message_kinds (
  id text not null,
  is_essential boolean not null default false,
  is_mailed boolean not null default true,
  constraint message_kinds_pkey primary key (id)
);
comment on table credits.message_kinds is 'What can be announced. The same list on every machine.';
comment on column credits.message_kinds.is_essential is
  'Mailed whatever the person has turned off, and without an unsubscribe link.';
comment on column credits.message_kinds.is_mailed is
  'Mailed unless the person has turned it off. Others are shown in the app and sent to webhooks.';
alter table credits.message_kinds enable row level security;
revoke all on table credits.message_kinds from public, anon, authenticated, service_role;
insert into credits.message_kinds (id, is_essential, is_mailed) values
  ('credits.level', false, true),
  ('credits.recovered', false, false),
  ('credits.renewed', false, false),
  ('credits.expiring', false, true),
  ('top_up.bought', false, true),
  ('top_up.stopped', false, true),
  ('payment.failed', true, true),
  ('plan.changed', true, true),
  ('trial.ending', false, true),
  ('hold.expired', false, false),
  ('budget.reached', false, true);

create table credits.outbox (
  account_id uuid not null,
  id uuid not null default gen_random_uuid(),
  n bigint generated always as identity,
  kind text not null,
  credit_type text,
  user_id uuid,
  data jsonb not null,
  once_key text,
  created_at timestamptz not null,
  routed_at timestamptz,
  constraint outbox_pkey primary key (account_id, id),
  constraint outbox_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
create unique index outbox_account_id_once_key_key on credits.outbox (account_id, once_key)
  where once_key is not null;
create index outbox_waiting_idx on credits.outbox (n) where routed_at is null;
create index outbox_routed_at_idx on credits.outbox (routed_at) where routed_at is not null;
comment on table credits.outbox is
  'What is to be told about an account, written in the transaction in which it happened.';
comment on column credits.outbox.n is
  'In which order messages of one account were written. Messages about one credit type commit in '
  'this order, for their balance is locked.';
comment on column credits.outbox.user_id is 'Who acted, where a person did.';
comment on column credits.outbox.once_key is 'What is announced under one key is announced once.';
comment on column credits.outbox.routed_at is 'When a worker gave it to the account''s channels.';
alter table credits.outbox enable row level security;
revoke all on table credits.outbox from public, anon, authenticated, service_role;
