begin;
\ir ../people.psql
select plan(4);

select lives_ok($$select change_plan(pg_temp.ann(), 'elite')$$, 'the largest plan');
select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 1200)$$, 'all of it is spent');
select lives_ok(
  $$select change_plan(pg_temp.ann(), p) from generate_series(1, 25), unnest(array['starter', 'elite']) as p$$,
  'fifty switches'
);
select is(pg_temp.remaining('message'), 0::bigint, 'nothing has come');

select * from finish();
rollback;
