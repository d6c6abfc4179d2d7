begin;
\ir ../people.psql
select plan(3);

create temporary table spent on commit drop as
  select (consume_credits(pg_temp.ann(), 'project', 3) ->> 'operation_id')::uuid as id;
select is(
  consume_credits(pg_temp.ann(), 'project') ->> 'code', 'limit_reached',
  'no place is left'
);
select is(
  refund_credits(pg_temp.ann(), (select id from spent), 1) ->> 'remaining', '1',
  'one is given back'
);
select is(consume_credits(pg_temp.ann(), 'project') -> 'success', 'true', 'and taken again');

select * from finish();
rollback;
