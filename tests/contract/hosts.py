"""The projects that the migrations come into: an empty one, and one that has lived."""

from __future__ import annotations

# New Supabase projects no longer give what postgres creates in public to the API roles; older ones do.
CLOSED_WORLD = "".join(
    f"alter default privileges for role postgres in schema public revoke all on {objects} "
    "from anon, authenticated, service_role;"
    for objects in ("tables", "functions", "sequences")
)

OLD_USER = "00000000-0000-4000-8000-0000000000a1"
OLD_OWNER = "00000000-0000-4000-8000-0000000000a2"

INHABITED = f"""
insert into auth.users (id, email) values ('{OLD_USER}', 'old@example.com'), ('{OLD_OWNER}', 'owner@example.com');

create table public.usage (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  feature text,
  seconds integer not null default 0
);
alter table public.usage enable row level security;
revoke all on public.usage from anon, authenticated, service_role;
grant select on public.usage to authenticated;
grant all on public.usage to service_role;
create policy "own usage" on public.usage for select to authenticated using (user_id = (select auth.uid()));
insert into public.usage (user_id, feature, seconds) values ('{OLD_USER}', 'export', 12), ('{OLD_OWNER}', null, 0);

create table public.projects (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null references auth.users (id) on delete cascade,
  name text not null
);
create index projects_owner_idx on public.projects (owner);
alter table public.projects enable row level security;
revoke all on public.projects from anon, authenticated, service_role;
grant select, insert, update, delete on public.projects to authenticated, service_role;
create policy "own projects" on public.projects to authenticated
  using (owner = (select auth.uid())) with check (owner = (select auth.uid()));
insert into public.projects (owner, name)
select '{OLD_OWNER}', 'project ' || n from generate_series(1, 5) as n;
"""

HOSTS = {"empty": "", "inhabited": INHABITED}
