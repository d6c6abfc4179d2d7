begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table spent on commit drop as
  select (consume_credits('00000000-0000-4000-a000-000000000001', 'message', 7) ->> 'operation_id')::uuid as id;
select lives_ok($$select refund_credits('00000000-0000-4000-a000-000000000001', (select id from spent), 5)$$, 'five of seven');
select throws_ok($$select refund_credits('00000000-0000-4000-a000-000000000001', (select id from spent), 3)$$, 'PT422', 'invalid_amount', 'three more are too many');
select is(refund_credits('00000000-0000-4000-a000-000000000001', (select id from spent)) ->> 'amount', '2', 'what is left are two');
select throws_ok($$select refund_credits('00000000-0000-4000-a000-000000000001', (select id from spent))$$, 'PT422', 'invalid_amount', 'then nothing is');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'ten are there');

select * from finish();
rollback;
