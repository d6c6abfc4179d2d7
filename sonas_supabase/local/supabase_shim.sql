-- What a hosted Supabase project has before its first migration: roles, the auth schema, default privileges.
-- Run as the superuser supabase_admin on an empty database; may be run again. `postgres` is no superuser, as on the hosted
-- service; auth belongs to supabase_admin, so that `supabase db reset` leaves it alone.
do $$
declare r record;
begin
  for r in select * from (values
    ('postgres','login inherit createrole createdb replication bypassrls'),
    ('supabase_admin','login superuser createdb createrole replication bypassrls'),
    ('anon','nologin noinherit'),('authenticated','nologin noinherit'),('service_role','nologin noinherit bypassrls'),
    ('authenticator','login noinherit'),('supabase_auth_admin','login noinherit createrole'),
    ('supabase_storage_admin','login noinherit createrole'),('dashboard_user','nologin createdb createrole replication')) v(n,opts)
  loop
    if not exists (select from pg_roles where rolname=r.n) then
      execute format('create role %I %s%s', r.n, r.opts, case when r.opts like 'login%' then $q$ password 'postgres'$q$ else '' end);
    end if;
  end loop;
  execute format('alter database %I owner to postgres', current_database());
  execute format('alter database %I set search_path to "$user", public, extensions', current_database());
end $$;
grant pg_monitor, pg_read_all_data to postgres;
grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;
alter schema public owner to postgres;
create schema if not exists extensions authorization postgres;
grant usage on schema extensions to public;
create schema if not exists auth authorization supabase_admin;   -- owner MUST be supabase_admin, else `supabase db reset` drops it
grant all on schema auth to supabase_auth_admin, dashboard_user;
grant usage on schema auth to anon, authenticated, service_role, postgres;   -- no CREATE for postgres, as hosted since 2025
create table if not exists auth.users (
  instance_id uuid, id uuid not null primary key, aud varchar(255), role varchar(255), email varchar(255),
  encrypted_password varchar(255), email_confirmed_at timestamptz, invited_at timestamptz, last_sign_in_at timestamptz,
  raw_app_meta_data jsonb, raw_user_meta_data jsonb, is_super_admin boolean,
  created_at timestamptz default now(), updated_at timestamptz default now(), phone text unique,
  banned_until timestamptz, deleted_at timestamptz,
  is_sso_user boolean not null default false, is_anonymous boolean not null default false);
alter table auth.users owner to supabase_auth_admin;
alter table auth.users enable row level security;
grant all on auth.users to postgres, dashboard_user;
create or replace function auth.uid() returns uuid language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid $$;
create or replace function auth.role() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'))::text $$;
create or replace function auth.email() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.email', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'))::text $$;
create or replace function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
alter function auth.uid() owner to supabase_auth_admin; alter function auth.role() owner to supabase_auth_admin;
alter function auth.email() owner to supabase_auth_admin; alter function auth.jwt() owner to supabase_auth_admin;
grant usage on schema public to postgres, anon, authenticated, service_role;
-- hosted default "auto expose": every object that postgres creates in public is granted to the API roles
alter default privileges for role postgres in schema public grant all on tables    to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public grant all on sequences to postgres, anon, authenticated, service_role;
do $$ declare e text; begin
  if not exists (select from pg_publication where pubname='supabase_realtime') then create publication supabase_realtime; alter publication supabase_realtime owner to postgres; end if;
  foreach e in array array['pgcrypto','uuid-ossp','pg_stat_statements'] loop
    if exists (select from pg_available_extensions where name=e) then execute format('create extension if not exists %I with schema extensions', e); end if;
  end loop;
  update pg_extension set extowner='postgres'::regrole where extname<>'plpgsql';   -- hosted: supautils lets postgres own extensions
end $$;
