begin;
\ir ../people.psql
select plan(6);

create function pg_temp.warning() returns text language sql as $$
  select b ->> 'warning' from jsonb_array_elements(get_credit_summary(pg_temp.ann()) -> 'balances') b where b ->> 'credit_type' = 'message'
$$;
select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 7)$$, 'at 70 percent');
select is(pg_temp.warning(), null, 'no warning');
select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 1)$$, 'at 80 percent');
select is(pg_temp.warning(), 'low', 'low');
select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 2)$$, 'at 100 percent');
select is(pg_temp.warning(), 'exhausted', 'exhausted');

select * from finish();
rollback;
