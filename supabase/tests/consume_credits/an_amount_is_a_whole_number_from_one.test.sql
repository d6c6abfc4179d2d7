begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select throws_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 0)$$, 'PT422', 'invalid_amount', 'not zero');
select throws_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', -1)$$, 'PT422', 'invalid_amount', 'not negative');
select throws_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', null)$$, 'PT422', 'invalid_amount', 'not null');
select throws_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 9007199254740993)$$, 'PT422', 'invalid_amount', 'not above 2^53');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
