begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table hold on commit drop as
  select (reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7) ->> 'reservation_id')::uuid as id;
create temporary table captured on commit drop as
  select capture_credits('00000000-0000-4000-a000-000000000001', (select id from hold), 12) as answer;
select is((select answer ->> 'captured' from captured), '10', 'all ten are charged');
select is((select answer ->> 'shortfall' from captured), '2', 'two are lacking');
select is((select metadata ->> 'shortfall' from credit_transactions where account_id = '00000000-0000-4000-a000-000000000001' and kind = 'capture'), '2', 'also in the ledger');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 0::bigint, 'and never less than nothing');

select * from finish();
rollback;
