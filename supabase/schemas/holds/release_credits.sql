create function credits.release(p_account_id uuid, p_user_id uuid, p_reservation_id uuid,
  p_reason text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_locked record;
  v_balance credits.balances;
  v_hold public.credit_reservations;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_balance := v_locked.p_balance;
  v_hold := v_locked.p_reservation;
  if v_hold.status <> 'open' then
    perform credits.raise_error('reservation_closed',
      jsonb_build_object('reservation_id', v_hold.id, 'status', v_hold.status, 'captured',
        v_hold.captured));
  end if;
  perform credits.require_holder(p_account_id, p_user_id, v_hold.user_id);
  v_balance := credits.close_hold(p_account_id, v_balance, v_hold, p_reason);
  return credits.answer(v_balance, v_hold.operation_id, v_hold.amount + v_hold.extra
    - v_hold.captured)
    || jsonb_build_object('reservation_id', v_hold.id, 'released', v_hold.amount + v_hold.extra
      - v_hold.captured);
end
$$;
comment on function credits.release(uuid, uuid, uuid, text) is
  'Gives a hold back to its grants, once. What returns to an expired grant expires at once.';
revoke all on function credits.release(uuid, uuid, uuid, text)
  from public, anon, authenticated, service_role;

create function credits.close_hold(
  p_account_id uuid, inout p_balance credits.balances, p_hold public.credit_reservations,
  p_reason text)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  p_balance := credits.release_slices(p_account_id, p_balance, p_hold.id);
  update public.credit_reservations r set
    status = 'released', released = r.amount + r.extra - r.captured,
      closed_at = p_balance.settled_at, close_reason = p_reason
  where r.account_id = p_account_id and r.id = p_hold.id;
  p_balance := credits.expire_ended(p_account_id, p_balance, p_hold.operation_id);
  p_balance := credits.align_allowance(p_account_id, p_balance, p_hold.operation_id);
  p_balance := credits.save_balance(p_account_id, p_balance);
end
$$;
comment on function credits.close_hold(uuid, credits.balances, public.credit_reservations, text) is
  'Releases an open hold on the locked balance, and writes it back.';
revoke all on function credits.close_hold(uuid, credits.balances, public.credit_reservations, text)
  from public, anon, authenticated, service_role;

-- edge: result=Release callers=service_role repeatable
--   Give a hold back without charging anything.
--
--   Raises:
--       ReservationNotFound: the account has no such hold.
--       ReservationClosed: it is no longer open. When the first answer got lost on the way, this is
--           the second:
--           ``details["status"]`` is then ``released``.
--       Forbidden: another member holds it.
create function public.release_credits(
  p_user_id uuid, p_reservation_id uuid, p_reason text default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(1, p_reason, null, null, 'p_reason');
  return credits.respond(credits.release(credits.paying_account(p_user_id, p_workspace_id),
    p_user_id, p_reservation_id, p_reason));
end
$$;
comment on function public.release_credits(uuid, uuid, text, uuid) is
  'Gives a hold back without charging anything. Raises reservation_closed when it is no longer '
  'open.';
revoke all on function public.release_credits(uuid, uuid, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.release_credits(uuid, uuid, text, uuid) to service_role;
