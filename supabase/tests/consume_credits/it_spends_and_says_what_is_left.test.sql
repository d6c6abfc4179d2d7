begin;
\ir ../people.psql
select plan(4);

select is(
  consume_credits(pg_temp.ann(), 'message', 4, 'Test consumption') ->> 'remaining', '6',
  'four of ten leave six'
);
select is(pg_temp.remaining('message'), 6::bigint, 'and so says the balance');
select results_eq(
  $$select kind::text, amount, balance_after from credit_transactions where account_id = pg_temp.ann() and credit_type = 'message' order by version$$,
  $$values ('grant', 10::bigint, 10::bigint), ('consume', -4, 6)$$,
  'and the ledger has a row for it'
);
select results_eq(
  $$select status, credits_used, description from usage where user_id = pg_temp.ann()$$,
  $$values ('allowed', 4::bigint, 'Test consumption')$$,
  'and it is on record in usage'
);

select * from finish();
rollback;
