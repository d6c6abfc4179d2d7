-- @ policies for the backend alone:
grant update on profiles to anon, authenticated;
create policy "Backend" on profiles for update using (auth.role() = 'service_role');

-- @ policies for administrators by a table:
create table members (user_id uuid primary key, kind text not null);
alter table members enable row level security;
grant update on profiles to anon, authenticated;
create policy "Admins" on profiles for update using (exists (select 1 from members m where m.user_id = (select auth.uid()) and m.kind = 'admin'));
revoke all on members from anon, authenticated;

-- @ policies for one address:
grant update on profiles to anon, authenticated;
create policy "The boss" on profiles for update using ((auth.jwt() ->> 'email') = 'boss@example.com');

-- @ policies for an address at the office:
grant update on profiles to authenticated;
create policy "Staff" on profiles for update to authenticated using ((select auth.jwt() ->> 'email') like '%@example.com');

-- @ policies by app metadata:
grant update on profiles to authenticated;
create policy "Staff" on profiles for update to authenticated using ((auth.jwt() -> 'app_metadata' ->> 'role') = any (array['admin', 'support']));

-- @ policies by a helper:
grant update on profiles to authenticated;
create policy "Admins" on profiles for update to authenticated using (is_admin());

-- @ policies by the claims of a setting:
grant update on profiles to authenticated;
create policy "Backend" on profiles for update using ((current_setting('request.jwt.claims', true)::jsonb ->> 'role') = 'service_role');

-- @ counters of one's own notes:
create table notes (id uuid primary key, user_id uuid not null, body text, usage_count integer default 0, tokens_used integer default 0);
alter table notes enable row level security;
create policy own on notes for all to authenticated using (user_id = auth.uid());
create function touch_note(p_id uuid) returns void language sql set search_path = '' as
  $$ update public.notes set usage_count = usage_count + 1 where id = p_id $$;

