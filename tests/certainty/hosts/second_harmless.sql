-- @ a shop that multiplies inside its query and asks how many:
create table stickers (id uuid primary key, price integer not null check (price > 0), name text);
alter table stickers enable row level security;
revoke all on stickers from anon, authenticated;
create function buy_stickers(p_sticker uuid, p_qty integer) returns void language plpgsql security definer set search_path = '' as $$
declare v_cost integer;
begin
  if p_qty is null or p_qty not between 1 and 100 then raise exception 'how many?'; end if;
  select s.price * p_qty into v_cost from public.stickers s where s.id = p_sticker;
  if not found then raise exception 'no such sticker'; end if;
  update public.profiles p set credits = p.credits - v_cost where p.id = auth.uid() and p.credits >= v_cost;
  if not found then raise exception 'too expensive'; end if;
end $$;

-- @ claims that the staff approves, whose worth only the staff writes:
create table bounty_claims (id uuid primary key default gen_random_uuid(), user_id uuid not null default auth.uid(),
  worth integer, evidence text, approved boolean not null default false);
alter table bounty_claims enable row level security;
revoke all on bounty_claims from anon, authenticated;
grant insert (evidence), select on bounty_claims to authenticated;
create policy "Hunters hand in" on bounty_claims for insert to authenticated with check (user_id = auth.uid());
create function approve_claim(p_claim uuid, p_worth integer) returns void language plpgsql security definer set search_path = '' as $$
declare v_user uuid;
begin
  if not public.is_admin() then raise exception 'staff only'; end if;
  update public.bounty_claims set approved = true, worth = p_worth where id = p_claim and not approved returning user_id into v_user;
  if not found then raise exception 'no open claim'; end if;
  update public.profiles set credits = credits + p_worth where id = v_user;
end $$;

-- @ renders whose frames are checked where they are written:
create table renders (id uuid primary key default gen_random_uuid(), owner uuid not null, frames integer not null check (frames > 0), done boolean default false);
alter table renders enable row level security;
create policy "Owners queue renders" on renders for insert to authenticated with check (owner = auth.uid());
create function start_render(p_render uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_frames integer;
begin
  select frames into v_frames from public.renders where id = p_render and owner = auth.uid() and not done for update;
  if v_frames is null then raise exception 'no such render'; end if;
  update public.profiles set credits = credits - v_frames where id = auth.uid() and credits >= v_frames;
  if not found then raise exception 'not enough'; end if;
  update public.renders set done = true where id = p_render;
end $$;

-- @ a course with lessons, progress and a certificate:
create table lessons (id uuid primary key, title text, points integer not null default 10);
create table progress (user_id uuid not null, lesson_id uuid not null, score integer, done_at timestamptz, primary key (user_id, lesson_id));
alter table lessons enable row level security;
alter table progress enable row level security;
create policy "All read lessons" on lessons for select using (true);
revoke insert, update, delete on lessons from anon, authenticated;
create policy "Learners keep their progress" on progress for all to authenticated using (user_id = auth.uid()) with check (user_id = auth.uid());
create function course_points() returns integer language sql stable security definer set search_path = '' as $$
  select coalesce(sum(l.points), 0)::integer from public.progress p join public.lessons l on l.id = p.lesson_id
  where p.user_id = auth.uid() and p.done_at is not null $$;

-- @ an inventory of goods that warehouse staff moves:
create table warehouse_staff (user_id uuid primary key);
create table stock (sku text primary key, on_hand integer not null default 0 check (on_hand >= 0));
alter table warehouse_staff enable row level security;
alter table stock enable row level security;
revoke all on warehouse_staff, stock from anon, authenticated;
create function move_stock(p_sku text, p_by integer) returns integer language plpgsql security definer set search_path = '' as $$
declare v_left integer;
begin
  if not exists (select 1 from public.warehouse_staff w where w.user_id = auth.uid()) then raise exception 'staff only'; end if;
  update public.stock set on_hand = on_hand + p_by where sku = p_sku returning on_hand into v_left;
  return v_left;
end $$;
