-- @ for the service role alone: amount_not_checked no_limit
create function add_credits(p_user_id uuid, p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits - p_amount where id = p_user_id $$;
revoke execute on function add_credits from public, anon, authenticated;

-- @ an administrator's, by a table of roles:
create function add_credits(p_user_id uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select 1 from public.user_roles where user_id = auth.uid() and role = 'admin') then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = p_user_id;
end $$;

-- @ an administrator's, by a helper:
create function add_credits(p_user_id uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not public.is_admin() then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = p_user_id;
end $$;

-- @ an administrator's, by what the token says:
create function add_credits(p_user_id uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if coalesce(auth.jwt() -> 'app_metadata' ->> 'role', '') <> 'admin' then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = p_user_id;
end $$;

-- @ a webhook that knows a secret:
create function stripe_webhook(p_secret text, payload jsonb) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_secret is distinct from (select decrypted_secret from vault.decrypted_secrets where name = 'stripe') then raise exception 'no'; end if;
  update public.profiles set credits = credits + (payload ->> 'amount')::int where id = (payload ->> 'user_id')::uuid;
end $$;

-- @ the rights of whoever calls:
create function add_credits(p_amount integer) returns void language sql set search_path = '' as
  $$ update public.profiles set credits = credits + p_amount where id = auth.uid() $$;

-- @ a spend as it should be:
create function spend(p_amount integer) returns integer language plpgsql security definer set search_path = '' as $$
declare v_left integer;
begin
  if p_amount is null or p_amount < 1 then raise exception 'invalid amount'; end if;
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount returning credits into v_left;
  if not found then raise exception 'insufficient'; end if;
  insert into public.credit_ledger (user_id, amount, reason) values (auth.uid(), p_amount, 'usage');
  return v_left;
end $$;

-- @ a sign asked for the other way: client_names_price
create function spend(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not (p_amount > 0) then raise exception 'invalid amount'; end if;
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount;
end $$;

-- @ a sign asked for with coalesce: client_names_price
create function spend(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if coalesce(p_amount, 0) <= 0 then raise exception 'invalid amount'; end if;
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount;
end $$;

-- @ one of a few amounts: client_names_price
create function spend(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_amount not in (1, 5, 10) then raise exception 'invalid amount'; end if;
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount;
end $$;

-- @ a domain that is positive: client_names_price
create domain positive_int as integer check (value > 0);
create function spend(p_amount positive_int) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount $$;

-- @ an amount without its sign:
create function spend(p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits - abs(p_amount) where id = auth.uid() and credits >= abs(p_amount) $$;

-- @ a sign asked for in the statement: client_names_price
create function spend(p_amount integer) returns void language sql security definer set search_path = ''
begin atomic
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount and p_amount > 0;
end;

-- @ the caller's own id, in a variable:
create function use_credit(p_user_id uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_uid uuid := auth.uid();
begin
  if v_uid is null or v_uid <> p_user_id then raise exception 'not yours'; end if;
  update public.profiles set credits = credits - 1 where id = p_user_id and credits > 0;
end $$;

-- @ a job of the caller's:
create function start_job(p_job_id uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select 1 from public.jobs j where j.id = p_job_id and j.user_id = (select auth.uid())) then raise exception 'no'; end if;
  update public.profiles set credits = credits - 1 where id = auth.uid() and credits > 0;
end $$;

-- @ a helper that asks who calls:
create function require_self(p_user uuid) returns void language plpgsql set search_path = '' as $$
begin if p_user is distinct from auth.uid() then raise exception 'not yours'; end if; end $$;
create function use_credit(p_user_id uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  perform public.require_self(p_user_id);
  update public.profiles set credits = credits - 1 where id = p_user_id and credits > 0;
end $$;

-- @ a code that is used up: credits_on_conditions
create function redeem(p_code text) returns integer language plpgsql security definer set search_path = '' as $$
declare v_worth integer;
begin
  update public.promo_codes set used_by = auth.uid() where code = p_code and used_by is null returning worth into v_worth;
  if not found then raise exception 'unknown code'; end if;
  update public.profiles set credits = credits + v_worth where id = auth.uid();
  return v_worth;
end $$;

-- @ a refund of a job that failed, whose cost only the backend writes: credits_on_conditions
revoke insert on jobs from anon, authenticated;
create function cancel_job(p_job_id uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_cost integer;
begin
  update public.jobs set status = 'cancelled' where id = p_job_id and user_id = auth.uid() and status = 'queued' returning cost into v_cost;
  if v_cost is not null then
    update public.profiles set credits = credits + v_cost where id = auth.uid();
  end if;
end $$;

-- @ a bonus once a day: credits_on_conditions
create function claim_daily() returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits + 5, last_claimed_at = now()
     where id = auth.uid() and (last_claimed_at is null or last_claimed_at < current_date) $$;

-- @ a grant of ours once a day:
create function claim_daily() returns void language plpgsql security definer set search_path = '' as $$
begin
  perform public.grant_credits(auth.uid(), 'message', 5, p_idempotency_key => 'daily ' || current_date);
end $$;

-- @ a row locked before it is read:
create function use_credit() returns void language plpgsql security definer set search_path = '' as $$
declare v_credits integer;
begin
  select credits into v_credits from public.profiles where id = auth.uid() for update;
  if v_credits < 1 then raise exception 'no credits'; end if;
  update public.profiles set credits = v_credits - 1 where id = auth.uid();
end $$;

-- @ a check on the table catches the second:
alter table profiles add check (credits >= 0);
create function use_credit() returns void language plpgsql security definer set search_path = '' as $$
begin
  if (select credits from public.profiles where id = auth.uid()) < 1 then raise exception 'no credits'; end if;
  update public.profiles set credits = credits - 1 where id = auth.uid();
end $$;

-- @ read after it was written:
alter table profiles add check (credits >= 0);
create function use_credit() returns integer language plpgsql security definer set search_path = '' as $$
declare v_left integer;
begin
  update public.profiles set credits = credits - 1 where id = auth.uid();
  select credits into v_left from public.profiles where id = auth.uid();
  return v_left;
end $$;

-- @ taking everything away:
create function close_me() returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = 0, full_name = null where id = auth.uid() $$;

-- @ reading is no writing:
create function get_credits(p_user_id uuid) returns integer language sql stable security definer set search_path = '' as
  $$ select credits from public.profiles where id = p_user_id $$;

-- @ counting what was used:
create table quotas (user_id uuid primary key, messages_used integer not null default 0);
alter table quotas enable row level security;
create function count_message() returns void language sql security definer set search_path = '' as
  $$ insert into public.quotas as q (user_id, messages_used) values (auth.uid(), 1)
     on conflict (user_id) do update set messages_used = q.messages_used + 1 $$;

-- @ a query with a quoted name:
create function count_rows(p_table text) returns bigint language plpgsql security definer set search_path = '' as $$
declare v_count bigint;
begin
  if p_table not in ('jobs', 'messages') then raise exception 'no'; end if;
  execute format('select count(*) from public.%I where user_id = $1', p_table) into v_count using auth.uid();
  return v_count;
end $$;

-- @ a procedure, which the API does not serve:
create procedure add_proc(p_user_id uuid, p_amount integer) language plpgsql security definer set search_path = '' as $$
begin update public.profiles set credits = credits + p_amount where id = p_user_id; end $$;

-- @ a trigger on rows that only the backend adds:
create table payments (id uuid primary key, user_id uuid, amount integer);
alter table payments enable row level security;
create function on_payment() returns trigger language plpgsql security definer set search_path = '' as $$
begin update public.profiles set credits = credits + new.amount where id = new.user_id; return new; end $$;
create trigger on_payment after insert on payments for each row execute function on_payment();

-- @ a trigger that takes:
create function charge_job() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - 1 where id = new.user_id and credits > 0;
  if not found then raise exception 'no credits'; end if;
  return new;
end $$;
create trigger charge_job before insert on jobs for each row execute function charge_job();

-- @ what is in a comment is not done:
create function nothing(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  -- update public.profiles set credits = credits + p_amount where id = auth.uid();
  /* perform public.grant_credits(auth.uid(), 'message', p_amount); */
  return;
end $$;
