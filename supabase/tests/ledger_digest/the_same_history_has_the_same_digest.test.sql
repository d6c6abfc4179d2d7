begin;
\ir ../people.psql
select plan(2);

select is(
  ledger_digest(pg_temp.ann()) -> 'entries', ledger_digest(pg_temp.ann()) -> 'entries', 'twice the same'
);
select is((ledger_digest(pg_temp.ann()) ->> 'is_last')::boolean, true, 'and it is all there is');

select * from finish();
rollback;
