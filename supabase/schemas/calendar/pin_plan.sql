-- edge: result=PlanPin callers=service_role repeatable
--   Keep an account at a version of the plan it is on, whatever is published; None lets it go.
--
--   Raises:
--       InvalidArgument: the plan has no such version.
--       AccountNotFound.
create function public.pin_plan(p_user_id uuid, p_version integer default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  return credits.respond(credits.pin(credits.paying_account(p_user_id, p_workspace_id), p_version));
end
$$;
comment on function public.pin_plan(uuid, integer, uuid) is
  'Keeps an account at a version of the plan it is on, from its next period on and whatever is '
  'published. Without a version it is let go. On another plan it counts for nothing.';
revoke all on function public.pin_plan(uuid, integer, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.pin_plan(uuid, integer, uuid) to service_role;

create function credits.pin(p_account_id uuid, p_version integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_plan_id text;
begin
  select max(b.settled_at) into v_now from credits.lock_account(p_account_id) b;
  v_plan_id := (credits.spell_at(p_account_id, v_now)).plan_id;
  if p_version is not null and not exists (
    select 1 from credits.plan_versions v where v.plan_id = v_plan_id
      and v.version = p_version) then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_version', 'value', p_version,
      'plan', v_plan_id, 'latest', credits.latest_version(v_plan_id)),
        'The plan of this account has no such version.');
  end if;
  update credits.subscriptions b set
    pinned_plan_id = case when p_version is not null then v_plan_id end, pinned_version = p_version
  where b.account_id = p_account_id;
  update credits.balances b set due_at = least(b.due_at, b.settled_at)
    where b.account_id = p_account_id;
  perform credits.lock_account(p_account_id);
  return credits.account_answer(p_account_id) || credits.subscription_answer(p_account_id, v_now)
    || jsonb_build_object('version', p_version);
end
$$;
comment on function credits.pin(uuid, integer) is
  'Pins an account to a version of the plan that it is on, or lets it go.';
revoke all on function credits.pin(uuid, integer) from public, anon, authenticated, service_role;
