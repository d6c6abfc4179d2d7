begin;
\ir ../people.psql
select plan(3);

select throws_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '1 day')$$,
  'PT409', 'not_a_test_account', 'refused at first'
);
select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'marked');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '1 day')$$,
  'accepted then'
);

select * from finish();
rollback;
