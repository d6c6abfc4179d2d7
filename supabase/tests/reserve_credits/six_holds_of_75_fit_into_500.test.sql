begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select change_plan('00000000-0000-4000-a000-000000000001', 'pro')$$, 'five hundred messages');
select is(
  (select count(*) from generate_series(1, 20) where reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 75) ->> 'success' = 'true'),
  6::bigint, 'of twenty holds of 75 six are granted'
);
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 50::bigint, 'fifty are left');

select * from finish();
rollback;
