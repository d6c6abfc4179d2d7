begin;
\ir ../people.psql
select plan(6);

select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 10)$$, 'all is spent');
select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'a clock of its own');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), (select max(period_end)
    from credit_balances where user_id = pg_temp.ann()) - interval '1 microsecond')$$,
  'just before'
);
select is(pg_temp.remaining('message'), 0::bigint, 'nothing');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), (select max(period_end)
    from credit_balances where user_id = pg_temp.ann()))$$,
  'at the end'
);
select is(pg_temp.remaining('message'), 10::bigint, 'ten');

select * from finish();
rollback;
