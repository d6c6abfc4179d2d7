create function credits.plan_terms_at(
  p_account_id uuid, p_credit_type text, p_at timestamptz,
  out plan_id text, out allowance bigint, out rollover_cap bigint, out renews boolean, out is_past_grace boolean,
  out anchor_at timestamptz, out time_zone text, out changes_at timestamptz)
language sql
stable
security invoker
set search_path = ''
as $$
  select t.plan_id,
    case when l.plan_id is null then 0 else l.allowance end,
    coalesce(l.rollover_cap, 0),
    t.past_due_since is null or t.past_due_since > p_at,
    t.is_past_grace,
    t.anchor_at, t.time_zone,
    -- When the terms change next: a pending plan begins, or the grace ends.
    least(case when t.pending_at > p_at then t.pending_at end,
          case when not t.is_past_grace then t.past_due_since + t.past_due_grace end)
  from (
    select s.anchor_at, s.time_zone, s.pending_at, p.id as plan_id, p.past_due_grace,
      case when p.price_cents > 0 then s.past_due_since end as past_due_since,
      coalesce(p.price_cents > 0 and s.past_due_since + p.past_due_grace <= p_at, false) as is_past_grace
    from public.subscriptions s
    join public.plans p on p.id = case when s.pending_at <= p_at then s.pending_plan_id else s.plan_id end
    where s.account_id = p_account_id
  ) t
  left join public.plan_limits l
    on l.credit_type = p_credit_type
    and l.plan_id = case when t.is_past_grace then (select d.id from public.plans d where d.is_default) else t.plan_id end
$$;
comment on function credits.plan_terms_at(uuid, text, timestamptz) is
  'What the subscription gives an account of one credit type at an instant: the plan, its allowance (null = unlimited), whether a period starting then is renewed, and whether the grace of a past due subscription is over, so that plan credits are frozen and the default plan''s limits apply.';
revoke all on function credits.plan_terms_at(uuid, text, timestamptz) from public, anon, authenticated, service_role;
