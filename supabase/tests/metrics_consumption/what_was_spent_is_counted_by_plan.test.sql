begin;
\ir ../people.psql
select plan(2);

select mark_test_account(pg_temp.ann()) as marked \gset
select consume_credits(pg_temp.ann(), 'message', 3) as spent \gset
select is(
  jsonb_path_query_first(
    metrics_consumption(p_bucket => 'all', p_include_test => true, p_raw => true),
    '$.rows[*] ? (@.credit_type == "message").spent'), '3'::jsonb, 'three of the free plan'
);
select is(
  metrics_consumption(p_bucket => 'all', p_raw => true) -> 'rows', '[]', 'and none without test accounts'
);

select * from finish();
rollback;
