begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select reserve_credits(pg_temp.ann(), 'message') as held \gset
select is((metrics_health() ->> 'open_reservations')::bigint, 1::bigint, 'one hold');
select is((metrics_health() ->> 'overdue_reservations')::bigint, 0::bigint, 'and none too late');

select * from finish();
rollback;
