-- Whose requests the API runs, and how to try something as one of them.

create function credits.api_roles()
returns table (name name)
language sql
stable
security invoker
set search_path = ''
as $$
  select r.rolname from pg_catalog.pg_roles r
  where r.rolname in ('anon', 'authenticated')
    or not r.rolsuper and r.rolname !~ '^(pg_|supabase_)'
    and r.rolname not in ('authenticator', 'service_role', 'postgres')
      and to_regrole('authenticator') is not null
      and pg_has_role('authenticator', r.oid, 'member')
$$;
comment on function credits.api_roles() is
  'Whose requests PostgREST runs, but for the service role: anon, authenticated, and roles of the '
  'project''s own.';
revoke all on function credits.api_roles() from public, anon, authenticated, service_role;

create function credits.call_as_user(p_role text, p_statement text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select format(
    'begin; %sset local role %I; select set_config(''request.jwt.claims'', ''{"sub": "<id of some '
    'user>"}'', true); %s; rollback;',
    -- A role of one's own is one that its maker may hand out, and not yet act as.
    case when p_role in ('anon', 'authenticated') then ''
      else format('grant %I to current_user; ', p_role) end, p_role, p_statement)
$$;
comment on function credits.call_as_user(text, text) is
  'A script for the SQL editor that does something the way the API would, and takes it back.';
revoke all on function credits.call_as_user(text, text)
  from public, anon, authenticated, service_role;
