-- @ a debit that writes a ledger without a word of money in its name: user_id_not_checked amount_not_checked no_limit client_names_price
create table entries (id bigint generated always as identity primary key, holder uuid not null, pages integer not null);
create table readers (person uuid primary key, sheets integer not null default 0);
alter table entries enable row level security;
alter table readers enable row level security;
create function keep_sheets() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update public.readers set sheets = sheets + new.pages where person = new.holder;
  return new;
end $$;
create trigger keep_sheets after insert on entries for each row execute function keep_sheets();
create function may_print(p_user uuid) returns boolean language sql stable set search_path = '' as
  $$ select sheets > 0 from public.readers where person = p_user $$;
create function debit(p_user uuid, p_pages integer) returns void language sql security definer set search_path = '' as
  $$ insert into public.entries (holder, pages) values (p_user, -p_pages) $$;

-- @ making somebody an administrator by e-mail: anyone_gets_role user_id_not_checked
alter table profiles add column is_admin boolean not null default false;
create function make_admin(p_email text, p_on boolean) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set is_admin = p_on where email = p_email;
end $$;

-- @ making oneself an administrator: anyone_gets_role
create function claim_ownership() returns void language sql security definer set search_path = '' as
  $$ insert into public.user_roles (user_id, role) values (auth.uid(), 'admin') on conflict (user_id) do update set role = 'admin' $$;

-- @ a kind that policies ask for, and users write: users_choose_role
create table members (user_id uuid primary key, kind text not null default 'reader', nickname text);
alter table members enable row level security;
create policy own on members for update to authenticated using (user_id = auth.uid());
create table papers (id uuid primary key, body text);
alter table papers enable row level security;
create policy "Admins read" on papers for select to authenticated
  using (exists (select 1 from members m where m.user_id = auth.uid() and m.kind = 'admin'));

-- @ a spend without any limit: no_limit
create function use_one() returns integer language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits - 1 where id = auth.uid() returning credits $$;

-- @ what there is and a negative amount: amount_not_checked no_limit client_names_price
create function burn(n integer) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits - least(credits, n) where id = auth.uid() $$;

-- @ a limit that is read and not asked: no_limit
create function use_one() returns integer language plpgsql security definer set search_path = '' as $$
declare v_left integer;
begin
  select credits into v_left from public.profiles where id = auth.uid() for update;
  update public.profiles set credits = v_left - 1 where id = auth.uid();
  return v_left - 1;
end $$;

-- @ everybody's balances by a policy: balance_is_public
create table wallets (user_id uuid primary key, coins integer not null default 0);
alter table wallets enable row level security;
revoke all on wallets from anon, authenticated;
grant select on wallets to authenticated;
create policy "Signed-in users read" on wallets for select to authenticated using (true);

-- @ everybody's rows to whoever is signed in: balance_is_public
create table wallets (user_id uuid primary key, coins integer not null default 0);
alter table wallets enable row level security;
revoke all on wallets from anon, authenticated;
grant select on wallets to authenticated;
create policy "Signed-in users read" on wallets for select using (auth.role() = 'authenticated');

-- @ a view over a log of use with its owner's rights: view_bypasses_rls
create table model_usage (id bigint primary key, user_id uuid not null, model text, spent_on timestamptz, cents integer);
alter table model_usage enable row level security;
create policy own on model_usage for select using (user_id = auth.uid());
revoke all on model_usage from anon, authenticated;
create view recent_usage as select user_id, model, cents from model_usage order by spent_on desc;
revoke insert, update, delete on recent_usage from anon, authenticated;

