create function credits.rehearse_checklist()
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_user uuid := gen_random_uuid();
  v_seen jsonb := jsonb '[]';
  v_message jsonb;
  v_project jsonb;
  v_denied jsonb;
  v_warned jsonb;
  v_reset jsonb;
  v_limit bigint;
  v_count integer := 0;
begin
  -- A standby, or a backup that is only to be looked at.
  if current_setting('transaction_read_only')::boolean then
    return (select jsonb_agg(jsonb_build_object('line', l, 'ok', null, 'seen',
      'not tried, this session may only read'))
      from generate_series(1, 10) l);
  end if;
  begin
    insert into auth.users (id) values (v_user);
    select to_jsonb(n) into v_message from public.credit_balances n where n.user_id = v_user
      and n.credit_type = 'message';
    select to_jsonb(n) into v_project from public.credit_balances n where n.user_id = v_user
      and n.credit_type = 'project';
    v_seen := v_seen || jsonb_build_object('line', 1, 'ok', v_message is not null,
      'seen', format('%s tables, %s functions', (
        select count(*) from pg_catalog.pg_class c where c.relnamespace in ('public'::regnamespace,
          'credits'::regnamespace)
          and c.relkind = 'r'
          and c.relname ~ '^(plans|plan_|subscriptions|credit_|usage|workspace|accounts|balances)'),
          (
        select count(*) from pg_catalog.pg_proc p where p.pronamespace = 'credits'::regnamespace)));
    v_seen := v_seen || jsonb_build_object('line', 2,
      'ok', v_message ->> 'remaining' = (
          select l.allowance::text from public.plan_limits l join public.plans p on p.id = l.plan_id
          where p.is_default and l.credit_type = 'message')
        and v_project ->> 'remaining' = (
          select l.allowance::text from public.plan_limits l join public.plans p on p.id = l.plan_id
          where p.is_default and l.credit_type = 'project'),
      'seen', format('a new user has %s message credits and %s projects', v_message ->> 'remaining',
        v_project ->> 'remaining'));

    -- A generation takes a message credit and a project, a chat message takes a message credit.
    v_limit := (v_project ->> 'remaining')::bigint;
    loop
      v_count := v_count + 1;
      v_denied := public.consume_credits_batch(v_user,
        '[{"credit_type": "message"}, {"credit_type": "project"}]');
      exit when v_denied ->> 'code' <> 'ok' or v_count > v_limit;
    end loop;
    v_seen := v_seen || jsonb_build_object('line', 4, 'ok', v_denied ->> 'code' = 'limit_reached'
      and v_count = v_limit + 1,
      'seen', format('generation %s: %s', v_count, v_denied ->> 'message'));
    select b.value into v_warned
      from jsonb_array_elements(public.get_credit_summary(v_user) -> 'balances') b
    where b.value ->> 'credit_type' = 'project';
    v_seen := v_seen || jsonb_build_object('line', 7,
      'ok', (v_warned ->> 'allowance')::bigint = v_limit
        and (v_warned ->> 'used')::bigint = v_limit,
      'seen', format('the summary says %s of %s projects', v_warned ->> 'used',
        v_warned ->> 'allowance'));

    v_warned := null;
    loop
      v_denied := public.consume_credits(v_user, 'message', 1, 'checklist');
      exit when v_denied ->> 'code' <> 'ok' or (v_denied ->> 'used')::bigint > 1000000;
      if v_warned is null then
        select b.value into v_warned
          from jsonb_array_elements(public.get_credit_summary(v_user) -> 'balances') b
        where b.value ->> 'credit_type' = 'message' and b.value ->> 'warning' = 'low';
      end if;
    end loop;
    v_seen := v_seen || jsonb_build_object('line', 5,
      'ok', v_denied ->> 'code' = 'insufficient_credits'
        and v_denied ->> 'used' = v_message ->> 'remaining',
      'seen', format('after %s messages: %s', v_denied ->> 'used', v_denied ->> 'message'));
    v_seen := v_seen || jsonb_build_object('line', 8,
      'ok', coalesce(v_denied #>> '{details,upgrade_url}', '') <> '',
      'seen', format('the denial links to %s', v_denied #>> '{details,upgrade_url}'));
    v_seen := v_seen || jsonb_build_object('line', 9,
      'ok', coalesce((v_warned ->> 'percent_used')::integer between 80 and 99, false),
      'seen', format('the warning came at %s %%', v_warned ->> 'percent_used'));
    v_denied := public.consume_credits_batch(v_user,
      '[{"credit_type": "message"}, {"credit_type": "project"}]');
    v_seen := v_seen || jsonb_build_object('line', 3,
      'ok', v_denied ->> 'code' in ('insufficient_credits', 'limit_reached'),
      'seen', format('the next generation: %s', v_denied ->> 'message'));
    v_seen := v_seen || jsonb_build_object('line', 6, 'ok', null, 'seen', null);

    perform public.reset_monthly_credits(v_user);
    select to_jsonb(n) into v_reset from public.credit_balances n where n.user_id = v_user
      and n.credit_type = 'message';
    v_seen := v_seen || jsonb_build_object('line', 10,
      'ok', v_reset ->> 'remaining' = v_message ->> 'remaining'
        and v_reset ->> 'period_end' = v_message ->> 'period_end',
      'seen', format('%s message credits again, in the same period', v_reset ->> 'remaining'));
    raise exception using errcode = 'PTRBK', message = 'rehearsal over';
  exception when sqlstate 'PTRBK' then
    -- The probe user and all it did are gone; what was seen is in the variable.
    perform set_config('response.status', '200', true);
  end;
  return v_seen;
end
$$;
comment on function credits.rehearse_checklist() is
  'Plays the guide''s checklist with a probe user inside a subtransaction that is rolled back, and '
  'answers what was seen.';
revoke all on function credits.rehearse_checklist() from public, anon, authenticated, service_role;

-- edge: result=Checklist callers=service_role repeatable slow
--   Try the guide's checklist with a probe user of whom nothing stays.
create function public.verify_checklist()
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'success', bool_and((s.value ->> 'ok')::boolean) is not false, 'code', 'ok',
    'checks', jsonb_agg(jsonb_build_object('line', l.line, 'name', l.name,
      'ok', (s.value ->> 'ok')::boolean,
      'seen', s.value ->> 'seen') order by l.line))
  from (values
    (1, 'Database schema applied successfully'),
    (2, 'New users get the default free plan'),
    (3, 'Generation blocked after credit exhaustion'),
    (4, 'Generation blocked after the project limit'),
    (5, 'Chat blocked after credit exhaustion'),
    (6, 'Usage dashboard shows correct information'),
    (7, 'Project limits displayed for free users'),
    (8, 'Error messages include upgrade links'),
    (9, 'Credit warnings appear at 80% usage'),
    (10, 'Monthly reset function works correctly')
  ) as l(line, name)
  left join jsonb_array_elements(credits.rehearse_checklist()) as s(value)
    on (s.value ->> 'line')::integer = l.line
$$;
comment on function public.verify_checklist() is
  'Tries the ten lines of the guide''s checklist on this database with a probe user of whom '
  'nothing stays. ok is null where a line needs the web app, which the caller checks, and where '
  'the session may only read.';
revoke all on function public.verify_checklist() from public, anon, authenticated, service_role;
grant execute on function public.verify_checklist() to service_role;
