create table public.plan_limits (
  plan_id text not null constraint plan_limits_plan_id_fkey references public.plans (id) on update cascade on delete cascade,
  credit_type text not null constraint plan_limits_credit_type_fkey references credits.credit_types (id),
  allowance bigint,
  rollover_cap bigint not null default 0,
  constraint plan_limits_pkey primary key (plan_id, credit_type),
  constraint plan_limits_allowance_is_whole_credits check (allowance between 0 and 9007199254740992),
  constraint plan_limits_rollover_cap_is_whole_credits check (rollover_cap between 0 and 9007199254740992)
);
comment on table public.plan_limits is 'What a plan includes of each credit type. A missing row means none.';
comment on column public.plan_limits.allowance is
  'Whole credits per period, or how many may exist for a limit. Null is unlimited. A new figure counts from an account''s next period; for a limit at once.';
comment on column public.plan_limits.rollover_cap is
  'How many unspent credits of the allowance move into the next period, at whose end they expire.';
alter table public.plan_limits enable row level security;
revoke all on table public.plan_limits from public, anon, authenticated, service_role;
grant select on table public.plan_limits to anon, authenticated, service_role;
create policy "Everybody may read the plan limits" on public.plan_limits
  for select to anon, authenticated using (true);

create table credits.plan_limit_changes (
  plan_id text not null,
  credit_type text not null,
  version bigint not null,
  changed_at timestamptz not null,
  allowance bigint,
  constraint plan_limit_changes_pkey primary key (plan_id, credit_type, version)
);
comment on table credits.plan_limit_changes is
  'Every figure that a plan''s limit has had, in order. Rows are added, never changed: verify_books judges the allowances of periods gone by.';
comment on column credits.plan_limit_changes.version is '1, 2, 3 … per plan and credit type.';
comment on column credits.plan_limit_changes.allowance is 'As in plan_limits: null is unlimited. A limit that is taken away gives 0.';
alter table credits.plan_limit_changes enable row level security;
revoke all on table credits.plan_limit_changes from public, anon, authenticated, service_role;

create function credits.record_limit_change()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and (old.plan_id, old.credit_type) = (new.plan_id, new.credit_type)
     and old.allowance is not distinct from new.allowance then
    return null;
  end if;
  if tg_op = 'DELETE' or tg_op = 'UPDATE' and (old.plan_id, old.credit_type) <> (new.plan_id, new.credit_type) then
    insert into credits.plan_limit_changes (plan_id, credit_type, version, changed_at, allowance)
    select old.plan_id, old.credit_type, coalesce(max(c.version), 0) + 1, clock_timestamp(), 0
    from credits.plan_limit_changes c where c.plan_id = old.plan_id and c.credit_type = old.credit_type;
  end if;
  if tg_op <> 'DELETE' then
    insert into credits.plan_limit_changes (plan_id, credit_type, version, changed_at, allowance)
    select new.plan_id, new.credit_type, coalesce(max(c.version), 0) + 1, clock_timestamp(), new.allowance
    from credits.plan_limit_changes c where c.plan_id = new.plan_id and c.credit_type = new.credit_type;
  end if;
  return null;
end
$$;
comment on function credits.record_limit_change() is 'Writes down what a plan gives from now on, from wherever the change comes.';
revoke all on function credits.record_limit_change() from public, anon, authenticated, service_role;
create trigger plan_limits_record_change after insert or update or delete on public.plan_limits
  for each row execute function credits.record_limit_change();

create view credits.plan_figures with (security_invoker = true) as
select c.plan_id, c.credit_type, c.allowance, c.allowance is null as is_unlimited,
  case c.version when 1 then '-infinity' else c.changed_at end as started_at,
  -- Whoever was at it when the figure changed may have granted the old one a little later.
  coalesce(lead(c.changed_at) over (partition by c.plan_id, c.credit_type order by c.version) + interval '1 hour', 'infinity')
    as ended_at
from credits.plan_limit_changes c;
comment on view credits.plan_figures is
  'From when until when a plan gave which allowance. The first figure counts from ever: an account''s clock may run ahead of the plans''.';
revoke all on table credits.plan_figures from public, anon, authenticated, service_role;

insert into public.plan_limits (plan_id, credit_type, allowance) values
  ('free', 'message', 10), ('free', 'integration', 100), ('free', 'project', 3),
  ('starter', 'message', 100), ('starter', 'integration', 2000), ('starter', 'project', null),
  ('builder', 'message', 250), ('builder', 'integration', 10000), ('builder', 'project', null),
  ('pro', 'message', 500), ('pro', 'integration', 20000), ('pro', 'project', null),
  ('elite', 'message', 1200), ('elite', 'integration', 50000), ('elite', 'project', null);
