create function credits.subscription_now(
  p_account_id uuid, out plan_id text, out plan_version integer, out status text,
  out quantity integer,
  out anchor_at timestamptz, out time_zone text, out pending_plan_id text,
  out pending_at timestamptz,
  out past_due_since timestamptz, out trial_ends_at timestamptz)
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_at timestamptz := credits.account_time(p_account_id);
  s credits.subscription_spells := credits.spell_at(p_account_id, v_at);
begin
  plan_id := s.plan_id;
  plan_version := credits.period_version(p_account_id, s,
    (select p.period_start from credits.spell_period(s, v_at) p));
  status := s.status;
  quantity := s.quantity;
  anchor_at := s.anchor_at;
  time_zone := s.time_zone;
  pending_plan_id := s.pending_plan_id;
  pending_at := s.pending_at;
  past_due_since := s.past_due_since;
  trial_ends_at := s.trial_ends_at;
end
$$;
comment on function credits.subscription_now(uuid) is
  'The subscription of an account at this moment. Reached through public.subscriptions alone, '
  'which passes it accounts that the caller may read.';
revoke all on function credits.subscription_now(uuid)
  from public, anon, authenticated, service_role;
grant execute on function credits.subscription_now(uuid) to authenticated, service_role;

create view public.subscriptions
with (security_invoker = true)
as
select b.account_id, b.user_id, n.plan_id, n.plan_version, n.status, n.quantity, n.anchor_at,
  n.time_zone, n.pending_plan_id,
  n.pending_at, n.past_due_since, n.trial_ends_at, b.is_managed, b.covered_until, b.created_at,
  b.updated_at
from credits.subscriptions b
cross join lateral credits.subscription_now(b.account_id) n;
comment on view public.subscriptions is
  'Which plan an account is on at this moment, whatever job ran. One row per account. Users see '
  'their own and their workspaces''.';
comment on column public.subscriptions.user_id is 'The person; null for a workspace.';
comment on column public.subscriptions.plan_version is
  'The version of the plan whose figures count for the account.';
comment on column public.subscriptions.quantity is
  'Seats: the plan''s allowances are multiplied by it.';
comment on column public.subscriptions.anchor_at is
  'Periods end n whole months after this instant, in time_zone.';
comment on column public.subscriptions.pending_plan_id is
  'The plan that follows at pending_at: a downgrade or a cancellation.';
comment on column public.subscriptions.past_due_since is
  'Since when it is not paid for: no new allowance, and after the plan''s grace its credits are '
  'frozen.';
comment on column public.subscriptions.covered_until is
  'Up to when a payment provider has been paid; null where none manages it.';
revoke all on table public.subscriptions from public, anon, authenticated, service_role;
grant select on table public.subscriptions to authenticated, service_role;

create trigger subscriptions_are_never_written instead of insert or update
  or delete on public.subscriptions
  for each row execute function credits.refuse_computed_rows();
