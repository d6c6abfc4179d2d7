begin;
\ir ../people.psql
select plan(2);

insert into auth.users (id) values (pg_temp.bob());

select throws_ok(
  $$select refund_credits(pg_temp.ann(), gen_random_uuid())$$,
  'PT404', 'operation_not_found', 'an unknown operation'
);
create temporary table spent on commit drop as
  select (consume_credits(pg_temp.ann(), 'message', 1) ->> 'operation_id')::uuid as id;
select throws_ok(
  $$select refund_credits(pg_temp.bob(), (select id from spent))$$,
  'PT404', 'operation_not_found', 'the operation of somebody else'
);

select * from finish();
rollback;
