begin;
\ir ../people.psql
select plan(2);

select consume_credits(pg_temp.ann(), 'message', 1, 'a secret') as spent \gset
select forget_account(pg_temp.ann()) as forgotten \gset
select is(
  (select count(*) from public.credit_transactions t
   where t.account_id = pg_temp.ann() and t.description = 'a secret'), 0::bigint, 'the words are gone'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message')$$, 'PT404', 'account_not_found',
  'and the account is closed'
);

select * from finish();
rollback;
