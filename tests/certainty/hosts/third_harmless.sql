-- @ responses of teams whose owners name the members:
create schema if not exists private;
create table public.teams (id uuid primary key default gen_random_uuid(), name text not null, response_credits bigint not null default 100 check (response_credits >= 0), plan text not null default 'free');
create table public.team_members (team_id uuid references public.teams on delete cascade, user_id uuid, role text not null check (role in ('owner', 'editor', 'viewer')), primary key (team_id, user_id));
alter table public.teams enable row level security;
alter table public.team_members enable row level security;
create function private.my_teams() returns setof uuid language sql stable security definer set search_path = '' as $$
  select team_id from public.team_members where user_id = (select auth.uid());
$$;
create function private.is_operator() returns boolean language sql stable set search_path = '' as $$
  select coalesce((auth.jwt() -> 'app_metadata' ->> 'operator')::boolean, false);
$$;
grant usage on schema private to authenticated;
create policy "team reads" on public.teams for select to authenticated using (id in (select private.my_teams()));
create policy "operators update teams" on public.teams for update to authenticated using (private.is_operator()) with check (private.is_operator());
create policy "members see members" on public.team_members for select to authenticated using (team_id in (select private.my_teams()));
create policy "owners manage" on public.team_members for all to authenticated
  using (exists (select 1 from public.team_members o where o.team_id = team_members.team_id and o.user_id = (select auth.uid()) and o.role = 'owner'));
create function public.grant_team_credits(p_team uuid, p_amount bigint) returns bigint language plpgsql security definer set search_path = '' as $$
declare v_new bigint;
begin
  if not private.is_operator() then raise exception 'operators only' using errcode = '42501'; end if;
  if p_amount <= 0 then raise exception 'positive only'; end if;
  update public.teams set response_credits = response_credits + p_amount where id = p_team returning response_credits into v_new;
  return v_new;
end $$;
create function public.record_response(p_team uuid) returns boolean language plpgsql security definer set search_path = '' as $$
begin
  if not (p_team in (select private.my_teams())) then raise exception 'not a member'; end if;
  update public.teams set response_credits = response_credits - 1 where id = p_team and response_credits >= 1;
  return found;
end $$;
create view public.team_credits with (security_invoker = true) as select id, name, response_credits from public.teams;
revoke insert, delete on public.teams from anon, authenticated;
revoke execute on function public.grant_team_credits(uuid, bigint), public.record_response(uuid) from public, anon;
grant execute on function public.grant_team_credits(uuid, bigint), public.record_response(uuid) to authenticated;

-- @ recipes with columns granted one by one:
create table public.cooks (
  user_id uuid primary key references auth.users on delete cascade, display_name text, diet text[], recipe_credits integer not null default 5 check (recipe_credits >= 0),
  is_chef boolean not null default false, usage_count integer not null default 0
);
alter table public.cooks enable row level security;
create policy "cook reads own" on public.cooks for select to authenticated using (user_id = auth.uid());
create policy "cook edits own" on public.cooks for update to authenticated using (user_id = auth.uid()) with check (user_id = auth.uid());
revoke insert, update, delete, truncate on public.cooks from anon, authenticated;
grant update (display_name, diet) on public.cooks to authenticated;
create table public.recipes (id uuid primary key default gen_random_uuid(), user_id uuid not null default auth.uid(), title text, steps jsonb, is_public boolean default false, usage_count integer default 0);
alter table public.recipes enable row level security;
create policy "read public or own" on public.recipes for select using (is_public or user_id = auth.uid());
create policy "write own" on public.recipes for insert to authenticated with check (user_id = auth.uid());
create policy "edit own" on public.recipes for update to authenticated using (user_id = auth.uid());
create policy "drop own" on public.recipes for delete to authenticated using (user_id = auth.uid());
create function public.cook_up(p_title text) returns uuid language plpgsql security definer set search_path = '' as $$
declare v_id uuid;
begin
  update public.cooks set recipe_credits = recipe_credits - 1, usage_count = usage_count + 1 where user_id = auth.uid() and recipe_credits > 0;
  if not found then return null; end if;
  insert into public.recipes (user_id, title) values (auth.uid(), p_title) returning id into v_id;
  return v_id;
end $$;
revoke execute on function public.cook_up(text) from public, anon;
grant execute on function public.cook_up(text) to authenticated;
create function public.weekly_refill() returns integer language plpgsql security definer set search_path = '' as $$
declare v_n integer;
begin
  update public.cooks set recipe_credits = greatest(recipe_credits, 5);
  get diagnostics v_n = row_count; return v_n;
