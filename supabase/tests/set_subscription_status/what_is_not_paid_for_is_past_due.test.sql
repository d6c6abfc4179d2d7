begin;
\ir ../people.psql
select plan(3);
select change_plan(pg_temp.ann(), 'starter');

select is(
  set_subscription_status(pg_temp.ann(), 'past_due') ->> 'status', 'past_due', 'the answer says so'
);
select is(
  get_credit_summary(pg_temp.ann()) ->> 'status', 'past_due', 'and so does the summary'
);
select throws_ok(
  $$select set_subscription_status(pg_temp.ann(), 'gone')$$, 'PT422', 'invalid_argument',
  'another status is refused'
);

select * from finish();
rollback;
