begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

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
