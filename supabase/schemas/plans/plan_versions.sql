-- What a plan gives has versions. The figures on sale are rows of plan_limits; whoever changes
-- them, by whatever statement, makes a new version, and each account takes it at its next period.

create table credits.plan_versions (
  plan_id text not null,
  version integer not null,
  made_at timestamptz not null,
  made_by xid8 not null,
  constraint plan_versions_pkey primary key (plan_id, version),
  constraint plan_versions_count_from_one check (version > 0)
);
comment on table credits.plan_versions is
  'Every version that a plan has had. Kept when the plan is gone: past periods are judged by it.';
comment on column credits.plan_versions.version is '1, 2, 3 … per plan; the largest is on sale.';
comment on column credits.plan_versions.made_by is
  'The transaction that made it: until it ends, its further changes of the plan go into the same '
  'version.';
alter table credits.plan_versions enable row level security;
revoke all on table credits.plan_versions from public, anon, authenticated, service_role;

create table credits.plan_version_limits (
  plan_id text not null,
  version integer not null,
  credit_type text not null,
  allowance bigint,
  rollover_cap bigint not null,
  constraint plan_version_limits_pkey primary key (plan_id, version, credit_type)
);
comment on table credits.plan_version_limits is 'The plan_limits of each version. Never changed.';
comment on column credits.plan_version_limits.allowance is 'As in plan_limits: null is unlimited.';
alter table credits.plan_version_limits enable row level security;
revoke all on table credits.plan_version_limits from public, anon, authenticated, service_role;

create function credits.refuse_version_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op <> 'TRUNCATE' and exists (
    select 1 from credits.plan_versions v
    where v.plan_id = old.plan_id and v.version = old.version
      and v.made_by = pg_current_xact_id()) then
    return old;
  end if;
  raise exception 'a version of a plan is never changed'
    using errcode = 'object_not_in_prerequisite_state',
      hint = 'Change plan_limits: that makes a new version.';
end
$$;
comment on function credits.refuse_version_change() is
  'Keeps versions of plans as they were, but for the transaction that is making one.';
revoke all on function credits.refuse_version_change()
  from public, anon, authenticated, service_role;
create trigger plan_version_limits_are_kept before update or delete on credits.plan_version_limits
  for each row execute function credits.refuse_version_change();
create trigger plan_version_limits_are_not_truncated before truncate on credits.plan_version_limits
  for each statement execute function credits.refuse_version_change();
create trigger plan_versions_are_kept before update or delete on credits.plan_versions
  for each row execute function credits.refuse_version_change();
create trigger plan_versions_are_not_truncated before truncate on credits.plan_versions
  for each statement execute function credits.refuse_version_change();

create function credits.version_is_on_sale(p_plan_id text, p_version integer)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return not exists (
    (select l.credit_type, l.allowance, l.rollover_cap from public.plan_limits l
      where l.plan_id = p_plan_id
      except
      select v.credit_type, v.allowance, v.rollover_cap from credits.plan_version_limits v
      where v.plan_id = p_plan_id and v.version = p_version)
    union all
    (select v.credit_type, v.allowance, v.rollover_cap from credits.plan_version_limits v
      where v.plan_id = p_plan_id and v.version = p_version
      except
      select l.credit_type, l.allowance, l.rollover_cap from public.plan_limits l
        where l.plan_id = p_plan_id));
end
$$;
comment on function credits.version_is_on_sale(text, integer) is
  'Whether a version has the figures of plan_limits.';
revoke all on function credits.version_is_on_sale(text, integer)
  from public, anon, authenticated, service_role;

create function credits.latest_version(p_plan_id text)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select v.version from credits.plan_versions v where v.plan_id = p_plan_id
      order by v.version desc limit 1);
end
$$;
comment on function credits.latest_version(text) is 'The version of a plan that is on sale.';
revoke all on function credits.latest_version(text) from public, anon, authenticated, service_role;

