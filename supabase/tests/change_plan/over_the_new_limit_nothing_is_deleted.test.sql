begin;
\ir ../people.psql
select plan(5);

select lives_ok($$select change_plan(pg_temp.ann(), 'pro')$$, 'pro');
select lives_ok($$select consume_credits(pg_temp.ann(), 'project', 5)$$, 'five projects');
select lives_ok($$select change_plan(pg_temp.ann(), 'free')$$, 'free, which has three');
select is(
  (select used
    from credit_balances where user_id = pg_temp.ann() and credit_type = 'project'), 5::bigint,
  'five are there'
);
select is(
  consume_credits(pg_temp.ann(), 'project') ->> 'code', 'limit_reached',
  'a sixth is denied'
);

select * from finish();
rollback;
