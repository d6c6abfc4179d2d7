begin;
\ir ../people.psql
select plan(4);

select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'a clock of its own');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), (select max(period_end)
    from credit_balances where user_id = pg_temp.ann()))$$,
  'the period is over'
);
select cmp_ok((reset_monthly_credits() ->> 'accounts')::integer, '>=', 1, 'it is renewed');
select is(
  (select count(*)
    from credit_grants where account_id = pg_temp.ann() and credit_type = 'message' and source = 'plan'), 2::bigint,
  'once'
);

select * from finish();
rollback;