create function credits.version_at(p_plan_id text, p_at timestamptz)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce(
    (select max(v.version) from credits.plan_versions v
      where v.plan_id = p_plan_id and v.made_at <= p_at),
    (select min(v.version) from credits.plan_versions v where v.plan_id = p_plan_id));
end
$$;
comment on function credits.version_at(text, timestamptz) is
  'The version of a plan that was on sale at an instant; of a younger plan the first.';
revoke all on function credits.version_at(text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.make_plan_version(p_plan_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_last integer;
  v_is_ours boolean;
  v_now timestamptz := clock_timestamp();
begin
  -- One at a time per plan. It keeps no subscriber waiting: those take a key share lock.
  perform 1 from public.plans p where p.id = p_plan_id for no key update;
  if not found then
    return;
  end if;
  select v.version, v.made_by = pg_current_xact_id() into v_last, v_is_ours
  from credits.plan_versions v where v.plan_id = p_plan_id order by v.version desc limit 1;
  if v_last is not null and credits.version_is_on_sale(p_plan_id, v_last) then
    return;
  end if;
  if v_is_ours then
    delete from credits.plan_version_limits l where l.plan_id = p_plan_id and l.version = v_last;
    if v_last > 1 and credits.version_is_on_sale(p_plan_id, v_last - 1) then
      delete from credits.plan_versions v where v.plan_id = p_plan_id and v.version = v_last;
      return;
    end if;
  else
    v_last := coalesce(v_last, 0) + 1;
    insert into credits.plan_versions (plan_id, version, made_at, made_by)
    values (p_plan_id, v_last, v_now, pg_current_xact_id());
  end if;
  insert into credits.plan_version_limits (plan_id, version, credit_type, allowance, rollover_cap)
  select p_plan_id, v_last, l.credit_type, l.allowance, l.rollover_cap
  from public.plan_limits l where l.plan_id = p_plan_id;
end
$$;
comment on function credits.make_plan_version(text) is
  'Makes the figures of plan_limits the newest version: one per plan and transaction, none when '
  'nothing has changed.';
revoke all on function credits.make_plan_version(text)
  from public, anon, authenticated, service_role;

create function credits.record_limit_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'TRUNCATE' then
    perform credits.make_plan_version(p.id) from (select x.id from public.plans x order by x.id) p;
    return null;
  end if;
  if tg_op <> 'INSERT' then
    perform credits.make_plan_version(old.plan_id);
  end if;
  if tg_op = 'INSERT' or tg_op = 'UPDATE' and new.plan_id <> old.plan_id then
    perform credits.make_plan_version(new.plan_id);
  end if;
  return null;
end
$$;
comment on function credits.record_limit_change() is
  'Makes a version of a changed plan, from wherever the change comes.';
revoke all on function credits.record_limit_change() from public, anon, authenticated, service_role;
create trigger plan_limits_make_version after insert or update or delete on public.plan_limits
  for each row execute function credits.record_limit_change();
create trigger plan_limits_make_versions after truncate on public.plan_limits
  for each statement execute function credits.record_limit_change();

do $$
begin
  perform credits.make_plan_version(p.id) from public.plans p;
end
$$;

create function credits.plan_figure(
  p_plan_id text, p_version integer, p_credit_type text,
  out is_included boolean, out allowance bigint, out rollover_cap bigint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- What the account's own version does not know is new to the plan, and counts at once.
  select true, l.allowance, l.rollover_cap into is_included, allowance, rollover_cap
  from credits.plan_version_limits l
  where l.plan_id = p_plan_id and l.credit_type = p_credit_type
    and l.version in (p_version, (select credits.latest_version(p_plan_id)))
  order by l.version = p_version desc limit 1;
  if not found then
    is_included := false;
    allowance := 0;
    rollover_cap := 0;
  end if;
end
$$;
comment on function credits.plan_figure(text, integer, text) is
  'What a version of a plan gives of a credit type. Terms that cannot be found give nothing.';
revoke all on function credits.plan_figure(text, integer, text)
  from public, anon, authenticated, service_role;
