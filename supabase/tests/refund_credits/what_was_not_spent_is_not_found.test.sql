begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.bob() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000002'::uuid $$;
insert into auth.users (id) values (pg_temp.ann()), (pg_temp.bob());

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
