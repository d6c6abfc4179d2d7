-- @ admin email check:
create function adm(p_user uuid, p_amount int) returns void language plpgsql security definer set search_path = '' as $$
begin
  if (select email from auth.users where id = auth.uid()) is distinct from 'boss@example.com' then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = p_user;
end $$;

-- @ JWT role check:
create function adm(p_user uuid, p_amount int) returns void language plpgsql security definer set search_path = '' as $$
begin
  if current_setting('request.jwt.claims', true)::json ->> 'role' <> 'service_role' then raise exception 'no'; end if;
  update public.profiles set credits = credits + p_amount where id = p_user;
end $$;

-- @ transfer between users, sign checked, own id:
create function transfer(p_to uuid, p_amount int) returns void language plpgsql security definer set search_path = '' as $$
begin
  if p_amount is null or p_amount <= 0 then raise exception 'bad'; end if;
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits >= p_amount;
  if not found then raise exception 'insufficient'; end if;
  update public.profiles set credits = credits + p_amount where id = p_to;
end $$;

-- @ once per month guarded: credits_on_conditions
create function refresh_my() returns void language plpgsql security definer set search_path = '' as $$
begin
  if (select last_claimed_at from public.profiles where id = auth.uid()) > now() - interval '30 days' then return; end if;
  update public.profiles set credits = 10, last_claimed_at = now() where id = auth.uid();
end $$;

-- @ rpc reading only:
create function me() returns jsonb language sql stable security definer set search_path = '' as
 $$ select to_jsonb(p) from public.profiles p where id = auth.uid() $$;

-- @ token invites, not money:
create table invites (token text primary key, org_id uuid, used boolean default false);
alter table invites enable row level security;
create function accept_invite(p_token text) returns void language plpgsql security definer set search_path = '' as $$
begin update public.invites set used = true where token = p_token and not used; end $$;

-- @ blog points of interest & ratings:
create table places (id uuid primary key, user_id uuid, points_of_interest text, rating int, view_count int);
alter table places enable row level security;
create policy own on places for all to authenticated using (user_id = auth.uid());
create function bump_views(p_id uuid) returns void language sql security definer set search_path = '' as
 $$ update public.places set view_count = view_count + 1 where id = p_id $$;

-- @ consume wrapper checked:
create function generate(p_prompt text) returns jsonb language plpgsql security definer set search_path = '' as $$
declare r jsonb; begin
  r := to_jsonb(public.consume_credits(auth.uid(), 'message', 1, p_prompt));
  if not (r ->> 'success')::boolean then return r; end if;
  insert into public.jobs (user_id, cost, result) values (auth.uid(), 1, p_prompt);
  return r;
end $$;

-- @ plan change from payments webhook table trigger (backend only):
create table stripe_events (id text primary key, user_id uuid, plan text);
alter table stripe_events enable row level security;
create function on_stripe() returns trigger language plpgsql security definer set search_path = '' as $$
begin perform public.change_plan(new.user_id, new.plan); return new; end $$;
create trigger on_stripe after insert on stripe_events for each row execute function on_stripe();

-- @ wallet float with numeric literal check: client_names_price
create function pay(p_amount numeric) returns void language plpgsql security definer set search_path = '' as $$
begin
  assert p_amount > 0.00, 'positive';
  update public.profiles set credits = credits - p_amount where id = auth.uid() and credits - p_amount >= 0;
end $$;

-- @ serializable by advisory lock:
create function pay1() returns void language plpgsql security definer set search_path = '' as $$
declare c int; begin
  perform pg_advisory_xact_lock(hashtext(auth.uid()::text));
  select credits into c from public.profiles where id = auth.uid();
  if c < 1 then raise exception 'x'; end if;
  update public.profiles set credits = c - 1 where id = auth.uid();
end $$;

-- @ downgrade to what is fixed:
create function downgrade_me() returns void language sql security definer set search_path = '' as
 $$ update public.profiles set plan = 'free' where id = auth.uid() $$;
