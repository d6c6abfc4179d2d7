begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table hold on commit drop as
  select (reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7) ->> 'reservation_id')::uuid as id;
select is(capture_credits('00000000-0000-4000-a000-000000000001', (select id from hold), 4) -> 'replayed', 'false', 'captured');
select is(capture_credits('00000000-0000-4000-a000-000000000001', (select id from hold), 4) -> 'replayed', 'true', 'replayed');
select throws_ok(
  $$select capture_credits('00000000-0000-4000-a000-000000000001', (select id from hold), 5)$$,
  'PT409', 'reservation_closed', 'another amount is too late'
);
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 6::bigint, 'four are gone, once');

select * from finish();
rollback;
