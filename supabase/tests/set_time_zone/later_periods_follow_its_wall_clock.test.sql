begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  set_time_zone(pg_temp.ann(), 'Europe/Paris') ->> 'time_zone', 'Europe/Paris', 'it is set'
);
select throws_ok(
  $$select set_time_zone(pg_temp.ann(), 'Mars/Olympus')$$, 'PT422', 'invalid_argument',
  'what is no time zone is refused'
);

select * from finish();
rollback;
