begin;
\ir ../people.psql
select plan(3);

select function_privs_are(
  'public', 'consume_credits', array['uuid', 'text', 'bigint', 'text', 'text', 'jsonb', 'uuid', 'boolean'],
  'service_role', array['EXECUTE']
);
select function_privs_are(
  'public', 'consume_credits', array['uuid', 'text', 'bigint', 'text', 'text', 'jsonb', 'uuid', 'boolean'], 'anon',
  '{}'::text[]
);
select function_privs_are(
  'public', 'consume_credits', array['uuid', 'text', 'bigint', 'text', 'text', 'jsonb', 'uuid', 'boolean'], 'authenticated',
  '{}'::text[]
);

select * from finish();
rollback;
