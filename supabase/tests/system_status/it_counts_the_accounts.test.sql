begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  (system_status() ->> 'accounts')::bigint, (select count(*) from credits.accounts), 'all of them'
);
select isnt(system_status() ->> 'server_version', null, 'and names the server');

select * from finish();
rollback;
