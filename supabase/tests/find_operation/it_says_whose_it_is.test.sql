begin;
\ir ../people.psql
select plan(2);

select consume_credits(pg_temp.ann(), 'message') ->> 'operation_id' as operation \gset
select is(
  find_operation(:'operation') ->> 'account_id', pg_temp.ann()::text, 'the account is found'
);
select throws_ok(
  $$select find_operation(gen_random_uuid())$$, 'PT404', 'operation_not_found', 'or there is none'
);

select * from finish();
rollback;
