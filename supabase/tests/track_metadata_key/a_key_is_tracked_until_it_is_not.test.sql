begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(track_metadata_key('model') -> 'tracked', '["model"]', 'tracked');
select is(track_metadata_key('model', false) -> 'tracked', '[]', 'and no longer');

select * from finish();
rollback;
