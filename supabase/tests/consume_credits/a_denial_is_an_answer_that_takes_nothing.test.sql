begin;
\ir ../people.psql
select plan(7);

create temporary table denied on commit drop as select consume_credits(pg_temp.ann(), 'message', 11) as answer;
select is((select answer -> 'success' from denied), 'false', 'eleven of ten are denied');
select is((select answer ->> 'code' from denied), 'insufficient_credits', 'with a code');
select is((select answer #>> '{details,available}' from denied), '10', 'that says what there is');
select isnt((select answer #>> '{details,upgrade_url}' from denied), null, 'and where to get more');
select is(pg_temp.remaining('message'), 10::bigint, 'and takes nothing');
select is((select status from usage where user_id = pg_temp.ann()), 'denied', 'and is on record');
select is(current_setting('response.status', true), '402', 'and over HTTP it is a 402');

select * from finish();
rollback;
