begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

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
