-- edge: result=UncollectedEntry callers=service_role keyed
--   Put on record that work was done and could not be charged, or a charge not given back.
--
--   ``kind`` is ``charge`` or ``refund``. The account need not be there any more. ``reason`` is a
--   slug: ``insufficient_credits``, ``account_frozen``, ``unavailable`` and so on. The same
--   ``idempotency_key`` makes one entry.
--
--   Raises:
--       InvalidAmount, InvalidArgument, UnknownCreditType.
create function public.record_uncollected(
  p_user_id uuid, p_credit_type text, p_amount bigint, p_reason text,
  p_description text default null, p_idempotency_key text default null,
  p_kind text default 'charge', p_workspace_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := coalesce(p_workspace_id, p_user_id);
  v_key text := coalesce(p_idempotency_key, gen_random_uuid()::text);
  v_entry credits.uncollected;
  v_is_new boolean;
begin
  perform credits.check_request(p_amount, p_description, p_idempotency_key, null);
  perform credits.check_uncollected(p_user_id, p_credit_type, p_reason, p_kind);
  insert into credits.uncollected as u (
    account_id, kind, user_id, credit_type, amount, reason, description, idempotency_key,
    created_at)
  values (
    v_account_id, p_kind, p_user_id, p_credit_type, p_amount, p_reason, p_description, v_key,
    clock_timestamp())
  on conflict (account_id, idempotency_key) do nothing;
  v_is_new := found;
  select u.* into v_entry
  from credits.uncollected u
  where u.account_id = v_account_id and u.idempotency_key = v_key;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'uncollected_id', v_entry.id,
    'account_id', v_account_id, 'amount', v_entry.amount, 'replayed', not v_is_new));
end
$$;
comment on function public.record_uncollected(uuid, text, bigint, text, text, text, text, uuid) is
  'Puts on record that work was done and could not be charged, or that a charge could not be '
  'given back, once for each key. The account may be gone.';
revoke all on function public.record_uncollected(uuid, text, bigint, text, text, text, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function
  public.record_uncollected(uuid, text, bigint, text, text, text, text, uuid) to service_role;
