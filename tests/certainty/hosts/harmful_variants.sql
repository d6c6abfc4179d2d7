-- @ assistant style w/ exceptions: user_id_not_checked amount_not_checked client_names_price
CREATE OR REPLACE FUNCTION public.use_credits(
  _user_id uuid,
  _amount integer DEFAULT 1
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path TO 'public' AS $function$
DECLARE _rows integer;
BEGIN
  UPDATE public.profiles AS pr
     SET credits = pr.credits - _amount
   WHERE pr.id = _user_id
     AND pr.credits >= _amount;
  GET DIAGNOSTICS _rows = ROW_COUNT;
  RETURN _rows = 1;
EXCEPTION WHEN OTHERS THEN RETURN false;
END;
$function$;

-- @ positional: anyone_gets_credits user_id_not_checked
create function credit_user(uuid, int) returns void language sql security definer set search_path = '' as
 'update public.profiles set credits = credits + $2 where id = $1';

-- @ out params: user_id_not_checked amount_not_checked client_names_price
create function deduct(in p_user_id uuid, out ok boolean, in p_cost numeric, out left_over int) language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - p_cost where id = p_user_id and credits >= p_cost returning credits into left_over;
  ok := found;
end $$;

-- @ for loop batch: anyone_gets_credits user_id_not_checked
create function bulk_add(p_ids uuid[], p_amount int) returns void language plpgsql security definer set search_path = '' as $$
declare i uuid;
begin
  foreach i in array p_ids loop
    update public.profiles set credits = credits + p_amount where id = i;
  end loop;
end $$;

-- @ cte: anyone_gets_credits
create function topup(p_amount int) returns int language sql security definer set search_path = '' as $$
  with u as (update public.profiles set credits = credits + p_amount where id = auth.uid() returning credits) select credits from u
$$;

-- @ if then raise inline, new balance returned: read_then_write
create function burn() returns int language plpgsql security definer set search_path = '' as $$
declare bal int; begin
  bal := (select p.credits from public.profiles p where p.id = auth.uid());
  if bal <= 0 then return -1; end if;
  bal := bal - 1;
  update public.profiles set credits = bal where id = auth.uid();
  return bal;
end $$;

-- @ transfer unchecked: amount_not_checked
create function transfer(p_to uuid, p_amount int) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount;
  if not found then raise exception 'insufficient'; end if;
  update public.profiles set credits = credits + p_amount where id = p_to;
end $$;

-- @ monthly reset by cron, left open: anyone_gets_credits
create function reset_all() returns void language sql security definer set search_path = '' as
 $$ update public.profiles set credits = 100 $$;

-- @ refund wrapper of anybody's operation: anyone_gets_credits
create function undo(p_operation uuid) returns jsonb language plpgsql security definer set search_path = '' as $$
begin return to_jsonb(public.refund_credits(auth.uid(), p_operation)); end $$;

-- @ update plan rpc on own table: anyone_gets_plan
create function upgrade_me(p_plan text) returns void language sql security definer set search_path = '' as
 $$ update public.profiles set plan = p_plan where id = auth.uid() $$;

-- @ make me admin: anyone_gets_role user_id_not_checked
create function promote(p_user uuid, p_role text) returns void language sql security definer set search_path = '' as
 $$ insert into public.user_roles (user_id, role) values (p_user, p_role) on conflict (user_id) do update set role = excluded.role $$;

-- @ sum as condition and negative cost allowed by case: amount_not_checked client_names_price
create function pay(cost int) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles p set credits = case when p.credits >= cost then p.credits - cost else p.credits end where p.id = auth.uid();
end $$;

-- @ one function for both ways: anyone_gets_credits amount_not_checked user_id_not_checked no_limit
create function update_credits(p_user_id uuid, p_amount int, p_operation text) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_operation = 'subtract' then
    update public.profiles set credits = credits - p_amount where id = p_user_id;
  elsif p_operation = 'add' then
    update public.profiles set credits = credits + p_amount where id = p_user_id;
  end if;
end $$;

-- @ both ways in one expression: anyone_gets_credits no_limit
create function change(p_amount int, p_kind text) returns void language sql security definer set search_path = '' as
 $$ update public.profiles set credits = case p_kind when 'down' then credits - abs(p_amount) else credits + p_amount end where id = auth.uid() $$;
