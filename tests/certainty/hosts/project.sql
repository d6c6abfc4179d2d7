-- A project as people write it around their credits, with nothing wrong in it. Every case is built on top of it.
create table profiles (
  id uuid primary key references auth.users (id), email text, full_name text, credits integer not null default 10,
  plan text not null default 'free', last_claimed_at timestamptz, updated_at timestamptz, settings jsonb);
alter table profiles enable row level security;
create policy "Users may read their profile" on profiles for select using (auth.uid() = id);
revoke all on profiles from anon, authenticated;
grant select on profiles to authenticated;

create table jobs (
  id uuid primary key default gen_random_uuid(), user_id uuid not null, status text not null default 'queued', cost integer not null,
  result text);
alter table jobs enable row level security;
create policy "Users may read their jobs" on jobs for select using (user_id = auth.uid());
create policy "Users may queue jobs" on jobs for insert to authenticated with check (user_id = auth.uid());

create table promo_codes (code text primary key, worth integer not null, used_by uuid);
alter table promo_codes enable row level security;

create table coin_packs (id uuid primary key default gen_random_uuid(), credits integer not null, price_cents integer not null);
alter table coin_packs enable row level security;
create policy "Everybody may read the packs" on coin_packs for select using (true);

create table credit_ledger (
  id bigint generated always as identity primary key, user_id uuid not null, amount integer not null, reason text,
  created_at timestamptz default now());
alter table credit_ledger enable row level security;
create policy "Users may read their ledger" on credit_ledger for select using (user_id = auth.uid());

create table user_roles (user_id uuid primary key, role text not null);
alter table user_roles enable row level security;

create table messages (id uuid primary key, user_id uuid not null, role text, content text, tokens_used integer, token_count integer);
alter table messages enable row level security;
create policy "Users write their messages" on messages for all using (user_id = auth.uid());

create function is_admin() returns boolean language sql stable security definer set search_path = '' as
  $$ select exists (select 1 from public.user_roles where user_id = auth.uid() and role = 'admin') $$;

create function handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles (id, email, full_name, credits)
  values (new.id, new.email, new.raw_user_meta_data ->> 'full_name', 10) on conflict do nothing;
  return new;
end $$;