end $$;
revoke execute on function public.weekly_refill() from public, anon, authenticated;
create function public.bump_recipe(p_id uuid) returns void language sql security definer set search_path = '' as $$
  update public.recipes set usage_count = usage_count + 1 where id = p_id and is_public;
$$;

-- @ vouchers and a monthly quota: credits_on_conditions
create table public.learners (id uuid primary key references auth.users on delete cascade, nickname text, flash_quota integer not null default 40, flashes_made integer not null default 0, quota_month date not null default date_trunc('month', now())::date);
alter table public.learners enable row level security;
create policy "learner reads" on public.learners for select to authenticated using ((select auth.uid()) = id);
create table public.vouchers (code text primary key, flashes integer not null check (flashes > 0), used_by uuid, used_at timestamptz);
alter table public.vouchers enable row level security;
create table public.billing_state (learner uuid primary key, plan text not null default 'basic', stripe_customer text);
alter table public.billing_state enable row level security;
create policy "service writes billing" on public.billing_state for all using (auth.role() = 'service_role') with check (auth.role() = 'service_role');
create policy "own billing" on public.billing_state for select to authenticated using (learner = (select auth.uid()));
create function public.redeem_voucher(p_code text) returns integer language plpgsql security definer set search_path = '' as $$
declare v_flashes integer;
begin
  if auth.uid() is null then raise exception 'sign in'; end if;
  update public.vouchers set used_by = auth.uid(), used_at = now() where code = p_code and used_by is null returning flashes into v_flashes;
  if v_flashes is null then raise exception 'voucher is spent or unknown'; end if;
  update public.learners set flash_quota = flash_quota + v_flashes where id = auth.uid();
  return v_flashes;
end $$;
create function public.make_flashes(p_count integer) returns integer language plpgsql security definer set search_path = '' as $$
declare v_me public.learners%rowtype;
begin
  if p_count not between 1 and 20 then raise exception 'one to twenty at a time'; end if;
  select * into strict v_me from public.learners where id = auth.uid() for update;
  if v_me.quota_month < date_trunc('month', now())::date then
    v_me.flashes_made := 0;
    update public.learners set flashes_made = 0, quota_month = date_trunc('month', now())::date where id = v_me.id;
  end if;
  if v_me.flashes_made + p_count > v_me.flash_quota then return -1; end if;
  update public.learners set flashes_made = flashes_made + p_count where id = v_me.id;
  return v_me.flash_quota - v_me.flashes_made - p_count;
end $$;
create function public.set_nickname(p_name text) returns void language sql security definer set search_path = '' as $$
  update public.learners set nickname = left(trim(p_name), 40) where id = (select auth.uid());
$$;
revoke execute on function public.redeem_voucher(text), public.make_flashes(integer), public.set_nickname(text) from public, anon;
grant execute on function public.redeem_voucher(text), public.make_flashes(integer), public.set_nickname(text) to authenticated;

-- @ minutes of transcription in a schema of their own:
create schema if not exists app;
create table app.minute_banks (
  person uuid primary key, seconds_left bigint not null default 1800 check (seconds_left >= 0), renewed_on date not null default current_date
);
create table public.clips (
  id uuid primary key default gen_random_uuid(), person uuid not null default auth.uid(), title text, seconds integer not null default 0,
  tokens_used integer not null default 0, created_at timestamptz not null default now()
);
alter table public.clips enable row level security;
create policy clips_all on public.clips for all to authenticated using (person = (select auth.uid())) with check (person = (select auth.uid()));
create function app.take_seconds(p_person uuid, p_seconds bigint) returns bigint language plpgsql security definer set search_path = '' as $$
declare v_left bigint;
begin
  if p_seconds is null or p_seconds <= 0 then raise exception 'seconds must be positive' using errcode = '22023'; end if;
  select seconds_left into v_left from app.minute_banks where person = p_person for update;
  if v_left is null or v_left < p_seconds then raise exception 'out of minutes' using errcode = 'P0001'; end if;
  update app.minute_banks set seconds_left = seconds_left - p_seconds where person = p_person;
  return v_left - p_seconds;
end $$;
revoke all on function app.take_seconds(uuid, bigint) from public;
create function public.begin_transcription(p_clip uuid) returns bigint language plpgsql security definer set search_path = '' as $$
declare v_seconds integer;
begin
  if auth.uid() is null then raise exception 'sign in'; end if;
  select seconds into v_seconds from public.clips where id = p_clip and person = auth.uid();
  if not found then raise exception 'no such clip'; end if;
  return app.take_seconds(auth.uid(), greatest(v_seconds, 1));