-- @ a refund that can be asked for again: refund_repeats
create function refund_job(p_job_id uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_cost integer;
begin
  select cost into v_cost from public.jobs where id = p_job_id and user_id = auth.uid() and status = 'failed';
  if v_cost is null then raise exception 'nothing to refund'; end if;
  update public.profiles set credits = credits + v_cost where id = auth.uid();
end $$;

-- @ a pack for a price that the buyer says: client_names_price
alter table profiles add column cash numeric not null default 0 check (cash >= 0);
create function buy(p_credits integer, p_price numeric) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_price <= 0 or p_credits <= 0 then raise exception 'invalid'; end if;
  update public.profiles set cash = cash - p_price where id = auth.uid() and cash >= p_price;
  if not found then raise exception 'not enough'; end if;
  update public.profiles set credits = credits + p_credits where id = auth.uid();
end $$;

-- @ a trigger that takes what the row says: amount_not_checked
create function charge_job() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - new.cost where id = new.user_id and credits >= new.cost;
  if not found then raise exception 'no credits'; end if;
  return new;
end $$;
create trigger charge_job before insert on jobs for each row execute function charge_job();

-- @ a deletion that gives back what the user wrote there: anyone_gets_credits
grant delete on jobs to authenticated;
create policy "Users delete their jobs" on jobs for delete to authenticated using (user_id = auth.uid());
create function give_back() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits + old.cost where id = old.user_id;
  return old;
end $$;
create trigger give_back after delete on jobs for each row execute function give_back();

-- @ an administrator of a team is none of the project: anyone_gets_credits
create table team_members (team_id uuid, user_id uuid, role text, primary key (team_id, user_id));
create table team_wallets (team_id uuid primary key, credits integer not null default 0);
alter table team_members enable row level security;
alter table team_wallets enable row level security;
create function top_up_team(p_team uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select 1 from public.team_members m where m.team_id = p_team and m.user_id = auth.uid() and m.role = 'admin') then
    raise exception 'no';
  end if;
  update public.team_wallets set credits = credits + p_amount where team_id = p_team and p_amount > 0;
end $$;

-- @ signed in is no administrator: anyone_gets_credits
create function add(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if auth.role() <> 'authenticated' then raise exception 'sign in'; end if;
  update public.profiles set credits = credits + p_amount where id = auth.uid() and p_amount > 0;
end $$;

-- @ a refusal that an exception block swallows: anyone_gets_credits
create function add(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  begin
    if not public.is_admin() then raise exception 'no'; end if;
  exception when others then raise notice 'not an administrator';
  end;
  update public.profiles set credits = credits + p_amount where id = auth.uid() and p_amount > 0;
end $$;

-- @ the wrong way round: anyone_gets_credits
create function add(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if public.is_admin() then raise exception 'administrators use the console'; end if;
  update public.profiles set credits = credits + p_amount where id = auth.uid() and p_amount > 0;
end $$;

-- @ an or that lets everybody through: user_id_not_checked
create function use_for(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not (p_user = auth.uid() or auth.uid() is not null) then raise exception 'no'; end if;
  update public.profiles set credits = credits - 1 where id = p_user and credits > 0;
end $$;

-- @ a sign asked for after it was spent: amount_not_checked client_names_price
create function spend(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount;
  if p_amount <= 0 then raise notice 'odd amount'; end if;
end $$;

-- @ a lower bound that is below zero: amount_not_checked client_names_price
create function spend(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_amount < -1000 then raise exception 'invalid amount'; end if;
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount;
end $$;

-- @ a product of two arguments of which one is checked: amount_not_checked client_names_price
create function spend(p_pages integer, p_price integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_pages <= 0 then raise exception 'invalid'; end if;
  update public.profiles set credits = credits - p_pages * p_price where id = auth.uid() and credits >= p_pages * p_price;
end $$;

-- @ a count that is read before a row is added: read_then_write
create function use_credit() returns void language plpgsql security definer set search_path = '' as $$
declare v_profile public.profiles;
begin
  select * into v_profile from public.profiles where id = auth.uid();
  if v_profile.credits <= 0 then raise exception 'no credits'; end if;
  update public.profiles set credits = credits - 1 where id = auth.uid();
end $$;

-- @ a plan for a trial that never ends: anyone_gets_plan
create function start_trial() returns void language sql security definer set search_path = '' as
  $$ update public.profiles set plan = 'pro' where id = auth.uid() $$;

-- @ a balance told by what it does: users_write_balance
create table printers (user_id uuid primary key, ink integer not null default 100, label text);
alter table printers enable row level security;
create policy own on printers for update to authenticated using (user_id = auth.uid());
create function print_page() returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.printers set ink = ink - 1 where user_id = auth.uid() and ink >= 1;
  if not found then raise exception 'empty'; end if;
end $$;

-- @ a counter of use that a policy asks for: users_write_balance
create table seats (user_id uuid primary key, rows_used integer not null default 0, label text);
alter table seats enable row level security;
create policy own on seats for update to authenticated using (user_id = auth.uid());
create table sheets (id uuid primary key, user_id uuid not null);
alter table sheets enable row level security;
create function add_sheet(p_id uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.seats set rows_used = rows_used + 1 where user_id = auth.uid() and rows_used < 10;
  if not found then raise exception 'full'; end if;
  insert into public.sheets (id, user_id) values (p_id, auth.uid());
end $$;

-- @ a secret that the caller passes for both sides: anyone_gets_credits
create function hook(p_secret text, p_expected text, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_secret <> p_expected then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = auth.uid() and p_amount > 0;
end $$;

-- @ a guard that only logs: anyone_gets_credits
create function add(p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not public.is_admin() then raise warning 'not an administrator'; end if;
  update public.profiles set credits = credits + p_amount where id = auth.uid() and p_amount > 0;
end $$;

-- @ a daily bonus whose day the caller says: anyone_gets_credits
create function claim(p_day date) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits + 5 where id = auth.uid() and p_day = current_date $$;

-- @ a payment out of somebody else's purse: user_id_not_checked
create function pay_from(p_from uuid, p_to uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_amount <= 0 then raise exception 'invalid'; end if;
  update public.profiles set credits = credits - p_amount where id = p_from and credits >= p_amount;
  if not found then raise exception 'insufficient'; end if;
  update public.profiles set credits = credits + p_amount where id = p_to;
end $$;

-- @ oneself or an administrator, compared with nobody: user_id_not_checked
create function use_for(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_user <> auth.uid() and not public.is_admin() then raise exception 'no'; end if;
  update public.profiles set credits = credits - 1 where id = p_user and credits > 0;
end $$;

-- @ the boss by an e-mail that nobody has: user_id_not_checked
create function adm(p_user uuid, p_amount int) returns void language plpgsql security definer set search_path = '' as $$
begin
  if (select email from auth.users where id = auth.uid()) <> 'boss@example.com' then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = p_user;
end $$;
