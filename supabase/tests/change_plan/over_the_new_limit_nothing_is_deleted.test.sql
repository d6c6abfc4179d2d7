begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select change_plan('00000000-0000-4000-a000-000000000001', 'pro')$$, 'pro');
select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'project', 5)$$, 'five projects');
select lives_ok($$select change_plan('00000000-0000-4000-a000-000000000001', 'free')$$, 'free, which has three');
select is((select used from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 5::bigint, 'five are there');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'project') ->> 'code', 'limit_reached', 'a sixth is denied');

select * from finish();
rollback;
