-- @ a gift card whose value the caller reports: anyone_gets_credits
create table gift_cards (id uuid primary key, face integer not null, opened_by uuid);
alter table gift_cards enable row level security;
create function open_card(p_card uuid, p_face integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  perform 1 from public.gift_cards c where c.id = p_card;
  if not found then raise exception 'no card'; end if;
  update public.profiles set credits = credits + p_face where id = auth.uid();
end $$;

-- @ minutes that are taken by a trigger on calls whose length users write: amount_not_checked
create table phone_accounts (user_id uuid primary key, minutes_left integer not null default 0);
create table calls (id uuid primary key default gen_random_uuid(), user_id uuid not null, seconds integer not null);
alter table phone_accounts enable row level security;
alter table calls enable row level security;
create policy own on calls for insert to authenticated with check (user_id = auth.uid());
create function bill_call() returns trigger language plpgsql security definer set search_path = '' as $$
declare v_minutes integer;
begin
  v_minutes := ceil(new.seconds / 60.0);
  update public.phone_accounts a set minutes_left = a.minutes_left - v_minutes
  where a.user_id = new.user_id and a.minutes_left >= v_minutes;
  if not found then raise exception 'no minutes'; end if;
  return new;
end $$;
create trigger bill_call before insert on calls for each row execute function bill_call();

-- @ a counter in another function's array: user_id_not_checked
create function charge_many(p_users uuid[]) returns void language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set credits = credits - 1 where id = any (p_users) and credits > 0;
end $$;

-- @ a webhook open to all whose header is not asked: anyone_gets_credits user_id_not_checked
create function payment_hook(p_event json) returns void language plpgsql security definer set search_path = '' as $$
declare v_user uuid; v_total numeric;
begin
  v_user := (p_event #>> '{data,object,metadata,user_id}')::uuid;
  v_total := (p_event #>> '{data,object,amount_total}')::numeric;
  if p_event ->> 'type' = 'checkout.session.completed' then
    update public.profiles set credits = credits + floor(v_total / 10) where id = v_user;
  end if;
end $$;

-- @ a streak that pays each time it is asked for: anyone_gets_credits
create table streaks (user_id uuid primary key, days integer not null default 0);
alter table streaks enable row level security;
create function cash_streak() returns integer language plpgsql security definer set search_path = '' as $$
declare v_days integer;
begin
  select s.days into v_days from public.streaks s where s.user_id = auth.uid();
  if v_days < 7 then return 0; end if;
  update public.profiles set credits = credits + v_days where id = auth.uid();
  return v_days;
end $$;
