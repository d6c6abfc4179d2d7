-- edge: result=PlanList.plans callers=service_role repeatable
--   All plans with their prices and limits, the smallest first.
--
--   ``livemode`` says whose prices are meant, test or live; None takes live ones once one is
--   registered, as an order does.
create function public.list_plans(p_livemode boolean default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return jsonb_build_object('success', true, 'code', 'ok', 'plans', (
    select jsonb_agg(jsonb_build_object(
      'id', p.id, 'name', p.name, 'description', p.description, 'rank', p.rank, 'price_cents',
      p.price_cents,
      'currency', p.currency, 'prices', credits.plan_prices(p.id, p_livemode),
      'per_seat', p.per_seat,
      'is_default', p.is_default, 'version', credits.latest_version(p.id), 'limits', (
        select coalesce(
          jsonb_agg(jsonb_build_object('credit_type', l.credit_type, 'kind', t.kind, 'allowance',
          l.allowance,
          'unlimited', l.allowance is null, 'rollover_cap', l.rollover_cap) order by l.credit_type),
            '[]')
        from public.plan_limits l
        join credits.credit_types t on t.id = l.credit_type
        where l.plan_id = p.id)) order by p.rank)
    from public.plans p));
end
$$;
comment on function public.list_plans(boolean) is
  'All plans with their prices and limits, the smallest first: what a pricing page shows.';
revoke all on function public.list_plans(boolean) from public, anon, authenticated, service_role;
grant execute on function public.list_plans(boolean) to service_role;
