begin;
\ir ../people.psql
select plan(4);

select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 7)$$, 'seven are spent');
select lives_ok($$select reset_monthly_credits(pg_temp.ann())$$, 'reset 1');
select lives_ok($$select reset_monthly_credits(pg_temp.ann())$$, 'reset 2');
select is(pg_temp.remaining('message'), 10::bigint, 'ten, not twenty');

select * from finish();
rollback;
