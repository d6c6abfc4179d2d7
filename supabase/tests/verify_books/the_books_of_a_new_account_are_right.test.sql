begin;
\ir ../people.psql
select plan(2);

select is((verify_books(pg_temp.ann()) ->> 'success')::boolean, true, 'all rules hold');
select throws_ok(
  $$select verify_books(gen_random_uuid())$$, 'PT404', 'account_not_found', 'of nobody there are none'
);

select * from finish();
rollback;
