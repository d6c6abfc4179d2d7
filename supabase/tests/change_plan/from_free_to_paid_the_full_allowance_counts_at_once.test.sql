begin;
\ir ../people.psql
select plan(5);

select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 7)$$, 'seven are spent');
select is(change_plan(pg_temp.ann(), 'starter') ->> 'plan', 'starter', 'upgraded');
select is(pg_temp.remaining('message'), 100::bigint, 'a hundred');
select is(pg_temp.remaining('integration'), 2000::bigint, 'two thousand');
select is(pg_temp.remaining('project'), null::bigint, 'and projects without limit');

select * from finish();
rollback;
