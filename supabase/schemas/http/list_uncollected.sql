-- edge: result=UncollectedList callers=service_role repeatable
--   What was done and could not be charged, the newest first, with the sum of each credit type.
--
--   Rows of the kind ``refund`` were charged and could not be given back; ``owed`` is their sum.
--   ``user_id`` None is everybody's. What was resolved is left out.
--
--   Raises:
--       InvalidArgument: ``limit`` is not 1 to 1000.
create function public.list_uncollected(
  p_user_id uuid default null, p_limit integer default 100, p_workspace_id uuid default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
  v_rows jsonb;
  v_totals jsonb;
  v_owed jsonb;
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_limit', 'value', p_limit),
      'The limit is 1 to 1000.');
  end if;
  select coalesce(jsonb_agg(to_jsonb(r) order by r.created_at desc, r.uncollected_id), '[]')
    into v_rows
  from (
    select u.id as uncollected_id, u.kind, u.account_id, u.user_id, u.credit_type, u.amount,
      u.reason, u.description, u.created_at
    from credits.uncollected u
    where u.resolved_at is null and (v_account_id is null or u.account_id = v_account_id)
    order by u.created_at desc, u.id
    limit p_limit
  ) r;
  select
    coalesce(jsonb_object_agg(t.credit_type, t.amount) filter (where t.kind = 'charge'), '{}'),
    coalesce(jsonb_object_agg(t.credit_type, t.amount) filter (where t.kind = 'refund'), '{}')
    into v_totals, v_owed
  from (
    select u.kind, u.credit_type, sum(u.amount) as amount
    from credits.uncollected u
    where u.resolved_at is null and (v_account_id is null or u.account_id = v_account_id)
    group by u.kind, u.credit_type
  ) t;
  return jsonb_build_object('success', true, 'code', 'ok', 'rows', v_rows, 'totals', v_totals,
    'owed', v_owed);
end
$$;
comment on function public.list_uncollected(uuid, integer, uuid) is
  'What was done and could not be charged, of one account or of all, the newest first, and the '
  'sum by credit type.';
revoke all on function public.list_uncollected(uuid, integer, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.list_uncollected(uuid, integer, uuid) to service_role;
