begin;
\ir ../people.psql
select plan(4);

select is(reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reserved', '7', 'seven are held');
select is(pg_temp.remaining('message'), 3::bigint, 'three are left');
select is(
  consume_credits(pg_temp.ann(), 'message', 4) ->> 'code', 'insufficient_credits',
  'four cannot be spent'
);
select is(
  reserve_credits(pg_temp.ann(), 'message', 4) ->> 'code', 'insufficient_credits',
  'nor held'
);

select * from finish();
rollback;
