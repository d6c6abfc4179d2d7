begin;
\ir ../people.psql
select plan(2);

select mark_test_account(pg_temp.ann()) ->> 'now' as began \gset
select change_plan(pg_temp.ann(), 'starter') as changed \gset
select set_subscription_status(pg_temp.ann(), 'past_due') as failed \gset
select is(
  jsonb_path_query_array(get_credit_summary(pg_temp.ann()), '$.grants[*] ? (@.credit_type == "message").frozen'),
  '[false]', 'in the days of grace nothing is frozen'
);
select set_test_clock(pg_temp.ann(), :'began'::timestamptz + interval '4 days') as later \gset
select is(
  jsonb_path_query_array(get_credit_summary(pg_temp.ann()), '$.grants[*] ? (@.credit_type == "message").frozen'),
  '[true]', 'after them the summary says so, although nothing has posted it'
);

select * from finish();
rollback;
