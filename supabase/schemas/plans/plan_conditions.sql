-- Whether a plan has a price, whether it is the default one, and its grace may change while
-- accounts are on it. What has happened is judged by what was so then, so each change is kept.

create table credits.plan_conditions (
  plan_id text not null,
  since timestamptz not null,
  is_paid boolean not null,
  is_default boolean not null,
  past_due_grace interval not null,
  constraint plan_conditions_pkey primary key (plan_id, since)
);
comment on table credits.plan_conditions is
  'What plans were, from when on: with a price, the default one, with which grace. Kept when the '
  'plan is gone: past periods are judged by it.';
alter table credits.plan_conditions enable row level security;
revoke all on table credits.plan_conditions from public, anon, authenticated, service_role;

create function credits.record_plan_condition()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  insert into credits.plan_conditions (plan_id, since, is_paid, is_default, past_due_grace)
  values (new.id, v_now, new.price_cents > 0, new.is_default, new.past_due_grace)
  on conflict (plan_id, since) do update set is_paid = excluded.is_paid,
    is_default = excluded.is_default, past_due_grace = excluded.past_due_grace;
  return null;
end
$$;
comment on function credits.record_plan_condition() is
  'Keeps what a plan is from now on, from wherever the change comes.';
revoke all on function credits.record_plan_condition()
  from public, anon, authenticated, service_role;
create trigger plans_record_condition
  after insert or update of id, price_cents, is_default, past_due_grace on public.plans
  for each row execute function credits.record_plan_condition();
insert into credits.plan_conditions (plan_id, since, is_paid, is_default, past_due_grace)
select p.id, p.created_at, p.price_cents > 0, p.is_default, p.past_due_grace from public.plans p;

create function credits.plan_condition_at(
  p_plan_id text, p_at timestamptz,
  out is_paid boolean, out is_default boolean, out past_due_grace interval)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Of a younger plan, what it was at first.
  select c.is_paid, c.is_default, c.past_due_grace into is_paid, is_default, past_due_grace
  from credits.plan_conditions c where c.plan_id = p_plan_id
  order by c.since <= p_at desc, case when c.since <= p_at then c.since end desc, c.since limit 1;
end
$$;
comment on function credits.plan_condition_at(text, timestamptz) is
  'What a plan was at an instant: with a price, the default one, with which grace.';
revoke all on function credits.plan_condition_at(text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.default_plan_at(p_at timestamptz)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select c.plan_id from credits.plan_conditions c where c.is_default
    order by c.since <= p_at desc, case when c.since <= p_at then c.since end desc, c.since
    limit 1);
end
$$;
comment on function credits.default_plan_at(timestamptz) is
  'The default plan of an instant: the last one that had become it.';
revoke all on function credits.default_plan_at(timestamptz)
  from public, anon, authenticated, service_role;

create function credits.has_been_default(p_plan_id text)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return exists (
    select 1 from credits.plan_conditions c where c.plan_id = p_plan_id and c.is_default);
end
$$;
comment on function credits.has_been_default(text) is
  'Whether a plan is the default one, or was: what it gave are free credits of a person.';
revoke all on function credits.has_been_default(text)
  from public, anon, authenticated, service_role;
