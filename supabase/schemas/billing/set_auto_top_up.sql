-- edge: result=AutoTopUp callers=service_role repeatable
--   Buy packs automatically when an account has fewer than ``threshold`` credits of a type left.
--
--   As many whole packs as lift it to the threshold, ``monthly_cap`` packs a month at most. It
--   rests while the plan is past due, and after a decline until the card changes or a day is over.
--
--   Raises:
--       InvalidArgument: no such pack of this type, or a threshold or cap that cannot be.
--       UnknownCreditType, AccountNotFound.
create function public.set_auto_top_up(
  p_user_id uuid, p_credit_type text, p_threshold bigint, p_pack_id text, p_monthly_cap integer,
  p_enabled boolean default true, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.paying_account(
    p_user_id, p_workspace_id, coalesce(p_credit_type, ''));
  v_argument text;
begin
  if not exists (
    select 1 from public.credit_packs k
    where k.id = p_pack_id and k.credit_type = p_credit_type) then
    perform credits.refuse_pack(p_pack_id);
  end if;
  v_argument := case
    when p_threshold is null or p_threshold not between 1 and 9007199254740992 then 'p_threshold'
    when p_monthly_cap is null or p_monthly_cap not between 1 and 1000000 then 'p_monthly_cap'
    when p_enabled is null then 'p_enabled' end;
  if v_argument is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', v_argument),
      'The threshold is credits, the cap packs a month, each from 1; enabled is true or false.');
  end if;
  perform credits.keep_auto_top_up(v_account_id, row(v_account_id, p_credit_type, p_user_id,
    p_threshold, p_pack_id, p_monthly_cap, p_enabled, 'ready', null, null,
    null)::credits.auto_top_ups);
  return credits.respond(credits.auto_top_up_answer(v_account_id, p_credit_type));
end
$$;
comment on function public.set_auto_top_up(uuid, text, bigint, text, integer, boolean, uuid) is
  'Buys packs automatically when an account has fewer than p_threshold credits of a type left: '
  'as many whole packs as lift it to the threshold, p_monthly_cap packs a month at most.';
revoke all on function public.set_auto_top_up(uuid, text, bigint, text, integer, boolean, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.set_auto_top_up(uuid, text, bigint, text, integer, boolean, uuid)
  to service_role;

create function credits.keep_auto_top_up(p_account_id uuid, p_auto credits.auto_top_ups)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform 1 from credits.lock_balance(p_account_id, p_auto.credit_type);
  -- A purchase that is on its way goes on. To switch it on again by hand ends a stop.
  insert into credits.auto_top_ups as a (
    account_id, credit_type, user_id, threshold, pack_id, monthly_cap, is_enabled)
  values (p_account_id, p_auto.credit_type, p_auto.user_id, p_auto.threshold, p_auto.pack_id,
    p_auto.monthly_cap, p_auto.is_enabled)
  on conflict (account_id, credit_type) do update set
    user_id = excluded.user_id, threshold = excluded.threshold, pack_id = excluded.pack_id,
    monthly_cap = excluded.monthly_cap, is_enabled = excluded.is_enabled, note = null,
    state = case when a.state = 'in_flight' then a.state else 'ready' end, stopped_at = null;
  update credits.balances b set
    top_up_below = case when p_auto.is_enabled then p_auto.threshold end
  where b.account_id = p_account_id and b.credit_type = p_auto.credit_type;
end
$$;
comment on function credits.keep_auto_top_up(uuid, credits.auto_top_ups) is
  'Writes the settings of an automatic top-up, and looks at once whether it is due.';
revoke all on function credits.keep_auto_top_up(uuid, credits.auto_top_ups)
  from public, anon, authenticated, service_role;

create function credits.auto_top_up_answer(p_account_id uuid, p_credit_type text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('success', true, 'code', 'ok', 'account_id', a.account_id,
      'credit_type', a.credit_type, 'threshold', a.threshold, 'pack_id', a.pack_id,
      'monthly_cap', a.monthly_cap, 'enabled', a.is_enabled, 'state', a.state,
      'order_id', case when a.state = 'in_flight' then a.order_id end,
      'stopped_at', a.stopped_at, 'note', a.note)
    from credits.auto_top_ups a
    where a.account_id = p_account_id and a.credit_type = p_credit_type);
end
$$;
comment on function credits.auto_top_up_answer(uuid, text) is
  'The settings of an automatic top-up, and how it stands.';
revoke all on function credits.auto_top_up_answer(uuid, text)
  from public, anon, authenticated, service_role;
