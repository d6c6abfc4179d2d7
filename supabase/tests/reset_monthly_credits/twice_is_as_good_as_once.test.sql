begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 7)$$, 'seven are spent');
select lives_ok($$select reset_monthly_credits('00000000-0000-4000-a000-000000000001')$$, 'reset 1');
select lives_ok($$select reset_monthly_credits('00000000-0000-4000-a000-000000000001')$$, 'reset 2');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'ten, not twenty');

select * from finish();
rollback;
