begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is((verify_checklist() ->> 'success')::boolean, true, 'the checklist of the guide holds');
select is((select count(*) from auth.users), 1::bigint, 'and the probe user is gone');

select * from finish();
rollback;
