begin;
\ir ../people.psql
select plan(5);

select lives_ok(
  $$select change_plan(pg_temp.ann(), 'starter')$$,
  'projects of a paid plan are unlimited'
);
select is(
  consume_credits(pg_temp.ann(), 'project', 1000) -> 'unlimited', 'true',
  'a thousand of them'
);
select is(
  (select used
    from credit_balances where user_id = pg_temp.ann() and credit_type = 'project'), 1000::bigint,
  'are counted'
);
select is(
  (select sum(amount)
    from credit_transactions where account_id = pg_temp.ann() and kind = 'consume'), -1000::numeric,
  'and in the ledger'
);
select is(pg_temp.remaining('project'), null::bigint, 'and nothing runs out');

select * from finish();
rollback;
