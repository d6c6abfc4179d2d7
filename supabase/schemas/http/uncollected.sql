-- Work that was done and could not be charged: the credits ran out while it ran, the account was
-- frozen or deleted meanwhile, or the database was away for too long. And what was charged and
-- could not be given back. The seller sees both here.
create table credits.uncollected (
  account_id uuid not null,
  id uuid not null default gen_random_uuid(),
  kind text not null,
  user_id uuid not null,
  credit_type text not null,
  amount bigint not null,
  reason text not null,
  description text,
  idempotency_key text not null,
  created_at timestamptz not null,
  resolved_at timestamptz,
  resolution text,
  constraint uncollected_pkey primary key (account_id, id),
  constraint uncollected_account_id_idempotency_key_key unique (account_id, idempotency_key),
  constraint uncollected_is_of_a_kind check (kind in ('charge', 'refund')),
  constraint uncollected_is_an_amount check (amount between 1 and 9007199254740992),
  constraint uncollected_has_a_slug_for_a_reason check (reason ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint uncollected_is_resolved_in_words check ((resolved_at is null) = (resolution is null))
);
comment on table credits.uncollected is
  'Work that was done and could not be charged, each once. It has no account to belong to when '
  'that is gone, hence no foreign key.';
comment on column credits.uncollected.kind is
  'charge: the account owes it; refund: it is owed to the account.';
comment on column credits.uncollected.user_id is 'Who the work was done for.';
alter table credits.uncollected enable row level security;
revoke all on table credits.uncollected from public, anon, authenticated, service_role;

create function credits.check_uncollected(
  p_user_id uuid, p_credit_type text, p_reason text, p_kind text
)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text;
begin
  v_argument := case
    when p_user_id is null then 'p_user_id'
    when p_kind is null or p_kind not in ('charge', 'refund') then 'p_kind'
    when p_reason is null or p_reason !~ '^[a-z][a-z0-9_]{0,62}$' then 'p_reason'
  end;
  if not exists (select 1 from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type',
      jsonb_build_object('credit_type', p_credit_type));
  end if;
  if v_argument is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', v_argument));
  end if;
end
$$;
comment on function credits.check_uncollected(uuid, text, text, text) is
  'Raises invalid_argument for an entry that would say nothing.';
revoke all on function credits.check_uncollected(uuid, text, text, text)
  from public, anon, authenticated, service_role;
