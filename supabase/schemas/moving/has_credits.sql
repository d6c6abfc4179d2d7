-- What a project's own policies ask: may this user's row be there, by the credits that the user has
-- now?

create function credits.read_room(p_credit_type text, p_amount bigint)
returns bigint
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  perform credits.check_request(p_amount, null, null, null);
  return credits.room_of(auth.uid(), p_credit_type);
end
$$;
comment on function credits.read_room(text, bigint) is
  'What room_of says of the signed-in user; raises where p_amount is no amount.';
revoke all on function credits.read_room(text, bigint)
  from public, anon, authenticated, service_role;
grant execute on function credits.read_room(text, bigint) to authenticated, service_role;

create function credits.room_of(p_user_id uuid, p_credit_type text)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_balance credits.balances;
  v_room bigint;
begin
  if not exists (select 1 from credits.credit_types t where t.id = p_credit_type) then
    perform credits.raise_error('unknown_credit_type', jsonb_build_object(
      'credit_type', p_credit_type,
      'known', (select jsonb_agg(t.id order by t.id) from credits.credit_types t)));
  end if;
  select * into v_balance from credits.balances b
  where b.account_id = p_user_id and b.credit_type = p_credit_type and b.account_status = 'active';
  if not found then
    return 0;
  end if;
  -- The instant of public.credit_balances, so that a policy and a page say the same.
  select n.remaining into v_room
  from credits.balance_at(p_user_id, v_balance,
    greatest(coalesce(v_balance.test_now, statement_timestamp()), v_balance.settled_at)) n;
  return v_room;
end
$$;
comment on function credits.room_of(uuid, text) is
  'Credits of this type that a person could spend now, or how many more may exist of a limit; null '
  'is unlimited, 0 for an account that is not active.';
revoke all on function credits.room_of(uuid, text) from public, anon, authenticated, service_role;

-- edge: result=bool callers=authenticated,service_role repeatable
--   Whether the signed-in user could spend ``amount`` credits now: for policies of your own tables.
--
--   It reads and holds nothing: two rows that are inserted at the same time are both let in.
--
--   Raises:
--       InvalidAmount, UnknownCreditType.
create function public.has_credits(p_credit_type text, p_amount bigint default 1)
returns boolean
language sql
stable
security invoker
set search_path = ''
-- A missing amount is asked about as well, and refused: a bare comparison with null is folded away.
return (
  select r.room is null or r.room >= p_amount
  from (select credits.read_room(p_credit_type, p_amount) as room offset 0) r);
comment on function public.has_credits(text, bigint) is
  'Whether the signed-in user could spend p_amount credits now, right to the second: for policies '
  'of your own tables, written as (select has_credits(''message'')). Nobody signed in, a frozen or '
  'a closed account have none. It holds nothing: what must not be spent twice is consumed.';
revoke all on function public.has_credits(text, bigint)
  from public, anon, authenticated, service_role;
grant execute on function public.has_credits(text, bigint) to authenticated, service_role;
