create type credits.entry_kind as enum ('grant', 'consume', 'capture', 'refund', 'expire', 'void');
comment on type credits.entry_kind is
  'grant and refund add credits to a grant; consume and capture spend them; expire and void take '
  'them away unspent. A void with a positive amount takes back one that turned out to be wrong.';

create table public.credit_transactions (
  account_id uuid not null,
  operation_id uuid not null,
  grant_id uuid,
  user_id uuid,
  related_operation_id uuid,
  version bigint not null,
  amount bigint not null,
  balance_after bigint,
  created_at timestamptz not null,
  kind credits.entry_kind not null,
  credit_type text not null,
  description text,
  metadata jsonb not null default '{}',
  constraint credit_transactions_pkey primary key (account_id, credit_type, version)
);
create index credit_transactions_operation_idx on public.credit_transactions (account_id,
  operation_id);
create index credit_transactions_related_idx on public.credit_transactions (account_id,
  related_operation_id)
  where related_operation_id is not null;
-- What a member did in a workspace. Rows of persons are not in it, so their spends do not grow.
create index credit_transactions_user_id_idx
  on public.credit_transactions (account_id, user_id, created_at) where user_id <> account_id;
comment on table public.credit_transactions is
  'The ledger: one row per operation and grant touched, chained by version and balance_after per '
  'account and credit type. While a type is unlimited, one row per operation, of no grant and '
  'outside of the chain. Rows are added, never changed.';
comment on column public.credit_transactions.version is
  '1, 2, 3 … per account and credit type, without a gap.';
comment on column public.credit_transactions.operation_id is
  'What belongs together: all rows of one operation have its id. A hold and its capture are one '
  'operation.';
comment on column public.credit_transactions.grant_id is
  'The grant whose credits moved; null while the type is unlimited, which has no stock.';
comment on column public.credit_transactions.user_id is
  'Who acted; null for what time did by itself.';
comment on column public.credit_transactions.amount is
  'Credits, signed: positive into the grant, negative out of it.';
comment on column public.credit_transactions.balance_after is
  'What the grants of this account and type hold after this row: the last balance_after before it '
  'plus amount. Null when it moved no grant: what is unlimited has no balance.';
comment on column public.credit_transactions.related_operation_id is
  'For a refund the operation it gives back; for an expiry or a compensation the operation that '
  'caused it.';
comment on column public.credit_transactions.created_at is
  'When it was booked, in the account''s time.';
alter table public.credit_transactions enable row level security;
revoke all on table public.credit_transactions from public, anon, authenticated, service_role;
grant select on table public.credit_transactions to authenticated, service_role;
create policy "Users may read their ledger and what they oversee"
  on public.credit_transactions for select to authenticated using (
    account_id = any (credits.readable_ids())
    and (user_id = account_id or user_id = credits.reader_id()
      or account_id = any (credits.overseen_ids())));

create function credits.refuse_ledger_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- Figures never change. The words of somebody who is forgotten may be blanked, and nothing else.
  if tg_op = 'UPDATE' then
    if new.description is null and new.metadata = '{}'
       and to_jsonb(new) - '{description, metadata}'::text[] = to_jsonb(old)
         - '{description, metadata}'::text[]
       and exists (select 1 from credits.forgotten_accounts f
         where f.account_id in (old.account_id, old.user_id)) then
      return new;
    end if;
  end if;
  perform credits.raise_error('ledger_is_append_only', jsonb_build_object('attempted',
    lower(tg_op)));
  return null;
end
$$;
comment on function credits.refuse_ledger_change() is
  'Stops UPDATE, DELETE and TRUNCATE of the ledger for those whom no privilege stops. Lets pass '
  'only what forget_account does: blank description and metadata of a forgotten account.';
revoke all on function credits.refuse_ledger_change() from public, anon, authenticated,
  service_role;
create trigger credit_transactions_are_append_only before update
  or delete on public.credit_transactions
  for each row execute function credits.refuse_ledger_change();
create trigger credit_transactions_are_never_truncated before truncate on public.credit_transactions
  for each statement execute function credits.refuse_ledger_change();
