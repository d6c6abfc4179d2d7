begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 7)$$, 'seven are spent');
select is(change_plan('00000000-0000-4000-a000-000000000001', 'starter') ->> 'plan', 'starter', 'upgraded');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 100::bigint, 'a hundred');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'integration'), 2000::bigint, 'two thousand');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), null::bigint, 'and projects without limit');

select * from finish();
rollback;
