begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001'), ('00000000-0000-4000-a000-000000000002');

create temporary table hold on commit drop as
  select (reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7) ->> 'reservation_id')::uuid as id;
select throws_ok(
  $$select capture_credits('00000000-0000-4000-a000-000000000002', (select id from hold))$$,
  'PT404', 'reservation_not_found', 'it is not theirs'
);
select is((select status from credit_reservations where account_id = '00000000-0000-4000-a000-000000000001'), 'open', 'and it stays open');

select * from finish();
rollback;
