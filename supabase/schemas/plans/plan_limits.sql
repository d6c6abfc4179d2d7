create table public.plan_limits (
  plan_id text not null constraint plan_limits_plan_id_fkey references public.plans (id)
    on update cascade on delete cascade,
  credit_type text not null constraint plan_limits_credit_type_fkey
    references credits.credit_types (id),
  allowance bigint,
  rollover_cap bigint not null default 0,
  constraint plan_limits_pkey primary key (plan_id, credit_type),
  constraint plan_limits_allowance_is_whole_credits
    check (allowance between 0 and 9007199254740992),
  constraint plan_limits_rollover_cap_is_whole_credits
    check (rollover_cap between 0 and 9007199254740992)
);
comment on table public.plan_limits is
  'What a plan includes of each credit type, as it is on sale now: a change makes a new version '
  'of the plan. A missing row means none.';
comment on column public.plan_limits.allowance is
  'Whole credits per period, or how many may exist for a limit. Null is unlimited. A new figure '
  'counts from an account''s next period, a limit at once.';
comment on column public.plan_limits.rollover_cap is
  'How many unspent credits of the allowance move into the next period, at whose end they expire.';
alter table public.plan_limits enable row level security;
revoke all on table public.plan_limits from public, anon, authenticated, service_role;
grant select on table public.plan_limits to anon, authenticated, service_role;
create policy "Everybody may read the plan limits" on public.plan_limits
  for select to anon, authenticated using (true);

insert into public.plan_limits (plan_id, credit_type, allowance) values
  ('free', 'message', 10), ('free', 'integration', 100), ('free', 'project', 3),
  ('starter', 'message', 100), ('starter', 'integration', 2000), ('starter', 'project', null),
  ('builder', 'message', 250), ('builder', 'integration', 10000), ('builder', 'project', null),
  ('pro', 'message', 500), ('pro', 'integration', 20000), ('pro', 'project', null),
  ('elite', 'message', 1200), ('elite', 'integration', 50000), ('elite', 'project', null);
