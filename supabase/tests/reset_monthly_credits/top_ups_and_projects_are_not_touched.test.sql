begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select grant_credits('00000000-0000-4000-a000-000000000001', 'message', 5, 'top_up')$$, 'five were bought');
select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'project', 2)$$, 'two projects exist');
select lives_ok($$select reset_monthly_credits('00000000-0000-4000-a000-000000000001')$$, 'reset');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 15::bigint, 'the five are there');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 1::bigint, 'and the projects count');

select * from finish();
rollback;
