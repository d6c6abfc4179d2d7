begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table hold on commit drop as
  select (reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7) ->> 'reservation_id')::uuid as id;
select is(release_credits('00000000-0000-4000-a000-000000000001', (select id from hold), 'not needed') ->> 'released', '7', 'seven go back');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'ten are there');
select results_eq(
  $$select status, close_reason from credit_reservations where account_id = '00000000-0000-4000-a000-000000000001'$$,
  $$values ('released', 'not needed')$$, 'and it says why'
);

select * from finish();
rollback;
