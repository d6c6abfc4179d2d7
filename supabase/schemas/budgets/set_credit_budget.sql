create function credits.budget_account(
  p_user_id uuid, p_workspace_id uuid, p_roles text[], p_credit_type text)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if p_workspace_id is not null then
    perform credits.require_standing(p_workspace_id, p_user_id, p_roles);
  end if;
  return credits.paying_account(p_user_id, p_workspace_id, p_credit_type);
end
$$;
comment on function credits.budget_account(uuid, uuid, text[], text) is
  'The account whose budgets are meant: one''s own, or a workspace in which one has such a role.';
revoke all on function credits.budget_account(uuid, uuid, text[], text)
  from public, anon, authenticated, service_role;

create function credits.check_budget(
  p_account_id uuid, p_limit bigint, p_window text, p_scope text, p_scope_value text,
  p_hours integer)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if coalesce(p_limit not between 0 and 9007199254740992, true) then
    perform credits.refuse_argument('p_limit',
      'A limit is a whole number of credits from 0 to 9007199254740992.');
  elsif coalesce(p_window not in (
    'draw', 'rolling', 'day', 'week', 'month', 'period', 'in_flight'), true) then
    perform credits.refuse_argument('p_window',
      'A window is draw, rolling, day, week, month, period or in_flight.');
  elsif coalesce((p_window = 'rolling') <> (p_hours is not null)
    or p_hours not between 1 and 8784, false) then
    perform credits.refuse_argument('p_hours',
      'A rolling window has 1 to 8784 hours; no other window has any.');
  elsif coalesce(p_scope not in ('workspace', 'role', 'member', 'metadata'), true) then
    perform credits.refuse_argument('p_scope',
      'A scope is workspace, role, member or metadata.');
  elsif coalesce(case p_scope
    when 'workspace' then p_scope_value is not null
    when 'role' then coalesce(p_scope_value not in ('owner', 'admin', 'member', 'viewer'), true)
    when 'metadata' then coalesce(p_scope_value !~ '^[^=]+=.' or length(p_scope_value) > 300, true)
    else not credits.is_somebody(p_account_id, p_scope_value) end, true) then
    perform credits.refuse_argument('p_scope_value',
      'The value is a role, the id of a member (none for each member separately), or key=value for '
      'metadata, such as actor=bob. The scope workspace has none.');
  end if;
end
$$;
comment on function credits.check_budget(uuid, bigint, text, text, text, integer) is
  'Raises invalid_argument for what is no budget.';
revoke all on function credits.check_budget(uuid, bigint, text, text, text, integer)
  from public, anon, authenticated, service_role;

create function credits.is_somebody(p_account_id uuid, p_member text)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return p_member is null or p_member = p_account_id::text or exists (
    select 1 from public.credit_workspace_members m
    where m.account_id = p_account_id and m.user_id::text = lower(p_member));
end
$$;
comment on function credits.is_somebody(uuid, text) is
  'Whether a text is the id of somebody who may spend from an account, or none.';
