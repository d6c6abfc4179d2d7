-- edge: result=PlanChanges callers=service_role repeatable reads=plans:plan_items
--   Make plans what they should be, all or none; with ``dry_run`` only say what would change.
--
--   Each has ``id`` and what of it should change: ``name``, ``description``, ``rank``,
--   ``price_cents``, ``currency``, ``per_seat``, and ``limits`` by credit type: ``allowance`` (None
--   is unlimited) and ``rollover_cap``. A changed plan is a new version.
--
--   Raises:
--       InvalidArgument: ``details["plan"]`` says which plan cannot be so.
--       UnknownCreditType.
create function public.set_plans(p_plans jsonb, p_dry_run boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_plan jsonb;
  v_changes jsonb := jsonb '[]';
begin
  if jsonb_typeof(p_plans) is distinct from 'array' or jsonb_array_length(p_plans) > 1000 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_plans"}',
      'Plans are a list of at most 1000 objects.');
  end if;
  begin
    for v_plan in select p.value from jsonb_array_elements(p_plans) p loop
      v_changes := v_changes || credits.set_plan(v_plan);
    end loop;
    if p_dry_run then
      raise exception using errcode = 'SN001';
    end if;
  exception when sqlstate 'SN001' then
    -- What was written is taken back; what it was is known.
    null;
  end;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'dry_run', coalesce(p_dry_run, false), 'changes', v_changes));
end
$$;
comment on function public.set_plans(jsonb, boolean) is
  'Makes plans and their limits what p_plans says, all or none, and answers what each figure was '
  'before. A plan that is not named stays. With p_dry_run it only says what would change.';
revoke all on function public.set_plans(jsonb, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.set_plans(jsonb, boolean) to service_role;

create function credits.set_plan(p_plan jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_before jsonb;
  v_new jsonb;
begin
  if jsonb_typeof(p_plan) is distinct from 'object' or not p_plan ? 'id'
     or jsonb_typeof(coalesce(p_plan -> 'limits', '{}')) <> 'object'
     or p_plan - '{id, name, description, rank, price_cents, currency, per_seat, limits}'::text[]
       <> '{}' then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_plans',
      'plan', p_plan -> 'id'), 'A plan is an object with id and what of it should change.');
  end if;
  v_before := credits.plan_figures(p_plan ->> 'id');
  v_new := coalesce(v_before, '{"description": "", "currency": "usd", "per_seat": false}')
    || (p_plan - 'limits');
  insert into public.plans as p (id, name, description, rank, price_cents, currency, per_seat)
  values (p_plan ->> 'id', v_new ->> 'name', v_new ->> 'description', (v_new ->> 'rank')::integer,
    (v_new ->> 'price_cents')::bigint, v_new ->> 'currency', (v_new ->> 'per_seat')::boolean)
  on conflict (id) do update set name = excluded.name, description = excluded.description,
    rank = excluded.rank, price_cents = excluded.price_cents, currency = excluded.currency,
    per_seat = excluded.per_seat;
  perform credits.set_plan_limits(p_plan ->> 'id', coalesce(p_plan -> 'limits', '{}'));
  return credits.plan_changes(p_plan ->> 'id', v_before, credits.plan_figures(p_plan ->> 'id'));
exception
  when check_violation or not_null_violation or unique_violation or invalid_text_representation
    or numeric_value_out_of_range then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_plans',
      'plan', p_plan -> 'id', 'because', sqlerrm), 'The plan cannot be so: ' || sqlerrm || '.');
    return null;
end
$$;
comment on function credits.set_plan(jsonb) is
  'Makes one plan what it should be, and lists what has changed.';
revoke all on function credits.set_plan(jsonb) from public, anon, authenticated, service_role;

create function credits.set_plan_limits(p_plan_id text, p_limits jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_unknown text;
begin
  select l.key into v_unknown from jsonb_object_keys(p_limits) l(key)
  where not exists (select 1 from credits.credit_types t where t.id = l.key) limit 1;
  if v_unknown is not null then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object('credit_type', v_unknown,
      'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
  end if;
  insert into public.plan_limits as f (plan_id, credit_type, allowance, rollover_cap)
  select p_plan_id, l.key, (l.value ->> 'allowance')::bigint,
    coalesce((l.value ->> 'rollover_cap')::bigint, 0)
  from jsonb_each(p_limits) l
  on conflict (plan_id, credit_type) do update
    set allowance = excluded.allowance, rollover_cap = excluded.rollover_cap
  where (f.allowance, f.rollover_cap) is distinct from (excluded.allowance, excluded.rollover_cap);
end
$$;
comment on function credits.set_plan_limits(text, jsonb) is
  'Makes the limits of a plan what they should be. Raises unknown_credit_type.';
revoke all on function credits.set_plan_limits(text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.plan_figures(p_plan_id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('name', p.name, 'description', p.description, 'rank', p.rank,
      'price_cents', p.price_cents, 'currency', p.currency, 'per_seat', p.per_seat) || coalesce((
        select jsonb_object_agg(l.credit_type, coalesce(l.allowance::text, 'unlimited')
          || case when l.rollover_cap > 0 then ', rollover ' || l.rollover_cap else '' end)
        from public.plan_limits l where l.plan_id = p.id), '{}')
    from public.plans p where p.id = p_plan_id);
end
$$;
comment on function credits.plan_figures(text) is
  'What a plan is now, with its limits in words, to compare with later; null where there is none.';
revoke all on function credits.plan_figures(text) from public, anon, authenticated, service_role;

create function credits.plan_changes(p_plan_id text, p_before jsonb, p_after jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('plan_id', p_plan_id, 'what', a.key,
      'before', p_before -> a.key, 'after', a.value) order by a.key), '[]')
    from jsonb_each(p_after) a
    where a.value is distinct from p_before -> a.key);
end
$$;
comment on function credits.plan_changes(text, jsonb, jsonb) is
  'What of a plan has changed, figure by figure.';
revoke all on function credits.plan_changes(text, jsonb, jsonb)
  from public, anon, authenticated, service_role;
