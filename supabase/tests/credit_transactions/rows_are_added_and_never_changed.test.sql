begin;
\ir ../people.psql
select plan(7);

select isnt_empty(
  $$select 1 from credit_transactions where account_id = pg_temp.ann()$$,
  'a user has a ledger from the start'
);
select throws_ok(
  'update credit_transactions set amount = 1', 'PT405', 'ledger_is_append_only',
  'no update'
);
select throws_ok('delete from credit_transactions', 'PT405', 'ledger_is_append_only', 'no delete');
select throws_ok('truncate credit_transactions', 'PT405', 'ledger_is_append_only', 'no truncate');
select table_privs_are('public', 'credit_transactions', 'anon', '{}'::text[]);
select table_privs_are('public', 'credit_transactions', 'authenticated', array['SELECT']);
select table_privs_are('public', 'credit_transactions', 'service_role', array['SELECT']);

select * from finish();
rollback;
