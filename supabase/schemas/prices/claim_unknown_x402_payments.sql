-- edge: result=X402Unknown.payments callers=service_role
--   Claim payments of which the facilitator has not said whether they were settled, to ask again.
--
--   Also those whose server died over them. Each has ``payment_key``, ``claim_id`` and what was
--   ``presented``. End each claim by ``finish_x402_payment``.
--
--   Raises:
--       InvalidArgument: ``limit`` is not 1 to 1000.
create function public.claim_unknown_x402_payments(p_limit integer default 20)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_before timestamptz := v_now - interval '5 seconds';
  v_payments jsonb;
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.refuse_argument('p_limit', 'The limit is 1 to 1000 payments.');
  end if;
  with claimed as (
    update credits.x402_payments x set claim_id = gen_random_uuid(), claimed_at = v_now
    where x.payment_key in (
      select u.payment_key from credits.x402_payments u
      where u.state in ('claimed', 'unknown') and u.presented is not null
        and u.claimed_at < case when u.claim_id is null then v_before
          else v_now - interval '2 minutes' end
      order by u.claimed_at limit p_limit for update skip locked)
    returning x.payment_key, x.claim_id, x.presented)
  select jsonb_agg(to_jsonb(c) order by c.payment_key) into v_payments from claimed c;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'payments', coalesce(v_payments, '[]')));
end
$$;
comment on function public.claim_unknown_x402_payments(integer) is
  'For a worker: claims agents'' payments of which it is not known whether they were settled, the '
  'oldest first, and answers what was presented.';
revoke all on function public.claim_unknown_x402_payments(integer)
  from public, anon, authenticated, service_role;
grant execute on function public.claim_unknown_x402_payments(integer) to service_role;
