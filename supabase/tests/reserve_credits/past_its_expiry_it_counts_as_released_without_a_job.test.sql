begin;
\ir ../people.psql
select plan(5);

select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'a clock of its own');
select lives_ok(
  $$select reserve_credits(pg_temp.ann(), 'message', 7, p_ttl_seconds => 60)$$,
  'seven are held'
);
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '61 seconds')$$,
  'a minute later'
);
select is(pg_temp.remaining('message'), 10::bigint, 'all are there again');
select is(
  (select status from credit_reservations where account_id = pg_temp.ann()), 'open',
  'though nothing has booked it'
);

select * from finish();
rollback;
