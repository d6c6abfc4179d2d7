begin;
\ir ../people.psql
select plan(5);

select lives_ok(
  $$select grant_credits(pg_temp.ann(), 'message', 5, 'top_up')$$,
  'five were bought'
);
select lives_ok($$select consume_credits(pg_temp.ann(), 'project', 2)$$, 'two projects exist');
select lives_ok($$select reset_monthly_credits(pg_temp.ann())$$, 'reset');
select is(pg_temp.remaining('message'), 15::bigint, 'the five are there');
select is(pg_temp.remaining('project'), 1::bigint, 'and the projects count');

select * from finish();
rollback;
