-- @ a support desk by a list of addresses:
create table desk (email text primary key);
alter table desk enable row level security;
create function give(p_user uuid, p_amount integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select 1 from public.desk d where d.email = auth.jwt() ->> 'email') then
    raise exception 'not at the desk';
  end if;
  update public.profiles set credits = credits + p_amount where id = p_user;
end $$;

-- @ a wheel that turns once a day: credits_on_conditions
create table spins (user_id uuid, day date, primary key (user_id, day));
alter table spins enable row level security;
create function spin() returns integer language plpgsql security definer set search_path = '' as $$
declare v_won integer := 1 + floor(random() * 5)::integer;
begin
  insert into public.spins (user_id, day) values (auth.uid(), current_date);
  update public.profiles set credits = credits + v_won where id = auth.uid();
  return v_won;
end $$;

-- @ a spend by a row that another function locks:
create function lock_profile(p_user uuid) returns integer language plpgsql set search_path = '' as $$
declare v_credits integer;
begin
  select credits into v_credits from public.profiles where id = p_user for update;
  return v_credits;
end $$;
revoke execute on function lock_profile from public, anon, authenticated;
create function use_one() returns boolean language plpgsql security definer set search_path = '' as $$
begin
  if public.lock_profile(auth.uid()) < 1 then return false; end if;
  update public.profiles set credits = credits - 1 where id = auth.uid();
  return true;
end $$;

-- @ a shop with points of a product:
create table products_app (id uuid primary key, name text, points integer, price numeric);
alter table products_app enable row level security;
revoke all on products_app from anon, authenticated;
grant select on products_app to anon, authenticated;
create policy "All read" on products_app for select using (true);

-- @ a score of a game and its table of the best:
create table scores (id uuid primary key default gen_random_uuid(), player uuid not null, level integer, score integer);
alter table scores enable row level security;
create policy "Players add their scores" on scores for insert to authenticated with check (player = auth.uid());
create policy "All see scores" on scores for select using (true);
