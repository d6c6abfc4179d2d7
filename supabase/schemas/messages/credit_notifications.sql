create table public.credit_notifications (
  account_id uuid not null,
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  kind text not null,
  data jsonb not null,
  created_at timestamptz not null,
  read_at timestamptz,
  constraint credit_notifications_pkey primary key (account_id, id),
  constraint credit_notifications_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
create index credit_notifications_user_id_created_at_idx
  on public.credit_notifications (user_id, created_at);
-- For retention alone. By the plain time a reader's filter would take it, and read everybody's
-- rows.
create index credit_notifications_created_at_idx
  on public.credit_notifications ((created_at at time zone 'UTC'));
comment on table public.credit_notifications is
  'What people are told in the app: one row per message and person. Written with what it tells of.';
comment on column public.credit_notifications.user_id is 'Who is told.';
comment on column public.credit_notifications.read_at is 'When the person has read it.';
alter table public.credit_notifications enable row level security;
revoke all on table public.credit_notifications from public, anon, authenticated, service_role;
grant select on table public.credit_notifications to authenticated, service_role;
create policy "People may read their notifications" on public.credit_notifications
  for select to authenticated using (
    account_id = any (credits.readable_ids()) and user_id = credits.reader_id());
