begin;
\ir ../people.psql
select plan(4);

select is(check_credits(pg_temp.ann(), 'message', 10) -> 'success', 'true', 'ten can be had');
select is(
  check_credits(pg_temp.ann(), 'message', 11) ->> 'code', 'insufficient_credits',
  'eleven cannot'
);
select is(pg_temp.remaining('message'), 10::bigint, 'nothing is taken');
select is_empty($$select 1 from usage where user_id = pg_temp.ann()$$, 'and asking is no attempt');

select * from finish();
rollback;
