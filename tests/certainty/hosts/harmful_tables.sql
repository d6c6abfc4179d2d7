-- @ the usual policy, balance and plan included: users_write_balance users_choose_plan
grant select, insert, update on profiles to anon, authenticated;
create policy "Users can update own profile." on profiles for update using ((select auth.uid()) = id);

-- @ a table without row level security: users_write_balance table_without_rls
create table wallets (user_id uuid primary key, balance numeric(12, 2) not null default 0);

-- @ users bring their balance along: users_write_balance
grant insert on profiles to authenticated;
create policy "Users can insert their own profile." on profiles for insert with check (auth.uid() = id and plan = 'free');

-- @ a check that credits are not negative is none that they are the same: users_write_balance
grant update (credits) on profiles to authenticated;
create policy "Users can update own profile." on profiles for update using (auth.uid() = id) with check (auth.uid() = id and credits >= 0);

-- @ a trigger that only fills in what is missing: users_write_balance
grant insert (id, credits) on profiles to authenticated;
create policy "Users can insert their own profile." on profiles for insert with check (auth.uid() = id);
create function fill() returns trigger language plpgsql set search_path = '' as
  $$ begin new.credits := coalesce(new.credits, 10); return new; end $$;
create trigger fill before insert on profiles for each row execute function fill();

-- @ names in camel case: users_write_balance users_choose_plan
create table "User" (id uuid primary key, "creditsRemaining" integer, "subscriptionTier" text, "createdAt" timestamptz);
alter table "User" enable row level security;
create policy "own" on "User" for update to authenticated using (id = auth.uid());

-- @ a plan that is an enum, and until when it is paid: users_choose_plan
create type tier as enum ('free', 'pro');
create table subscriptions_app (user_id uuid primary key, tier tier not null default 'free', current_period_end timestamptz, note text);
alter table subscriptions_app enable row level security;
create policy "own" on subscriptions_app for all to authenticated using (user_id = auth.uid());

-- @ whose card is charged: users_choose_plan
alter table profiles add column stripe_customer_id text;
grant update (stripe_customer_id, full_name) on profiles to authenticated;
create policy "own" on profiles for update to authenticated using (id = auth.uid());

-- @ a role of one's own: users_choose_role
alter table profiles add column role text not null default 'user';
grant update (role, full_name) on profiles to authenticated;
create policy "own" on profiles for update to authenticated using (id = auth.uid());

-- @ a ledger that users write: users_write_balance
grant insert on credit_ledger to authenticated;
create policy "Users add to their ledger" on credit_ledger for insert to authenticated with check (user_id = auth.uid());

-- @ json with a balance in its default: users_write_balance
create table accounts_app (id uuid primary key, data jsonb not null default '{"credits": 10}');
alter table accounts_app enable row level security;
create policy "own" on accounts_app for update to authenticated using (id = auth.uid());

-- @ json that code takes credits from: users_write_balance
grant update (settings) on profiles to authenticated;
create policy "own" on profiles for update to authenticated using (id = auth.uid());
create function my_credits() returns integer language sql stable set search_path = '' as
  $$ select (p.settings ->> 'credits')::int from public.profiles p where p.id = auth.uid() $$;

-- @ a domain of numbers: users_write_balance
create domain credit_amount as integer check (value >= 0);
create table wallets (user_id uuid primary key, credits credit_amount, note text);
alter table wallets enable row level security;
create policy "own" on wallets for update to authenticated using (user_id = auth.uid());

-- @ what was used, set back: users_write_balance
create table monthly_usage (user_id uuid, month date, credits_used integer not null default 0, primary key (user_id, month));
alter table monthly_usage enable row level security;
create policy "own" on monthly_usage for update to authenticated using (user_id = auth.uid());

-- @ what is left of the generations: users_write_balance
alter table profiles add column generations_left integer;
grant update (generations_left) on profiles to authenticated;
create policy "own" on profiles for update to authenticated using (id = auth.uid());

-- @ a view that writes with its owner's rights: users_write_balance view_bypasses_rls
create view public_profiles as select id, full_name, credits from profiles;

-- @ a partition past its parent: users_write_balance table_without_rls
create table wallets (user_id uuid not null, credits integer, primary key (user_id)) partition by hash (user_id);
alter table wallets enable row level security;
create table wallets_0 partition of wallets for values with (modulus 1, remainder 0);

-- @ a role of the project's own: users_write_balance
create role premium_user;
grant premium_user to authenticator;
grant usage on schema public to premium_user;
grant update (credits) on profiles to premium_user;
create policy "own" on profiles for update to premium_user using (id = auth.uid());

-- @ a privilege given to everybody: users_write_balance
grant update on credit_ledger to public;
create policy "own" on credit_ledger for update using (user_id = auth.uid());

-- @ a view over a view that nobody may ask: view_bypasses_rls
create view inner_view as select id, credits from profiles;
revoke all on inner_view from anon, authenticated;
create view board as select id, credits as score from inner_view;
revoke insert, update, delete on board from anon, authenticated;

-- @ rows kept aside for a page: view_bypasses_rls
create materialized view board as select id, credits from profiles;

-- @ a policy that believes the user: trusts_user_metadata
create table reports (id uuid primary key, body text);
alter table reports enable row level security;
create policy "Pro users read reports" on reports for select to authenticated
  using ((auth.jwt() -> 'user_metadata' ->> 'plan') = 'pro');

-- @ another schema that is open: users_write_balance
create schema app;
grant usage on schema app to authenticated;
create table app.wallets (user_id uuid primary key, credits integer, note text);
alter table app.wallets enable row level security;
create policy "own" on app.wallets for update to authenticated using (user_id = auth.uid());
grant update on app.wallets to authenticated;
