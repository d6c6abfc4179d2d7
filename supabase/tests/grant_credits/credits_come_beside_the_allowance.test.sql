begin;
\ir ../people.psql
select plan(2);

select is(grant_credits(pg_temp.ann(), 'message', 5) ->> 'remaining', '15', 'five on top of ten');
select results_eq(
  $$select source, priority from credit_grants where account_id = pg_temp.ann() and credit_type = 'message' order by priority$$,
  $$values ('promotion', 20), ('plan', 30)$$, 'a promotion is spent before the allowance'
);

select * from finish();
rollback;
