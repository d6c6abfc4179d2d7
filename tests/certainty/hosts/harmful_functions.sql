-- @ the add_credits of a tutorial: anyone_gets_credits user_id_not_checked definer_without_search_path
CREATE OR REPLACE FUNCTION add_credits(user_id UUID, amount INTEGER)
RETURNS void AS $$
BEGIN
  UPDATE profiles SET credits = credits + amount WHERE id = user_id;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

-- @ a top-up that asks only whether somebody is signed in: anyone_gets_credits user_id_not_checked
create function increment_credits(p_user_id uuid, p_amount integer) returns integer
language plpgsql security definer set search_path = public as $$
declare v_new integer;
begin
  if auth.uid() is null then
    raise exception 'Not authenticated';
  end if;
  if p_amount <= 0 then raise exception 'Amount must be positive'; end if;
  update profiles set credits = coalesce(credits, 0) + p_amount, updated_at = now() where id = p_user_id
  returning credits into v_new;
  return v_new;
end $$;

-- @ current_user is always the owner: anyone_gets_credits
create function grant_bonus(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if current_user <> 'postgres' then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = auth.uid() and p_amount > 0;
end $$;

-- @ a bonus that can be claimed again and again: anyone_gets_credits
create function claim_bonus() returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits + 100 where id = auth.uid() $$;

-- @ a pack that nobody asks to be paid: anyone_gets_credits
create function buy_pack(p_pack_id uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_credits integer;
begin
  select credits into v_credits from public.coin_packs where id = p_pack_id;
  update public.profiles set credits = credits + v_credits where id = auth.uid();
end $$;

-- @ the deduct_credits that an assistant writes: user_id_not_checked amount_not_checked read_then_write client_names_price
create or replace function public.deduct_credits(p_user_id uuid, p_amount integer) returns jsonb
language plpgsql security definer set search_path = public as $$
declare
  current_credits integer;
begin
  select credits into current_credits from profiles where id = p_user_id;
  if current_credits is null then
    return jsonb_build_object('success', false, 'error', 'User not found');
  end if;
  if current_credits < p_amount then
    return jsonb_build_object('success', false, 'error', 'Insufficient credits');
  end if;
  update profiles set credits = current_credits - p_amount, updated_at = now() where id = p_user_id;
  return jsonb_build_object('success', true, 'remaining', current_credits - p_amount);
end $$;

-- @ a figure worked out in one line and written in another: amount_not_checked read_then_write client_names_price
create function spend(p_amount integer) returns integer language plpgsql security definer set search_path = public as $$
declare
  v_profile profiles%rowtype;
  v_new integer;
begin
  select * into v_profile from profiles where id = auth.uid();
  if v_profile.credits < p_amount then raise exception 'insufficient'; end if;
  v_new := v_profile.credits - p_amount;
  update profiles set credits = v_new where id = auth.uid();
  return v_new;
end $$;

-- @ one atomic statement without a sign: amount_not_checked client_names_price
create function spend(p_amount integer) returns boolean language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount;
  return found;
end $$;

-- @ greatest(…, 0) checks no sign: amount_not_checked client_names_price no_limit
create function spend(p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = greatest(credits - p_amount, 0) where id = auth.uid() $$;

-- @ standard SQL, and an id of anybody: anyone_gets_credits user_id_not_checked
create function top_up(p_user uuid, p_amount integer) returns integer language sql security definer set search_path = ''
begin atomic
  update public.profiles as p set credits = p.credits + p_amount where p.id = p_user returning p.credits;
end;

-- @ upsert of a balance: anyone_gets_credits
create function save_credits(p_credits integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles as p (id, credits) values (auth.uid(), p_credits)
  on conflict (id) do update set credits = excluded.credits;
end $$;

-- @ merge: anyone_gets_credits
create function merge_credits(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  merge into public.profiles p using (select auth.uid() as id) s on s.id = p.id
  when matched then update set credits = p.credits + p_amount;
end $$;

-- @ a list of columns: anyone_gets_credits
create function save_all(p_name text, p_credits integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set (full_name, credits) = (p_name, p_credits) where id = auth.uid();
end $$;

-- @ a row of the ledger: anyone_gets_credits user_id_not_checked
create function log_credits(p_user_id uuid, p_amount integer, p_reason text) returns void
language plpgsql security definer set search_path = '' as $$
begin
  insert into public.credit_ledger (user_id, amount, reason) values (p_user_id, p_amount, p_reason);
end $$;

-- @ a ledger that is summed before it is written: amount_not_checked read_then_write client_names_price
create function spend(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
declare v_balance integer;
begin
  select coalesce(sum(amount), 0) into v_balance from public.credit_ledger where user_id = auth.uid();
  if v_balance < p_amount then raise exception 'insufficient'; end if;
  insert into public.credit_ledger (user_id, amount, reason) values (auth.uid(), -p_amount, 'spend');
end $$;

-- @ a counter in json: anyone_gets_credits
create function give(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set settings = jsonb_set(coalesce(settings, '{}'), '{credits}',
    to_jsonb(coalesce((settings ->> 'credits')::int, 0) + p_amount)) where id = auth.uid();
end $$;

-- @ taking out of json: amount_not_checked client_names_price
create function take(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set settings = jsonb_set(settings, '{credits}', to_jsonb((settings ->> 'credits')::int - p_amount))
  where id = auth.uid() and (settings ->> 'credits')::int >= p_amount;
end $$;

-- @ names in capitals: anyone_gets_credits
create table "UserCredits" ("userId" uuid primary key, "creditBalance" integer not null default 0);
alter table "UserCredits" enable row level security;
create function "addCredits"("creditAmount" integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public."UserCredits" set "creditBalance" = "creditBalance" + "creditAmount" where "userId" = auth.uid();
end $$;

-- @ through another function: anyone_gets_credits
create function _add(p_user uuid, p_amount integer) returns void language sql set search_path = '' as
  $$ update public.profiles set credits = credits + p_amount where id = p_user $$;
revoke execute on function _add from public, anon, authenticated;
create function add_credits(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin perform public._add(auth.uid(), p_amount); end $$;

-- @ through two functions, for anybody: user_id_not_checked
create function _take(p_user uuid) returns void language sql set search_path = '' as
  $$ update public.profiles set credits = credits - 1 where id = p_user and credits > 0 $$;
create function _bill(p_user uuid) returns void language sql set search_path = '' as $$ select public._take(p_user) $$;
revoke execute on function _take, _bill from public, anon, authenticated;
create function run_job(p_user_id uuid) returns void language plpgsql security definer set search_path = '' as $$
begin perform public._bill(p_user_id); end $$;

-- @ through a procedure: anyone_gets_credits
create procedure add_proc(p_amount integer) language plpgsql set search_path = '' as $$
begin update public.profiles set credits = credits + p_amount where id = auth.uid(); end $$;
create function add_credits(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin call public.add_proc(p_amount); end $$;

-- @ another schema that is open: anyone_gets_credits
create schema api;
grant usage on schema api to anon, authenticated;
create function api.add(p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits + p_amount where id = auth.uid() $$;

-- @ one of two overloads: anyone_gets_credits
create function give(p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits + p_amount where id = auth.uid() $$;
create function give(p_user uuid, p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits + p_amount where id = p_user $$;
revoke execute on function give(uuid, integer) from public, anon, authenticated;

-- @ a view in between: anyone_gets_credits
create view wallets with (security_invoker = true) as select id, credits from profiles;
revoke all on wallets from anon, authenticated;
create function give(p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.wallets set credits = credits + p_amount where id = auth.uid() $$;

-- @ a query in a string: anyone_gets_credits
create function give(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  execute format('update public.profiles set credits = credits + %s where id = %L', p_amount, auth.uid());
end $$;

-- @ the exec_sql of a tool: anyone_runs_sql definer_without_search_path
create function exec_sql(query text) returns json language plpgsql security definer as $$
declare result json;
begin
  execute 'select json_agg(t) from (' || query || ') t' into result;
  return result;
end $$;

-- @ a filter pasted into a query: anyone_runs_sql
create function search(p_table text, p_filter text) returns setof json language plpgsql security definer set search_path = '' as $$
begin
  return query execute format('select to_json(t) from public.%I t where %s', p_table, p_filter);
end $$;

-- @ a coalesce to whoever asks: user_id_not_checked
create function use_credit(p_user_id uuid default null) returns void language plpgsql security definer set search_path = '' as $$
declare v_user uuid := coalesce(p_user_id, auth.uid());
begin
  update public.profiles set credits = credits - 1 where id = v_user and credits > 0;
end $$;

-- @ an id that is only written down beside the caller's: user_id_not_checked
create function use_credit(p_user_id uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - 1 where id = p_user_id and credits > 0;
  insert into public.jobs (user_id, cost, result) values (p_user_id, 1, 'by ' || auth.uid());
end $$;

-- @ an email for an id: user_id_not_checked
create function use_credit(p_email text) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits - 1 where email = p_email and credits > 0 $$;

-- @ a payload of json: anyone_gets_credits user_id_not_checked
create function handle_payment(payload jsonb) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits + (payload ->> 'amount')::int where id = (payload ->> 'user_id')::uuid;
end $$;

-- @ a grant of ours under a key of the caller's: anyone_gets_credits
create function claim(p_key text) returns jsonb language plpgsql security definer set search_path = '' as $$
begin
  return to_jsonb(public.grant_credits(auth.uid(), 'message', 5, p_idempotency_key => p_key));
end $$;

-- @ a plan of the caller's choice, through a helper: anyone_gets_credits
create function _set_plan(p_user uuid, p_plan text) returns void language plpgsql set search_path = '' as
  $$ begin perform public.change_plan(p_user, p_plan); end $$;
create function choose_plan(p_plan text) returns void language plpgsql security definer set search_path = '' as
  $$ begin perform public._set_plan(auth.uid(), p_plan); end $$;

-- @ a trigger on rows that users add: anyone_gets_credits users_write_balance
create table purchases (id uuid primary key default gen_random_uuid(), user_id uuid not null, amount integer not null);
alter table purchases enable row level security;
create policy "Users add their purchases" on purchases for insert to authenticated with check (user_id = auth.uid());
create function on_purchase() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits + new.amount where id = new.user_id;
  return new;
end $$;
create trigger on_purchase after insert on purchases for each row execute function on_purchase();

-- @ a counter of what was used, lowered by the caller: anyone_gets_credits
create table quotas (user_id uuid primary key, messages_used integer not null default 0);
alter table quotas enable row level security;
create function reset_usage() returns void language sql security definer set search_path = '' as
  $$ update public.quotas set messages_used = 0 where user_id = auth.uid() $$;

-- @ a counter of what was used, raised by a negative amount: amount_not_checked client_names_price
create table quotas (user_id uuid primary key, credits_used integer not null default 0);
alter table quotas enable row level security;
create function use(p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.quotas set credits_used = credits_used + p_amount where user_id = auth.uid() $$;

-- @ a role that users give themselves: anyone_gets_credits trusts_user_metadata
create function give(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if (auth.jwt() -> 'user_metadata' ->> 'role') is null then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = auth.uid();
end $$;

-- @ a plan that comes with the sign-up: trusts_user_metadata
create function on_sign_up() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles (id, plan) values (new.id, coalesce(new.raw_user_meta_data ->> 'plan', 'free'));
  return new;
end $$;

-- @ a race behind a helper: read_then_write
create function get_credits(p_user uuid) returns integer language sql stable set search_path = '' as
  $$ select credits from public.profiles where id = p_user $$;
create function use_credit() returns void language plpgsql security definer set search_path = '' as $$
declare v_credits integer := public.get_credits(auth.uid());
begin
  if v_credits < 1 then raise exception 'no credits'; end if;
  update public.profiles set credits = v_credits - 1 where id = auth.uid();
end $$;
