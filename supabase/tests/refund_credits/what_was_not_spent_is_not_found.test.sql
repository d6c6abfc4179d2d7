begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001'), ('00000000-0000-4000-a000-000000000002');

select throws_ok(
  $$select refund_credits('00000000-0000-4000-a000-000000000001', gen_random_uuid())$$,
  'PT404', 'operation_not_found', 'an unknown operation'
);
create temporary table spent on commit drop as
  select (consume_credits('00000000-0000-4000-a000-000000000001', 'message', 1) ->> 'operation_id')::uuid as id;
select throws_ok(
  $$select refund_credits('00000000-0000-4000-a000-000000000002', (select id from spent))$$,
  'PT404', 'operation_not_found', 'the operation of somebody else'
);

select * from finish();
rollback;
