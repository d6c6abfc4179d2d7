begin;
\ir ../people.psql
select plan(5);

select is(consume_credits(pg_temp.ann(), 'project') -> 'success', 'true', 'project 1');
select is(consume_credits(pg_temp.ann(), 'project') -> 'success', 'true', 'project 2');
select is(consume_credits(pg_temp.ann(), 'project') -> 'success', 'true', 'project 3');
select is(consume_credits(pg_temp.ann(), 'project') ->> 'code', 'limit_reached', 'project 4');
select is(pg_temp.remaining('project'), 0::bigint, 'no place is left');

select * from finish();
rollback;
