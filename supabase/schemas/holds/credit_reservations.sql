create table public.credit_reservations (
  account_id uuid not null,
  id uuid not null default gen_random_uuid(),
  credit_type text not null,
  operation_id uuid not null,
  user_id uuid not null,
  status text not null default 'open',
  amount bigint not null,
  captured bigint not null default 0,
  released bigint not null default 0,
  extra bigint not null default 0,
  unlimited bigint not null default 0,
  unlimited_captured bigint not null default 0,
  shortfall bigint not null default 0,
  description text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  expires_at timestamptz not null,
  extended_at timestamptz,
  closed_at timestamptz,
  close_reason text,
  answer jsonb,
  constraint credit_reservations_pkey primary key (account_id, id),
  constraint credit_reservations_captured_and_returned_is_what_was_held
    check (least(captured, released, amount + extra - captured - released) >= 0
      and (closed_at is null or captured + released = amount + extra))
) with (fillfactor = 80);
create index credit_reservations_open_idx on public.credit_reservations (account_id, credit_type,
  expires_at)
  where status = 'open';
-- A hold is written twice, and each time every check and foreign key is asked: so there is one, of
-- what keeps credits from being lost. verify_books says the rest: that there is such a balance,
-- which statuses there are, and that the times and the other parts agree.
comment on table public.credit_reservations is
  'Holds: credits set aside for work in progress. Open, then captured, released or expired, once. '
  'While it is open, parts of it may be captured; what is left goes back when it closes.';
comment on column public.credit_reservations.amount is 'Credits held.';
comment on column public.credit_reservations.captured is
  'Credits charged so far; at most amount plus extra.';
comment on column public.credit_reservations.released is
  'Held credits that went back to their grants.';
comment on column public.credit_reservations.extra is
  'Credits captured above the hold, as far as they could be had.';
comment on column public.credit_reservations.unlimited is
  'The part of amount and extra that was set aside while the type was unlimited: of no grant.';
comment on column public.credit_reservations.unlimited_captured is
  'The part of unlimited that was charged.';
comment on column public.credit_reservations.extended_at is 'When the hold was last extended.';
comment on column public.credit_reservations.shortfall is
  'Credits asked for above the hold that could not be had.';
comment on column public.credit_reservations.expires_at is
  'From this instant on the hold counts as released, booked or not.';
alter table public.credit_reservations enable row level security;
revoke all on table public.credit_reservations from public, anon, authenticated, service_role;
grant select on table public.credit_reservations to authenticated, service_role;
create policy "Users may read their holds and what they oversee"
  on public.credit_reservations for select to authenticated using (
    account_id = any (credits.readable_ids())
    and (user_id = account_id or user_id = credits.reader_id()
      or account_id = any (credits.overseen_ids())));

create table credits.reservation_slices (
  account_id uuid not null,
  reservation_id uuid not null,
  grant_id uuid not null,
  amount bigint not null,
  captured bigint not null default 0,
  constraint reservation_slices_pkey primary key (account_id, reservation_id, grant_id),
  constraint reservation_slices_captured_is_of_the_slice check (captured between 0 and amount)
);
-- A foreign key costs each hold a look-up; verify_books says that every slice has its hold and its
-- grant.
create index reservation_slices_grant_idx on credits.reservation_slices (account_id, grant_id);
comment on table credits.reservation_slices is
  'Which credits of which grant a hold has pinned. Kept after the hold is closed.';
comment on column credits.reservation_slices.captured is
  'What of it was charged; the rest is pinned while the hold is open.';
alter table credits.reservation_slices enable row level security;
revoke all on table credits.reservation_slices from public, anon, authenticated, service_role;
