-- The core lives in a schema of its own that PostgREST never exposes, and API roles get no USAGE on
-- it: they cannot name anything in it. Policies, views and SQL-standard function bodies name things
-- when they are made, so what these call is granted function by function, and runs as its owner,
-- since what it calls in turn is named when it runs.
create schema credits;
comment on schema credits is
  'The core of the credit system: functions over one account''s rows, and the tables that no API '
  'role reads directly. Never expose it.';
revoke all on schema credits from public, anon, authenticated, service_role;
