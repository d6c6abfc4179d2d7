begin;
\ir ../people.psql
select plan(5);

select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'a clock of its own');
select lives_ok(
  $$select grant_credits(pg_temp.ann(), 'message', 5, p_expires_at => clock_timestamp() + interval '1 hour')$$,
  'five for an hour'
);
select is(pg_temp.remaining('message'), 15::bigint, 'fifteen now');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '2 hours')$$,
  'two hours later'
);
select is(pg_temp.remaining('message'), 10::bigint, 'ten');

select * from finish();
rollback;
