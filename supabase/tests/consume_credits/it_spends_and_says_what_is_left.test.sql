begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(consume_credits('00000000-0000-4000-a000-000000000001', 'message', 4, 'Test consumption') ->> 'remaining', '6', 'four of ten leave six');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 6::bigint, 'and so says the balance');
select results_eq(
  $$select kind::text, amount, balance_after from credit_transactions where account_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message' order by version$$,
  $$values ('grant', 10::bigint, 10::bigint), ('consume', -4, 6)$$,
  'and the ledger has a row for it'
);
select results_eq(
  $$select status, credits_used, description from usage where user_id = '00000000-0000-4000-a000-000000000001'$$,
  $$values ('allowed', 4::bigint, 'Test consumption')$$,
  'and it is on record in usage'
);

select * from finish();
rollback;
