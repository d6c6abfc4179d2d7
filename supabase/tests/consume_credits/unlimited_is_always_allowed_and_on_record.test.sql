begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select change_plan('00000000-0000-4000-a000-000000000001', 'starter')$$, 'projects of a paid plan are unlimited');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'project', 1000) -> 'unlimited', 'true', 'a thousand of them');
select is((select used from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 1000::bigint, 'are counted');
select is((select sum(amount) from credit_transactions where account_id = '00000000-0000-4000-a000-000000000001' and kind = 'consume'), -1000::numeric, 'and in the ledger');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), null::bigint, 'and nothing runs out');

select * from finish();
rollback;
