-- Free credits once per person. The default plan's allowance of a period belongs to an identity,
-- not to an id: an account of the same identity that is open has it, and one that follows it
-- continues with what it left, in the same period. Of an identity only a keyed hash is kept, which
-- survives forget_account, for a year after the account was closed.

create table credits.identity_key (
  only_row boolean primary key default true,
  inner_key bytea not null,
  outer_key bytea not null,
  constraint identity_key_has_one_row check (only_row)
);
comment on table credits.identity_key is
  'The secret of the hashes of identities, as the two blocks of HMAC-SHA256. Made once, and never '
  'read but by hash_identity.';
alter table credits.identity_key enable row level security;
revoke all on table credits.identity_key from public, anon, authenticated, service_role;
do $$
declare
  v_key bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    || uuid_send(gen_random_uuid());
  v_inner bytea := decode(repeat('36', 64), 'hex');
  v_outer bytea := decode(repeat('5c', 64), 'hex');
begin
  for n in 0 .. length(v_key) - 1 loop
    v_inner := set_byte(v_inner, n, get_byte(v_inner, n) # get_byte(v_key, n));
    v_outer := set_byte(v_outer, n, get_byte(v_outer, n) # get_byte(v_key, n));
  end loop;
  insert into credits.identity_key (inner_key, outer_key) values (v_inner, v_outer);
end
$$;

create table credits.account_identities (
  account_id uuid not null,
  identity bytea not null,
  created_at timestamptz not null default now(),
  constraint account_identities_pkey primary key (account_id, identity)
);
create index account_identities_identity_idx on credits.account_identities (identity);
comment on table credits.account_identities is
  'Which identities an account has had: the hash of each e-mail or phone number, or what '
  'credits.identity_of says.';
alter table credits.account_identities enable row level security;
revoke all on table credits.account_identities from public, anon, authenticated, service_role;

create table credits.identity_holders (
  identity bytea not null,
  account_id uuid not null,
  constraint identity_holders_pkey primary key (identity)
);
create index identity_holders_account_id_idx on credits.identity_holders (account_id);
comment on table credits.identity_holders is
  'Which account has the free credits of an identity. Two sign-ups of one identity at once meet '
  'here, and one of them waits.';
alter table credits.identity_holders enable row level security;
revoke all on table credits.identity_holders from public, anon, authenticated, service_role;

create table credits.carried_allowances (
  account_id uuid not null,
  credit_type text not null,
  period_end timestamptz not null,
  amount bigint not null,
  constraint carried_allowances_pkey primary key (account_id, credit_type),
  constraint carried_allowances_amount_is_not_negative check (amount >= 0)
);
comment on table credits.carried_allowances is
  'What an earlier account of the same person had left of the free allowance of the period that '
  'ends at period_end.';
alter table credits.carried_allowances enable row level security;
revoke all on table credits.carried_allowances from public, anon, authenticated, service_role;

create function credits.free_credits_of(p_account_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select case when a.kind = 'workspace' and s.workspace_credits <> 'free' then 'workspace'
      else a.free_credits end
    from credits.accounts a cross join credits.settings s where a.account_id = p_account_id);
end
$$;
comment on function credits.free_credits_of(uuid) is
  'own: the default plan''s allowance is the account''s own. Else why it has none: its person is '
  'anonymous, or has another open account (other_account), or it is a workspace.';
revoke all on function credits.free_credits_of(uuid)
  from public, anon, authenticated, service_role;

create function credits.follow_workspace_credits()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform 1 from credits.balances b
  join credits.accounts a on a.account_id = b.account_id and a.kind = 'workspace'
  where b.kind = 'credit'
  order by b.account_id, b.credit_type for update of b;
  update credits.balances b set due_at = '-infinity'
  from credits.accounts a
  where a.account_id = b.account_id and a.kind = 'workspace' and b.kind = 'credit';
  return null;
end
$$;
comment on function credits.follow_workspace_credits() is
  'Lets each workspace be asked anew what it is due, once it has been decided otherwise whether '
  'workspaces have free credits.';
revoke all on function credits.follow_workspace_credits()
  from public, anon, authenticated, service_role;
create trigger settings_workspace_credits_count_at_once after update of workspace_credits
  on credits.settings for each row
  when (old.workspace_credits <> new.workspace_credits)
  execute function credits.follow_workspace_credits();

create function credits.free_allowance(
  p_account_id uuid, p_credit_type text, p_period_start timestamptz, p_allowance bigint)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_carried bigint;
begin
  if credits.free_credits_of(p_account_id) <> 'own' then
    return 0;
  end if;
  select c.amount into v_carried
  from credits.carried_allowances c
  where c.account_id = p_account_id and c.credit_type = p_credit_type
    and p_period_start < c.period_end;
  return least(p_allowance, v_carried);
end
$$;
comment on function credits.free_allowance(uuid, text, timestamptz, bigint) is
  'How much of the default plan''s allowance of a period an account is due: all of it, what an '
  'earlier account of the same person left of it, or nothing.';
revoke all on function credits.free_allowance(uuid, text, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.identity_of(p_user auth.users)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when e.email is null then 'phone:' || nullif(regexp_replace(p_user.phone, '[^0-9]', '', 'g'),
      '')
    when s.identity_by <> 'person' then 'email:' || e.email
    when e.domain in ('gmail.com', 'googlemail.com') then 'email:' || replace(e.mailbox, '.', '')
      || '@gmail.com'
    else 'email:' || e.mailbox || '@' || e.domain end
  from credits.settings s
  cross join lateral (
    select n.email, split_part(split_part(n.email, '@', 1), '+', 1) as mailbox,
      split_part(n.email, '@', 2) as domain
    from (select nullif(lower(btrim(p_user.email)), '') as email) n
  ) e
$$;
comment on function credits.identity_of(auth.users) is
  'What tells one person from another, as a text of which only a keyed hash is kept: the e-mail '
  'without regard to case, without one the phone number; with identity_by = ''person'' without '
  'plus-tags, and without dots where the provider ignores them. Null is no identity. A project '
  'may replace this function.';
revoke all on function credits.identity_of(auth.users)
  from public, anon, authenticated, service_role;

create function credits.hash_identity(p_identity text)
returns bytea
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select sha256(k.outer_key || sha256(k.inner_key || convert_to(p_identity, 'UTF8')))
      from credits.identity_key k);
end
$$;
comment on function credits.hash_identity(text) is 'The keyed hash (HMAC-SHA256) of an identity.';
revoke all on function credits.hash_identity(text) from public, anon, authenticated, service_role;

create function credits.remember_identities(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_identity bytea := (
    select credits.hash_identity(credits.identity_of(u)) from auth.users u
    where u.id = p_account_id and u.deleted_at is null);
begin
  if v_identity is not null then
    insert into credits.account_identities (account_id, identity) values (p_account_id, v_identity)
    on conflict (account_id, identity) do nothing;
  end if;
end
$$;
comment on function credits.remember_identities(uuid) is
  'Notes the identity that an account has now; earlier ones count on. It has none while it has '
  'neither e-mail nor phone number.';
revoke all on function credits.remember_identities(uuid)
  from public, anon, authenticated, service_role;

create function credits.decide_free_credits(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_had text;
  v_has text := 'own';
begin
  select a.free_credits into v_had from credits.accounts a where a.account_id = p_account_id
    and a.kind = 'person';
  if exists (
    select 1 from auth.users u cross join credits.settings s
    where u.id = p_account_id and u.is_anonymous and s.anonymous_credits = 'none') then
    v_has := 'anonymous';
  elsif not credits.hold_identities(p_account_id) then
    v_has := 'other_account';
  end if;
  -- What an account has is not taken back: it can only gain them once it is open. One whose address
  -- was never confirmed gives them up to who has confirmed it.
  if v_had is null or v_had = 'own' and exists (
      select 1 from credits.balances b where b.account_id = p_account_id)
    and not (v_has = 'other_account' and credits.has_yielded_identity(p_account_id)) then
    return;
  end if;
  if v_has = 'own' then
    perform credits.carry_allowances(p_account_id);
  end if;
  if v_had <> v_has then
    update credits.accounts a set free_credits = v_has where a.account_id = p_account_id;
    update credits.balances b set due_at = '-infinity'
    where b.account_id = p_account_id and 'own' in (v_had, v_has);
  end if;
end
$$;
comment on function credits.decide_free_credits(uuid) is
  'Finds out whether an account has free credits of its own: not while its person is anonymous, '
  'nor beside another open account of the same identity. Safe to repeat; what was given is not '
  'taken back, but from an account whose address somebody else has confirmed.';
revoke all on function credits.decide_free_credits(uuid)
  from public, anon, authenticated, service_role;

create function credits.hold_identities(p_account_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_identity bytea;
  v_holder_id uuid;
  v_is_holder boolean := true;
  v_losers uuid[] := array[]::uuid[];
begin
  for v_identity in
    select i.identity from credits.account_identities i where i.account_id = p_account_id
      order by i.identity
  loop
    -- Whoever comes second waits here, and looks afterwards.
    insert into credits.identity_holders (identity, account_id) values (v_identity, p_account_id)
    on conflict (identity) do nothing;
    select h.account_id into v_holder_id
    from credits.identity_holders h where h.identity = v_identity for update;
    if v_holder_id = p_account_id then
      continue;
    elsif not credits.is_living(v_holder_id) or credits.yields_identity(v_holder_id, p_account_id)
    then
      update credits.identity_holders h set account_id = p_account_id where h.identity = v_identity;
      v_losers := v_losers || v_holder_id;
    else
      v_is_holder := false;
    end if;
  end loop;
  perform credits.follow_at_once(l) from unnest(v_losers) l where credits.is_living(l);
  return v_is_holder;
end
$$;
comment on function credits.hold_identities(uuid) is
  'Takes the free credits of an account''s identities over, unless another open account has them '
  'that does not yield. Answers whether it has them now.';
revoke all on function credits.hold_identities(uuid) from public, anon, authenticated, service_role;

create function credits.yields_identity(p_account_id uuid, p_other_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
      select 1 from auth.users u where u.id = p_other_id and u.email_confirmed_at is not null)
    and exists (
      select 1 from auth.users u
      where u.id = p_account_id and u.email is not null and u.email_confirmed_at is null);
end
$$;
comment on function credits.yields_identity(uuid, uuid) is
  'Whether an account gives the free credits of an identity up to another one: anybody can sign up '
  'with somebody else''s address, but only its person can confirm it.';
revoke all on function credits.yields_identity(uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.has_yielded_identity(p_account_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from credits.account_identities i
    join credits.identity_holders h on h.identity = i.identity and h.account_id <> p_account_id
    where i.account_id = p_account_id and credits.yields_identity(p_account_id, h.account_id));
end
$$;
comment on function credits.has_yielded_identity(uuid) is
  'Whether an account with a confirmed address has taken the free credits of this one over.';
revoke all on function credits.has_yielded_identity(uuid)
  from public, anon, authenticated, service_role;

create function credits.earlier_accounts(p_account_id uuid)
returns setof uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
    select distinct o.account_id
    from credits.account_identities i
    join credits.account_identities o on o.identity = i.identity and o.account_id <> p_account_id
    join credits.accounts a on a.account_id = o.account_id
    where i.account_id = p_account_id and a.free_credits = 'own'
      and not credits.is_living(o.account_id)
      and coalesce(a.closed_at > credits.clock() - interval '1 year', true);
end
$$;
comment on function credits.earlier_accounts(uuid) is
  'The accounts of the same person that had free credits and are gone, for no longer than a year.';
revoke all on function credits.earlier_accounts(uuid)
  from public, anon, authenticated, service_role;

create function credits.carry_allowances(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  insert into credits.carried_allowances (account_id, credit_type, period_end, amount)
  select p_account_id, l.credit_type, max(l.period_end), min(l.amount)
  from credits.earlier_accounts(p_account_id) e
  cross join lateral (
    select c.credit_type, c.period_end, c.amount
    from credits.carried_allowances c where c.account_id = e and c.period_end > v_now
    union all
    select g.credit_type, max(g.expires_at), sum(g.remaining)::bigint
    from public.credit_grants g
    where g.account_id = e and credits.has_been_default(g.plan_id)
      and g.source = 'plan' and g.starts_at <= v_now and g.expires_at > v_now
    group by g.credit_type
    union all
    select c.credit_type, c.period_end, c.amount from credits.allowances_cut_short(e, v_now) c
  ) l
  group by l.credit_type
  on conflict (account_id, credit_type) do nothing;
end
$$;
comment on function credits.carry_allowances(uuid) is
  'Notes what earlier accounts of the same person left of the free allowance of the period that '
  'is running.';
revoke all on function credits.carry_allowances(uuid)
  from public, anon, authenticated, service_role;

create function credits.allowances_cut_short(p_account_id uuid, p_at timestamptz)
returns table (credit_type text, period_end timestamptz, amount bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
    select l.credit_type, l.ends_at, greatest(0, l.allowance - credits.taken_before_anchor(
      p_account_id, l.credit_type, 2147483647, p_at))
    from (
      select g.credit_type, max(g.amount) as allowance,
        max(credits.period_boundary(g.period_start, 'UTC', 1)) as ends_at
      from public.credit_grants g
      where g.account_id = p_account_id and credits.has_been_default(g.plan_id)
        and g.source = 'plan' and g.voided_at is null and g.expires_at <= p_at
        and g.period_start <= p_at and credits.period_boundary(g.period_start, 'UTC', 1) > p_at
      group by g.credit_type) l;
end
$$;
comment on function credits.allowances_cut_short(uuid, timestamptz) is
  'What an account has not had of a free allowance whose month is not over, though a paid plan '
  'began in it: to buy a plan and leave, or to leave the account, brings no second one.';
revoke all on function credits.allowances_cut_short(uuid, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.inherited_anchor(p_account_id uuid)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select s.anchor_at
    from credits.earlier_accounts(p_account_id) e
    join credits.accounts a on a.account_id = e
    join public.subscriptions s on s.account_id = e
    where s.anchor_at <= credits.clock()
    order by a.created_at desc, e
    limit 1);
end
$$;
comment on function credits.inherited_anchor(uuid) is
  'The instant that the periods of the person''s last account were counted from: a new one '
  'continues with the same periods. Null where there was none.';
revoke all on function credits.inherited_anchor(uuid)
  from public, anon, authenticated, service_role;

create function credits.pass_identities_on(p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_next_id uuid;
begin
  delete from credits.identity_holders h where h.account_id = p_account_id;
  for v_next_id in
    select distinct o.account_id
    from credits.account_identities i
    join credits.account_identities o on o.identity = i.identity and o.account_id <> p_account_id
    join credits.accounts a on a.account_id = o.account_id and a.free_credits = 'other_account'
      and a.status <> 'closed'
    where i.account_id = p_account_id
    order by o.account_id
  loop
    perform credits.decide_free_credits(v_next_id);
  end loop;
end
$$;
comment on function credits.pass_identities_on(uuid) is
  'When an account is closed: another open account of the same person continues with what is left '
  'of the free credits.';
revoke all on function credits.pass_identities_on(uuid)
  from public, anon, authenticated, service_role;

create function credits.drop_old_identities()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  delete from credits.account_identities i
  using credits.accounts a
  where a.closed_at < clock_timestamp() - interval '1 year' and i.account_id = a.account_id;
end
$$;
comment on function credits.drop_old_identities() is
  'Drops the hashes of accounts that were closed more than a year ago.';
revoke all on function credits.drop_old_identities() from public, anon, authenticated, service_role;
