begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table hold on commit drop as
  select (reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7) ->> 'reservation_id')::uuid as id;
select is(capture_credits('00000000-0000-4000-a000-000000000001', (select id from hold), 4) ->> 'released', '3', 'four are charged, three go back');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 6::bigint, 'six are left');
select is((select reserved from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 0::bigint, 'nothing is held');

select * from finish();
rollback;
