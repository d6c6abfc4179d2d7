begin;
\ir ../people.psql
select plan(2);

select is(
  (system_status() ->> 'accounts')::bigint, (select count(*) from credits.accounts), 'all of them'
);
select isnt(system_status() ->> 'server_version', null, 'and names the server');

select * from finish();
rollback;