revoke all on function credits.is_somebody(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.note_budgets(p_account_id uuid, p_credit_type text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update credits.balances l set has_budgets = n.has_budgets, common_budgets = n.common_budgets
  from credits.counted_budgets(p_account_id, p_credit_type) n
  where l.account_id = p_account_id and l.credit_type = p_credit_type;
end
$$;
comment on function credits.note_budgets(uuid, text) is
  'Writes into the balance whether it has budgets, and how many count every spend.';
revoke all on function credits.note_budgets(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.counted_budgets(
  p_account_id uuid, p_credit_type text, out has_budgets boolean, out common_budgets smallint)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- What holds alone count leaves spends be.
  select count(*) > 0, case when count(*) > 0 and bool_and(b.window_kind = 'in_flight'
      or b.window_kind <> 'draw' and b.scope_value is null and b.scope in ('workspace', 'member'))
    then count(*) filter (where b.window_kind <> 'in_flight') end
    into has_budgets, common_budgets
  from public.credit_budgets b
  where b.account_id = p_account_id and b.credit_type = p_credit_type;
end
$$;
comment on function credits.counted_budgets(uuid, text) is
  'Whether there are budgets of a balance, and how many count every spend, where all do.';
revoke all on function credits.counted_budgets(uuid, text)
  from public, anon, authenticated, service_role;

create function credits.set_credit_budget(
  p_user_id uuid, p_workspace_id uuid, p_credit_type text, p_limit bigint, p_window text,
  p_scope text, p_scope_value text, p_hours integer)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := credits.acting_user(p_user_id);
  v_account_id uuid := credits.budget_account(
    v_user_id, p_workspace_id, '{owner,admin}', coalesce(p_credit_type, ''));
  v_at timestamptz := clock_timestamp();
  v_id uuid;
begin
  perform credits.check_budget(v_account_id, p_limit, p_window, p_scope, p_scope_value, p_hours);
  perform credits.lock_balance(v_account_id, p_credit_type);
  -- In place: what it has counted stays.
  insert into public.credit_budgets as b (account_id, credit_type, scope, scope_value, window_kind,
    hours, credit_limit, user_id, created_at, updated_at)
  values (v_account_id, p_credit_type, p_scope,
    case p_scope when 'member' then lower(p_scope_value) else p_scope_value end, p_window, p_hours,
    p_limit, v_user_id, v_at, v_at)
  on conflict (account_id, credit_type, window_kind, hours, scope, scope_value) do update
    set credit_limit = excluded.credit_limit, user_id = excluded.user_id,
      updated_at = excluded.updated_at
  returning b.id into v_id;
  if (select count(*) from public.credit_budgets b
      where b.account_id = v_account_id and b.credit_type = p_credit_type) > 200 then
    perform credits.raise_error('forbidden', '{"most": 200}',
      'An account has at most 200 budgets of a credit type. Delete one first.');
  end if;
  update credits.budget_uses u set credit_limit = p_limit
  where u.account_id = v_account_id and u.budget_id = v_id;
  perform credits.note_budgets(v_account_id, p_credit_type);
  return credits.respond(credits.budget_answer(v_account_id, v_user_id, p_workspace_id, v_id));
end
$$;
comment on function credits.set_credit_budget(uuid, uuid, text, bigint, text, text, text,
  integer) is
  'What set_credit_budget does, after asking who calls.';
revoke all on function credits.set_credit_budget(uuid, uuid, text, bigint, text, text, text,
  integer)
  from public, anon, authenticated, service_role;
grant execute on function credits.set_credit_budget(uuid, uuid, text, bigint, text, text, text,
  integer)
  to authenticated, service_role;

-- edge: result=Budget callers=authenticated,service_role repeatable
-- edge: required=user_id,credit_type,limit,window
--   Limit what may be spent of a credit type in a window, by everybody or some.
--
--   ``window`` is ``draw`` (one spend), ``rolling`` with ``hours``, ``day``, ``week``, ``month``,
--   ``period``, or ``in_flight`` (what holds have pinned). ``scope`` is ``workspace``, ``role``,
--   ``member`` (without ``scope_value`` each member separately) or ``metadata``, such as
--   ``actor=bob``. The same window, hours, scope and value again change the limit, and what was
--   counted stays. Without a workspace it is for one's own account.
--
--   Raises:
--       Forbidden: the user is neither owner nor admin of the workspace.
--       AccountNotFound, UnknownCreditType, InvalidArgument.
create function public.set_credit_budget(
  p_user_id uuid default null, p_workspace_id uuid default null, p_credit_type text default null,
  p_limit bigint default null, p_window text default null, p_scope text default 'workspace',
  p_scope_value text default null, p_hours integer default null)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return credits.set_credit_budget(p_user_id, p_workspace_id, p_credit_type, p_limit, p_window,
  p_scope, p_scope_value, p_hours);
comment on function public.set_credit_budget(uuid, uuid, text, bigint, text, text, text, integer) is
  'Limits what may be spent of a credit type in a window, by a workspace, a role, a member or a '
  'key of metadata; without p_workspace_id for one''s own account. The same window, hours, scope '
  'and value again change the limit in place. A spend that does not fit is denied: '
  'member_cap_reached.';
revoke all on function public.set_credit_budget(uuid, uuid, text, bigint, text, text, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.set_credit_budget(uuid, uuid, text, bigint, text, text, text,
  integer)
  to authenticated, service_role;
