begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table before on commit drop as
  select period_end from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message';
select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 7)$$, 'seven are spent');
select lives_ok($$select reset_monthly_credits('00000000-0000-4000-a000-000000000001')$$, 'the line of the guide');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'ten again');
select results_eq(
  $$select period_end from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'$$,
  'select period_end from before', 'in the same period'
);
select results_eq(
  $$select kind::text, amount from credit_transactions where account_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message' order by version$$,
  $$values ('grant', 10::bigint), ('consume', -7), ('void', -3), ('grant', 10)$$, 'and the ledger has all of it'
);

select * from finish();
rollback;
