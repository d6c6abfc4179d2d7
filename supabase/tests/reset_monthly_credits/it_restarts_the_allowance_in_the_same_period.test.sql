begin;
\ir ../people.psql
select plan(5);

create temporary table before on commit drop as
  select period_end from credit_balances where user_id = pg_temp.ann() and credit_type = 'message';
select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 7)$$, 'seven are spent');
select lives_ok($$select reset_monthly_credits(pg_temp.ann())$$, 'the line of the guide');
select is(pg_temp.remaining('message'), 10::bigint, 'ten again');
select results_eq(
  $$select period_end from credit_balances where user_id = pg_temp.ann() and credit_type = 'message'$$,
  'select period_end from before', 'in the same period'
);
select results_eq(
  $$select kind::text, amount from credit_transactions where account_id = pg_temp.ann() and credit_type = 'message' order by version$$,
  $$values ('grant', 10::bigint), ('consume', -7), ('void', -3), ('grant', 10)$$, 'and the ledger has all of it'
);

select * from finish();
rollback;
