-- The core lives in a schema of its own that PostgREST never exposes. API roles get no USAGE on it; what a policy or a
-- security_invoker view needs from it is granted object by object.
create schema credits;
comment on schema credits is
  'The core of the credit system: functions over one account''s rows, and the tables that nobody reads directly. Never expose it.';
revoke all on schema credits from public, anon, authenticated, service_role;