end $$;
revoke all on function public.begin_transcription(uuid) from public, anon;
grant execute on function public.begin_transcription(uuid) to authenticated;
create function public.add_minutes(p_person uuid, p_minutes integer) returns void language sql security definer set search_path = '' as $$
  insert into app.minute_banks (person, seconds_left) values (p_person, p_minutes * 60)
  on conflict (person) do update set seconds_left = app.minute_banks.seconds_left + excluded.seconds_left;
$$;
revoke all on function public.add_minutes(uuid, integer) from public, anon, authenticated;
grant execute on function public.add_minutes(uuid, integer) to service_role;
create function public.minutes_left() returns numeric language sql stable security definer set search_path = '' as $$
  select round(seconds_left / 60.0, 1) from app.minute_banks where person = (select auth.uid());
$$;

-- @ units of advice, held by a check: client_names_price
create table public.matters (id uuid primary key default gen_random_uuid(), client uuid not null default auth.uid(), subject text);
alter table public.matters enable row level security;
create policy "own matters" on public.matters for all to authenticated using (client = auth.uid()) with check (client = auth.uid());
create table public.advice_units (client uuid primary key, units integer not null default 3, constraint never_below check (units >= 0));
alter table public.advice_units enable row level security;
create policy "own units" on public.advice_units for select to authenticated using (client = auth.uid());
create function public.use_units(p_client uuid, p_units integer) returns integer language plpgsql security definer set search_path = '' as $$
declare v_units integer;
begin
  if auth.uid() is null or p_client is distinct from auth.uid() then raise exception 'not your units' using errcode = '42501'; end if;
  if not (p_units > 0) then raise exception 'at least one'; end if;
  update public.advice_units a set units = a.units - p_units where a.client = p_client returning a.units into v_units;
  return v_units;
exception when check_violation then raise exception 'units used up' using errcode = 'PT402';
end $$;
create function public.sync_units(p_rows jsonb) returns integer language plpgsql security definer set search_path = '' as $$
begin
  merge into public.advice_units a using jsonb_to_recordset(p_rows) r(client uuid, units integer) on a.client = r.client
  when matched then update set units = r.units when not matched then insert (client, units) values (r.client, r.units);
  return jsonb_array_length(p_rows);
end $$;
revoke all on function public.sync_units(jsonb), public.use_units(uuid, integer) from public, anon, authenticated;
grant execute on function public.sync_units(jsonb) to service_role;
grant execute on function public.use_units(uuid, integer) to authenticated;

-- @ digests that the backend alone charges:
create table public.readers (id uuid primary key, digests_left smallint not null default 10, premium boolean not null default false);
alter table public.readers enable row level security;
create table public.digest_log (id bigserial primary key, reader uuid not null, model text, tokens_used integer, at timestamptz default now());
alter table public.digest_log enable row level security;
create function public.charge_reader(p_reader uuid, p_digests integer) returns integer language plpgsql security definer set search_path = '' as $$
declare v_left integer;
begin
  if coalesce(current_setting('request.jwt.claims', true)::json ->> 'role', '') <> 'service_role' then raise exception 'forbidden'; end if;
  update public.readers set digests_left = digests_left - p_digests where id = p_reader and digests_left >= p_digests returning digests_left into v_left;
  return v_left;
end $$;
create function public.set_premium(p_reader uuid, p_on boolean) returns void language plpgsql set search_path = '' as $$
begin
  update public.readers set premium = p_on, digests_left = case when p_on then 500 else 10 end where id = p_reader;
end $$;
create function public.my_digests() returns integer language sql stable security definer set search_path = '' as $$
  select digests_left from public.readers where id = auth.uid();
$$;

-- @ hints that a trigger pays and another one guards:
create table public.players (id uuid primary key references auth.users, nick text, hints integer not null default 10, vip boolean not null default false);
alter table public.players enable row level security;
create policy "self" on public.players for select to authenticated using (id = auth.uid());
create policy "self edit" on public.players for update to authenticated using (id = auth.uid()) with check (id = auth.uid());
create function public.keep_hints() returns trigger language plpgsql set search_path = '' as $$
begin
  if current_user in ('anon', 'authenticated') and (new.hints is distinct from old.hints or new.vip is distinct from old.vip or new.id is distinct from old.id) then
    raise exception 'hints are bought, not edited' using errcode = '42501';
  end if;
  return new;
