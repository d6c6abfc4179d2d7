begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table hold on commit drop as
  select (reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7) ->> 'reservation_id')::uuid as id;
select lives_ok($$select release_credits('00000000-0000-4000-a000-000000000001', (select id from hold))$$, 'released');
select throws_ok($$select release_credits('00000000-0000-4000-a000-000000000001', (select id from hold))$$, 'PT409', 'reservation_closed', 'not twice');
select throws_ok($$select capture_credits('00000000-0000-4000-a000-000000000001', (select id from hold))$$, 'PT409', 'reservation_closed', 'nor captured');

select * from finish();
rollback;
