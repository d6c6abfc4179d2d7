begin;
\ir ../people.psql
select plan(2);

select consume_credits(pg_temp.ann(), 'message', 2) as spent \gset
select is(
  get_credit_history(pg_temp.ann(), 'message') #>> '{rows,0,kind}', 'consume', 'the spend first'
);
select throws_ok(
  $$select get_credit_history(pg_temp.ann(), p_limit => 0)$$, 'PT422', 'invalid_argument',
  'a page has at least one row'
);

select * from finish();
rollback;
