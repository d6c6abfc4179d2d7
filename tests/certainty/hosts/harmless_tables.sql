-- @ columns granted one by one:
grant update (full_name) on profiles to authenticated;
create policy "Users can update own profile." on profiles for update using (auth.uid() = id);

-- @ a check that the balance stays:
grant update on profiles to authenticated;
create policy "Users can update own profile." on profiles for update using (auth.uid() = id)
  with check (auth.uid() = id and credits = (select p.credits from profiles p where p.id = auth.uid())
    and plan = (select p.plan from profiles p where p.id = auth.uid()));

-- @ a policy that restricts the others:
grant update on profiles to authenticated;
create policy "Users can update own profile." on profiles for update using (auth.uid() = id);
create policy "Nobody writes" on profiles as restrictive for update using (true) with check (false);

-- @ a trigger that puts it back:
grant update on profiles to authenticated;
create policy "Users can update own profile." on profiles for update using (auth.uid() = id);
create function keep() returns trigger language plpgsql set search_path = '' as
  $$ begin if auth.role() <> 'service_role' then new.credits := old.credits; new.plan := old.plan; end if; return new; end $$;
create trigger keep before update on profiles for each row execute function keep();

-- @ a trigger for these columns that refuses:
grant update on profiles to authenticated;
create policy "Users can update own profile." on profiles for update using (auth.uid() = id);
create function refuse() returns trigger language plpgsql set search_path = '' as $$ begin raise exception 'read-only'; end $$;
create trigger refuse before update of credits, plan on profiles for each row execute function refuse();

-- @ a trigger with a condition:
grant update on profiles to authenticated;
create policy "Users can update own profile." on profiles for update using (auth.uid() = id);
create function refuse() returns trigger language plpgsql set search_path = '' as $$ begin raise exception 'read-only'; end $$;
create trigger refuse before update on profiles for each row
  when (old.credits is distinct from new.credits or old.plan is distinct from new.plan) execute function refuse();

-- @ a trigger that sets what a new row begins with:
grant insert on profiles to authenticated;
create policy "Users can insert their own profile." on profiles for insert with check (auth.uid() = id);
create function begin_with() returns trigger language plpgsql set search_path = '' as
  $$ begin new.credits := 10; new.plan := 'free'; return new; end $$;
create trigger begin_with before insert on profiles for each row execute function begin_with();

-- @ a price list without row level security:
create table prices (id integer primary key, name text, monthly_credits integer);
revoke all on prices from anon, authenticated;
grant select on prices to anon, authenticated;

-- @ what is worth nothing:
create table bots (id uuid primary key, user_id uuid, max_tokens integer, prompt_tokens bigint, token_version integer, credit_note text,
  credit_card_id bigint, pointed_at int, role text, price_id text, is_public boolean, product_id uuid, balance_id integer);
alter table bots enable row level security;
create policy "own" on bots for all to authenticated using (user_id = auth.uid());

-- @ a log of what models read and wrote:
create table ai_logs (id bigint primary key, user_id uuid, tokens integer, tokens_used integer, token_count integer, total_tokens integer);
alter table ai_logs enable row level security;
create policy "own" on ai_logs for all to authenticated using (user_id = auth.uid());

-- @ a figure that is worked out:
create table wallets (user_id uuid primary key, bought_for integer, credits integer generated always as (0) stored);
alter table wallets enable row level security;
create policy "own" on wallets for update to authenticated using (user_id = auth.uid());

-- @ a view with the caller's rights:
create view my_profile with (security_invoker = yes) as select id, credits from profiles;

-- @ a view that asks whose rows they are:
create view my_profile as select full_name, email from profiles where id = auth.uid();
revoke insert, update, delete on my_profile from anon, authenticated;

-- @ a schema that users cannot name:
create schema private;
create table private.wallets (user_id uuid primary key, credits integer);
grant all on private.wallets to authenticated;

-- @ names that come with the sign-up:
create function names() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles (id, full_name) values (new.id, new.raw_user_meta_data ->> 'full_name');
  return new;
end $$;

-- @ a policy by what only the backend writes:
create table reports (id uuid primary key, body text);
alter table reports enable row level security;
create policy "Pro users read reports" on reports for select to authenticated
  using ((auth.jwt() -> 'app_metadata' ->> 'plan') = 'pro');

-- @ a view over a view that asks:
create view inner_view with (security_invoker = true) as select id, credits from profiles;
revoke all on inner_view from anon, authenticated;
create view board as select id, credits as score from inner_view;
revoke insert, update, delete on board from anon, authenticated;
