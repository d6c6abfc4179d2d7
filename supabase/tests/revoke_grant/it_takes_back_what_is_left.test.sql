begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table given on commit drop as
  select (grant_credits('00000000-0000-4000-a000-000000000001', 'message', 5) ->> 'grant_id')::uuid as id;
select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 2)$$, 'two of the five are spent');
select is(revoke_grant('00000000-0000-4000-a000-000000000001', (select id from given), 'a mistake') ->> 'amount', '3', 'three are taken back');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'the allowance is untouched');
select is(revoke_grant('00000000-0000-4000-a000-000000000001', (select id from given)) -> 'replayed', 'true', 'a second time changes nothing');

select * from finish();
rollback;
