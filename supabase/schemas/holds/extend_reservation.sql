-- edge: result=Reservation callers=service_role repeatable
--   Keep a hold open for ``ttl_seconds`` (1 second to 24 hours) from now; it never ends sooner than
--   it would have.
--
--   Raises:
--       ReservationNotFound, ReservationClosed: it is open no longer.
--       Forbidden: another member holds it.
--       AccountFrozen, InvalidArgument.
create function public.extend_reservation(
  p_user_id uuid, p_reservation_id uuid, p_ttl_seconds integer default 900,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  perform credits.check_ttl(p_ttl_seconds);
  return credits.respond(credits.extend(credits.paying_account(p_user_id, p_workspace_id),
    p_user_id, p_reservation_id, p_ttl_seconds));
end
$$;
comment on function public.extend_reservation(uuid, uuid, integer, uuid) is
  'Keeps a hold that lives open for p_ttl_seconds from now, never shorter than it was. Answers '
  'expires_at. Raises reservation_closed when it is no longer open.';
revoke all on function public.extend_reservation(uuid, uuid, integer, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.extend_reservation(uuid, uuid, integer, uuid) to service_role;

create function credits.extend(p_account_id uuid, p_user_id uuid, p_reservation_id uuid,
  p_ttl_seconds integer)
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
  v_expires_at timestamptz;
begin
  v_locked := credits.lock_reservation(p_account_id, p_reservation_id);
  v_balance := v_locked.p_balance;
  v_hold := v_locked.p_reservation;
  if v_hold.status <> 'open' then
    perform credits.raise_error('reservation_closed',
      jsonb_build_object('reservation_id', v_hold.id, 'status', v_hold.status, 'captured',
        v_hold.captured));
  elsif v_balance.account_status <> 'active' then
    perform credits.refuse_status(p_account_id, v_balance.account_status);
  end if;
  perform credits.require_holder(p_account_id, p_user_id, v_hold.user_id);
  v_expires_at := greatest(v_hold.expires_at,
    v_balance.settled_at + make_interval(secs => p_ttl_seconds));
  if v_expires_at > v_hold.expires_at then
    update public.credit_reservations r set expires_at = v_expires_at,
      extended_at = v_balance.settled_at
    where r.account_id = p_account_id and r.id = p_reservation_id;
    v_balance := credits.save_balance(p_account_id, v_balance);
  end if;
  return credits.answer(v_balance, v_hold.operation_id, v_hold.amount + v_hold.extra
    - v_hold.captured)
    || jsonb_build_object('reservation_id', v_hold.id, 'expires_at', v_expires_at);
end
$$;
comment on function credits.extend(uuid, uuid, uuid, integer) is
  'Moves the end of an open hold to p_ttl_seconds from now, if that is later. What it has pinned '
  'is read by its end, so nothing else changes.';
revoke all on function credits.extend(uuid, uuid, uuid, integer)
  from public, anon, authenticated, service_role;

create function credits.require_holder(p_account_id uuid, p_user_id uuid, p_holder_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- The work is done by who holds for it, whatever their role is by now.
  if p_user_id not in (p_account_id, p_holder_id) then
    perform credits.require_standing(p_account_id, p_user_id, '{owner,admin}');
  end if;
end
$$;
comment on function credits.require_holder(uuid, uuid, uuid) is
  'Raises account_not_found or forbidden for who may not extend or release a hold: only its '
  'maker and those who oversee the workspace may. Call it with the balance locked.';
revoke all on function credits.require_holder(uuid, uuid, uuid)
  from public, anon, authenticated, service_role;

create function credits.check_ttl(p_ttl_seconds integer)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_ttl_seconds is null or p_ttl_seconds not between 1 and 86400 then
    perform credits.raise_error('invalid_argument',
      jsonb_build_object('argument', 'p_ttl_seconds', 'value', p_ttl_seconds),
      'A hold lives for 1 to 86400 seconds.');
  end if;
end
$$;
comment on function credits.check_ttl(integer) is
  'Raises invalid_argument for what is no time for a hold to live.';
revoke all on function credits.check_ttl(integer) from public, anon, authenticated, service_role;