-- @ a stock of goods:
create table goods (id uuid primary key, title text, stock integer not null default 0 check (stock >= 0));
alter table goods enable row level security;
revoke all on goods from anon, authenticated;
grant select on goods to anon, authenticated;
create policy "All see goods" on goods for select using (true);
create function take_goods(p_id uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.goods set stock = stock - 1 where id = p_id and stock > 0;
  if not found then raise exception 'sold out'; end if;
end $$;

-- @ a spend that asks afterwards:
create function use_one() returns integer language plpgsql security definer set search_path = '' as $$
declare v_left integer;
begin
  update public.profiles set credits = credits - 1 where id = auth.uid() returning credits into v_left;
  if v_left < 0 then raise exception 'insufficient'; end if;
  return v_left;
end $$;

-- @ a spend that locks, asks and writes: client_names_price
create function spend(p_amount integer) returns integer language plpgsql security definer set search_path = '' as $$
declare v_profile public.profiles%rowtype;
begin
  if p_amount is null or p_amount < 1 or p_amount > 100 then
    raise exception 'invalid amount %', p_amount using errcode = '22023';
  end if;
  select * into strict v_profile from public.profiles where id = auth.uid() for update;
  if v_profile.credits < p_amount then
    return -1;
  end if;
  update public.profiles set credits = v_profile.credits - p_amount where id = auth.uid();
  return v_profile.credits - p_amount;
end $$;

-- @ a price from a table:
create table prices (operation text primary key, cost integer not null check (cost > 0));
alter table prices enable row level security;
create function pay_for(p_operation text) returns void language plpgsql security definer set search_path = '' as $$
declare v_cost integer;
begin
  select cost into v_cost from public.prices where operation = p_operation;
  if not found then raise exception 'unknown operation'; end if;
  update public.profiles set credits = credits - v_cost where id = auth.uid() and credits >= v_cost;
  if not found then raise exception 'insufficient'; end if;
end $$;

-- @ a pack for its price:
create table purses (user_id uuid primary key, cents integer not null default 0 check (cents >= 0));
alter table purses enable row level security;
revoke all on purses from anon, authenticated;
create function buy_pack(p_pack uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_pack public.coin_packs;
begin
  select * into v_pack from public.coin_packs where id = p_pack;
  if not found then raise exception 'unknown pack'; end if;
  update public.purses set cents = cents - v_pack.price_cents where user_id = auth.uid() and cents >= v_pack.price_cents;
  if not found then raise exception 'insufficient'; end if;
  update public.profiles set credits = credits + v_pack.credits where id = auth.uid();
end $$;

-- @ a refund that marks the job: credits_on_conditions
alter table jobs add column refunded_at timestamptz;
revoke insert on jobs from anon, authenticated;
create function refund_job(p_job_id uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_cost integer;
begin
  update public.jobs set refunded_at = now()
  where id = p_job_id and user_id = auth.uid() and status = 'failed' and refunded_at is null returning cost into v_cost;
  if not found then raise exception 'nothing to refund'; end if;
  update public.profiles set credits = credits + v_cost where id = auth.uid();
end $$;

-- @ a code that a key lets through once: credits_on_conditions
create table redemptions (user_id uuid, code text, primary key (user_id, code));
alter table redemptions enable row level security;
create function redeem(p_code text) returns void language plpgsql security definer set search_path = '' as $$
declare v_worth integer;
begin
  select worth into v_worth from public.promo_codes where code = p_code;
  if v_worth is null then raise exception 'unknown code'; end if;
  insert into public.redemptions (user_id, code) values (auth.uid(), p_code);
  update public.profiles set credits = credits + v_worth where id = auth.uid();
end $$;

-- @ an account that begins with ten:
create function begin_account() returns void language sql security definer set search_path = '' as
  $$ insert into public.profiles (id, credits) values (auth.uid(), 10) on conflict do nothing $$;

-- @ the caller looked up first:
create table people (id uuid primary key, auth_id uuid unique not null, credits integer not null default 0);
alter table people enable row level security;
create function use_credit() returns void language plpgsql security definer set search_path = '' as $$
declare v_person uuid;
begin
  select id into v_person from public.people where auth_id = auth.uid();
  if v_person is null then raise exception 'no account'; end if;
  update public.people set credits = credits - 1 where id = v_person and credits > 0;
  if not found then raise exception 'no credits'; end if;
end $$;

-- @ a member of the team spends the team's:
create table team_members (team_id uuid, user_id uuid, role text, primary key (team_id, user_id));
create table team_wallets (team_id uuid primary key, credits integer not null default 0);
alter table team_members enable row level security;
alter table team_wallets enable row level security;
create function use_team(p_team uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select 1 from public.team_members m where m.team_id = p_team and m.user_id = auth.uid()) then
    raise exception 'not a member';
  end if;
  update public.team_wallets set credits = credits - 1 where team_id = p_team and credits > 0;
  if not found then raise exception 'no credits'; end if;
end $$;

-- @ oneself or an administrator:
create function use_for(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_user is distinct from auth.uid() and not public.is_admin() then raise exception 'no'; end if;
  update public.profiles set credits = credits - 1 where id = p_user and credits > 0;
end $$;

-- @ administrators by a case:
create function adjust(p_user uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  case when auth.role() = 'service_role' then null; when public.is_admin() then null; else raise exception 'no'; end case;
  update public.profiles set credits = credits + p_amount where id = p_user;
end $$;

-- @ administrators by an early return:
create function adjust(p_user uuid, p_amount integer) returns boolean language plpgsql security definer set search_path = '' as $$
begin
  if public.is_admin() then
    update public.profiles set credits = credits + p_amount where id = p_user;
    return true;
  end if;
  return false;
end $$;

-- @ administrators by the statement itself:
create function adjust(p_user uuid, p_amount integer) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set credits = credits + p_amount where id = p_user and (select public.is_admin()) $$;

-- @ an administrator's flag in a variable:
alter table profiles add column is_admin boolean not null default false;
create function adjust(p_user uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
declare v_admin boolean;
begin
  select p.is_admin into v_admin from public.profiles p where p.id = auth.uid();
  if v_admin is not true then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = p_user;
end $$;

-- @ a hook that knows a hash:
create table hooks (name text primary key, secret_hash text not null);
alter table hooks enable row level security;
revoke all on hooks from anon, authenticated;
create function hook(p_secret text, p_user uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select 1 from public.hooks h where h.name = 'billing' and h.secret_hash = encode(sha256(p_secret::bytea), 'hex')) then
    raise exception 'no';
  end if;
  update public.profiles set credits = credits + p_amount where id = p_user;
end $$;

-- @ a hook with a setting of the database:
create function hook(p_secret text, p_user uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_secret is distinct from current_setting('app.hook_secret') then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = p_user;
end $$;

-- @ a public profile without figures:
create view names with (security_invoker = false) as select id, full_name from profiles;
revoke insert, update, delete on names from anon, authenticated;

-- @ totals over everybody:
create view totals as select count(*) as users, sum(credits) as credits from profiles;
revoke insert, update, delete on totals from anon, authenticated;

-- @ plans for all to read:
create table offers (id uuid primary key, name text, monthly_credits integer, price_cents integer);
alter table offers enable row level security;
revoke all on offers from anon, authenticated;
grant select on offers to anon, authenticated;
create policy "All see offers" on offers for select using (true);

-- @ a role in a chat:
create table chat_lines (id uuid primary key, user_id uuid not null, role text not null, body text);
alter table chat_lines enable row level security;
create policy own on chat_lines for all to authenticated using (user_id = auth.uid());

-- @ an invitation that makes a member:
create table invitations (token text primary key, team uuid not null, used_at timestamptz);
create table team_members (team_id uuid, user_id uuid, role text not null default 'member', primary key (team_id, user_id));
alter table invitations enable row level security;
alter table team_members enable row level security;
create function accept(p_token text) returns void language plpgsql security definer set search_path = '' as $$
declare v_team uuid;
begin
  update public.invitations set used_at = now() where token = p_token and used_at is null returning team into v_team;
  if v_team is null then raise exception 'unknown invitation'; end if;
  insert into public.team_members (team_id, user_id, role) values (v_team, auth.uid(), 'member');
end $$;

-- @ a name and nothing else:
create function rename_me(p_name text) returns void language sql security definer set search_path = '' as
  $$ update public.profiles set full_name = p_name, updated_at = now() where id = auth.uid() $$;

-- @ a trigger that checks what a row costs:
alter table jobs add check (cost > 0);
create function charge_job() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - new.cost where id = new.user_id and credits >= new.cost;
  if not found then raise exception 'no credits'; end if;
  return new;
end $$;
create trigger charge_job before insert on jobs for each row execute function charge_job();
