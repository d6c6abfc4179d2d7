-- @ a shop that multiplies inside its query: amount_not_checked
create table stickers (id uuid primary key, price integer not null check (price > 0), name text);
alter table stickers enable row level security;
create table sticker_orders (id uuid primary key default gen_random_uuid(), user_id uuid not null, sticker_id uuid, quantity integer);
alter table sticker_orders enable row level security;
create function buy_stickers(p_sticker uuid, p_qty integer) returns uuid language plpgsql security definer set search_path = '' as $$
declare v_cost integer; v_order uuid;
begin
  select s.price * p_qty into v_cost from public.stickers s where s.id = p_sticker;
  if v_cost is null then raise exception 'no such sticker'; end if;
  update public.profiles p set credits = p.credits - v_cost where p.id = auth.uid() and p.credits >= v_cost;
  if not found then raise exception 'too expensive'; end if;
  insert into public.sticker_orders (user_id, sticker_id, quantity) values (auth.uid(), p_sticker, p_qty) returning id into v_order;
  return v_order;
end $$;

-- @ a claim that its claimant has written and its claimant approves: anyone_gets_credits
create table bounty_claims (id uuid primary key default gen_random_uuid(), user_id uuid not null default auth.uid(),
  worth integer not null, evidence text, approved boolean not null default false);
alter table bounty_claims enable row level security;
create policy "Hunters hand in" on bounty_claims for insert to authenticated with check (user_id = auth.uid() and not approved);
create policy "Hunters see theirs" on bounty_claims for select to authenticated using (user_id = auth.uid());
create function settle_claim(p_claim uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_claim public.bounty_claims;
begin
  update public.bounty_claims set approved = true where id = p_claim and user_id = auth.uid() and not approved returning * into v_claim;
  if not found then raise exception 'no open claim'; end if;
  update public.profiles set credits = credits + v_claim.worth where id = v_claim.user_id;
end $$;

-- @ a job's cost that the user's own row names: amount_not_checked
create table renders (id uuid primary key default gen_random_uuid(), owner uuid not null, frames integer not null, done boolean default false);
alter table renders enable row level security;
create policy "Owners queue renders" on renders for insert to authenticated with check (owner = auth.uid());
create function start_render(p_render uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_frames integer;
begin
  select frames into v_frames from public.renders where id = p_render and owner = auth.uid() and not done;
  if v_frames is null then raise exception 'no such render'; end if;
  update public.profiles set credits = credits - v_frames where id = auth.uid() and credits >= v_frames;
  if not found then raise exception 'not enough'; end if;
  update public.renders set done = true where id = p_render;
end $$;

-- @ an affiliate who names whom they have brought: anyone_gets_credits user_id_not_checked
create table affiliates (user_id uuid primary key, code text unique, earned integer not null default 0);
alter table affiliates enable row level security;
create function reward_affiliate(p_affiliate uuid, p_visitors uuid[]) returns integer language plpgsql security definer set search_path = '' as $$
declare v_count integer := cardinality(p_visitors);
begin
  update public.affiliates set earned = earned + v_count where user_id = p_affiliate;
  update public.profiles set credits = credits + 5 * v_count where id = p_affiliate;
  return v_count;
end $$;

-- @ a plan that is kept in a column with another name and written by a helper: anyone_gets_plan
create function set_entitlement(p_entitlement text) returns void language plpgsql security definer set search_path = '' as $$
begin
  perform 1 from public.profiles p where p.id = auth.uid();
  execute format('update public.profiles set plan = %L where id = %L', p_entitlement, auth.uid());
end $$;

-- @ an API with keys that meters with a stale read: read_then_write user_id_not_checked
create table api_keys (id uuid primary key, user_id uuid not null, calls_left integer not null default 100);
alter table api_keys enable row level security;
create function take_call(p_key uuid) returns boolean language plpgsql security definer set search_path = '' as $$
declare v_key public.api_keys%rowtype;
begin
  select * into v_key from public.api_keys k where k.id = p_key and k.user_id = auth.uid();
  if v_key.calls_left <= 0 then return false; end if;
  v_key.calls_left := v_key.calls_left - 1;
  update public.api_keys set calls_left = v_key.calls_left where id = p_key;
  return true;
end $$;

-- @ a refund of a job whose cost its owner writes: anyone_gets_credits
create function cancel_job(p_job_id uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_cost integer;
begin
  update public.jobs set status = 'cancelled' where id = p_job_id and user_id = auth.uid() and status = 'queued'
  returning cost into v_cost;
  if v_cost is not null then
    update public.profiles set credits = credits + v_cost where id = auth.uid();
  end if;
end $$;
