begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

create temporary table hold on commit drop as
  select (reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reservation_id')::uuid as id;
select lives_ok($$select release_credits(pg_temp.ann(), (select id from hold))$$, 'released');
select throws_ok(
  $$select release_credits(pg_temp.ann(), (select id from hold))$$, 'PT409', 'reservation_closed',
  'not twice'
);
select throws_ok(
  $$select capture_credits(pg_temp.ann(), (select id from hold))$$, 'PT409', 'reservation_closed',
  'nor captured'
);

select * from finish();
rollback;
