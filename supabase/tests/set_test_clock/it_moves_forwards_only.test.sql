begin;
\ir ../people.psql
select plan(3);

select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'marked');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '2 days')$$,
  'forwards'
);
select throws_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '1 day')$$,
  'PT422', 'invalid_argument', 'not backwards'
);

select * from finish();
rollback;
