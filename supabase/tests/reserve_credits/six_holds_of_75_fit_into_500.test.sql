begin;
\ir ../people.psql
select plan(3);

select lives_ok($$select change_plan(pg_temp.ann(), 'pro')$$, 'five hundred messages');
select is(
  (select count(*) from generate_series(1, 20) where reserve_credits(pg_temp.ann(), 'message', 75) ->> 'success' = 'true'),
  6::bigint, 'of twenty holds of 75 six are granted'
);
select is(pg_temp.remaining('message'), 50::bigint, 'fifty are left');

select * from finish();
rollback;