end $$;
create trigger players_keep_hints before update on public.players for each row execute function public.keep_hints();
create table public.hint_uses (id bigint generated always as identity primary key, player uuid not null default auth.uid(), question integer not null, at timestamptz not null default now());
alter table public.hint_uses enable row level security;
create policy "use own" on public.hint_uses for insert to authenticated with check (player = auth.uid());
create policy "see own" on public.hint_uses for select to authenticated using (player = auth.uid());
create function public.pay_hint() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update public.players set hints = hints - 1 where id = new.player and hints > 0;
  if not found then raise exception 'no hints left'; end if;
  return new;
end $$;
create trigger hint_uses_pay before insert on public.hint_uses for each row execute function public.pay_hint();
revoke execute on function public.pay_hint(), public.keep_hints() from public, anon, authenticated;

-- @ a bucket of tokens beside songs with credits and a balance: client_names_price credits_on_conditions users_choose_plan users_write_balance
create domain public.positive_count as integer check (value > 0 and value <= 1000);
create table public.buckets (account uuid primary key, tokens numeric not null default 60, cap numeric not null default 60, filled_at timestamptz not null default now());
alter table public.buckets enable row level security;
create policy "own bucket" on public.buckets for select to authenticated using (account = auth.uid());
create function public.take_tokens(p_n public.positive_count) returns boolean language plpgsql security definer set search_path = '' as $$
declare v_now timestamptz := clock_timestamp(); v_tokens numeric;
begin
  if auth.uid() is null then return false; end if;
  insert into public.buckets (account) values (auth.uid()) on conflict do nothing;
  select least(cap, tokens + extract(epoch from v_now - filled_at)::numeric / 60) into v_tokens from public.buckets where account = auth.uid() for update;
  if v_tokens < p_n then return false; end if;
  update public.buckets set tokens = v_tokens - p_n, filled_at = v_now where account = auth.uid();
  return true;
end $$;
revoke execute on function public.take_tokens(public.positive_count) from public, anon;
create table public.stems (id uuid primary key default gen_random_uuid(), account uuid not null default auth.uid(), plan text, credits text, balance numeric);
comment on column public.stems.credits is 'Who made the stem: shown as the credits of the track.';
comment on column public.stems.balance is 'Stereo balance, -1 to 1.';
alter table public.stems enable row level security;
create policy "own stems" on public.stems for all to authenticated using (account = auth.uid()) with check (account = auth.uid());
create function public.pan(p_stem uuid, p_by numeric) returns numeric language sql set search_path = '' as $$
  update public.stems set balance = greatest(-1, least(1, balance + p_by)) where id = p_stem returning balance;
$$;

-- @ gold whose owner is compared with care:
create table public.pots (owner uuid primary key, gold integer not null default 5 check (gold >= 0));
alter table public.pots enable row level security;
create policy p on public.pots for select using (owner = auth.uid());
create function public.a1(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if auth.uid() is null or p_user <> auth.uid() then raise exception 'no'; end if;
  update public.pots set gold = gold - 1 where owner = p_user and gold > 0;
end $$;
create function public.a2(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if auth.role() <> 'authenticated' then raise exception 'sign in'; end if;
  if p_user != auth.uid() then raise exception 'no'; end if;
  update public.pots set gold = gold - 1 where owner = p_user and gold > 0;
end $$;
create function public.a3(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
declare v_me uuid := auth.uid();
begin
  if v_me is null then raise exception 'sign in'; end if;
  if p_user <> v_me then raise exception 'no'; end if;
  update public.pots set gold = gold - 1 where owner = p_user and gold > 0;
end $$;
create function public.a4(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_user = auth.uid() then update public.pots set gold = gold - 1 where owner = p_user and gold > 0; else raise exception 'no'; end if;
end $$;
create function public.a5(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if (p_user = auth.uid()) is not true then raise exception 'no'; end if;
  update public.pots set gold = gold - 1 where owner = p_user and gold > 0;
end $$;
create function public.a6(p_user uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_user <> coalesce(auth.uid(), '00000000-0000-0000-0000-000000000000') then raise exception 'no'; end if;
  update public.pots set gold = gold - 1 where owner = p_user and gold > 0;
end $$;
create function public.a7(p_user uuid) returns void language sql security definer set search_path = '' as $$
  update public.pots set gold = gold - 1 where owner = p_user and not (p_user <> auth.uid()) and gold > 0;
$$;
