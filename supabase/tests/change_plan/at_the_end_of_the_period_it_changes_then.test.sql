begin;
\ir ../people.psql
select plan(6);

select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'a clock of its own');
select lives_ok($$select change_plan(pg_temp.ann(), 'pro')$$, 'pro');
select is(change_plan(pg_temp.ann(), 'free', 'period_end') ->> 'pending_plan', 'free', 'cancelled');
select is(pg_temp.remaining('message'), 500::bigint, 'nothing changes until then');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), (select max(period_end)
    from credit_balances where user_id = pg_temp.ann()))$$,
  'then'
);
select is(pg_temp.remaining('message'), 10::bigint, 'it is free');

select * from finish();
rollback;
