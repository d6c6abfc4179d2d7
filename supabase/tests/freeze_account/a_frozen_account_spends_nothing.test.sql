begin;
\ir ../people.psql
select plan(2);

select is(freeze_account(pg_temp.ann()) ->> 'status', 'frozen', 'frozen');
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message')$$, 'PT403', 'account_frozen', 'nothing is spent'
);

select * from finish();
rollback;
