begin;
\ir ../people.psql
select plan(3);

select lives_ok($$select reserve_credits(pg_temp.ann(), 'message', 7)$$, 'seven are held');
select is(check_credits(pg_temp.ann(), 'message', 3) -> 'success', 'true', 'three are left');
select is(check_credits(pg_temp.ann(), 'message', 4) -> 'success', 'false', 'four are not');

select * from finish();
rollback;
