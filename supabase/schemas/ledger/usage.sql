-- A project may have a usage table of its own: then it keeps its columns, rows, key, privileges and
-- policies, and gains what is missing, nullable. The preflight has made sure that rows of ours can
-- live in it.
do $usage$
declare
  v_theirs name[];
  v_column name;
  v_defaults name[] := '{}';
  v_index text;
begin
  v_theirs := array(select a.attname from pg_catalog.pg_attribute a
    where a.attrelid = to_regclass('public.usage') and a.attnum > 0 and not a.attisdropped);
  if to_regclass('public.usage') is not null then
    alter table public.usage
      add column if not exists id uuid,
      add column if not exists account_id uuid, add column if not exists user_id uuid,
      add column if not exists credit_type text, add column if not exists credits_used bigint,
      add column if not exists status text, add column if not exists description text,
      add column if not exists metadata jsonb, add column if not exists operation_id uuid,
      add column if not exists created_at timestamptz;
    -- Known again when the credit system is taken out.
    for v_column in
      select a.attname from pg_catalog.pg_attribute a
      where a.attrelid = 'public.usage'::regclass and a.attnum > 0 and not a.attisdropped
        and a.attname <> all (v_theirs)
    loop
      execute format('comment on column public.usage.%I is %L', v_column,
        'Added by the credit system.');
    end loop;
    -- Rows that were there say nothing about when; new ones do.
    if (select not a.atthasdef and a.attidentity = '' and format_type(a.atttypid, null) = 'uuid'
        from pg_catalog.pg_attribute a where a.attrelid = 'public.usage'::regclass
          and a.attname = 'id') then
      alter table public.usage alter column id set default gen_random_uuid();
      v_defaults := v_defaults || name 'id';
    end if;
    if (select not a.atthasdef from pg_catalog.pg_attribute a
        where a.attrelid = 'public.usage'::regclass and a.attname = 'created_at') then
      alter table public.usage alter column created_at set default now();
      v_defaults := v_defaults || name 'created_at';
    end if;
    foreach v_column in array v_defaults loop
      if col_description('public.usage'::regclass, (select a.attnum from pg_catalog.pg_attribute a
          where a.attrelid = 'public.usage'::regclass and a.attname = v_column)) is null then
        execute format('comment on column public.usage.%I is %L', v_column,
          'Its default was added by the credit system.');
      end if;
    end loop;
    foreach v_column in array array['user_id', 'account_id'] loop
      v_index := format('usage_%s_created_at_idx', v_column);
      if to_regclass(format('public.%I', v_index)) is null then
        execute format('create index %I on public.usage (%I, created_at)', v_index, v_column);
        execute format('comment on index public.%I is %L', v_index,
          'Added by the credit system.');
      end if;
    end loop;
    return;
  end if;

  create table public.usage (
    account_id uuid not null,
    id uuid not null default gen_random_uuid(),
    user_id uuid,
    operation_id uuid not null,
    credits_used bigint not null,
    created_at timestamptz not null default now(),
    credit_type text not null,
    status text not null,
    description text,
    metadata jsonb not null default '{}',
    -- The index by account and time is the key itself, so that an attempt pays for one index less.
    constraint usage_pkey primary key (account_id, created_at, id)
  );
  create index usage_user_id_created_at_idx on public.usage (user_id, created_at);
  comment on table public.usage is
    'Every metered attempt, allowed or denied. A hold is one attempt: denied when it was refused, '
    'allowed when it was captured.';
  comment on column public.usage.user_id is 'Who acted; account_id is who pays.';
  comment on column public.usage.credits_used is
    'Credits charged by this attempt; 0 when it was denied.';
  alter table public.usage enable row level security;
  revoke all on table public.usage from public, anon, authenticated, service_role;
  grant select on table public.usage to authenticated, service_role;
  create policy "Users may read their usage and what they oversee"
    on public.usage for select to authenticated using (
      account_id = any (credits.readable_ids())
      and (user_id = account_id or user_id = credits.reader_id()
        or account_id = any (credits.overseen_ids())));
end
$usage$;
