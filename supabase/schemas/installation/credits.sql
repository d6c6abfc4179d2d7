-- The core lives in a schema of its own that PostgREST never exposes, and API roles get no USAGE on
-- it: they cannot name anything in it. Policies, views and SQL-standard function bodies name things
-- when they are made, so what these call is granted function by function, and runs as its owner,
-- since what it calls in turn is named when it runs. The build writes the comment of the schema.
create schema credits;
revoke all on schema credits from public, anon, authenticated, service_role;
