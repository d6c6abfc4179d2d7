begin;
\ir ../people.psql
select plan(2);

select is(
  export_account(pg_temp.ann()) ->> 'account_id', pg_temp.ann()::text, 'of this account'
);
select ok(
  export_account(pg_temp.ann()) -> 'tables' ? 'public.credit_grants', 'with its grants'
);

select * from finish();
rollback;
