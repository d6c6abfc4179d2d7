begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select consume_credits(pg_temp.ann(), 'message') ->> 'operation_id' as operation \gset
select is(
  find_operation(:'operation') ->> 'account_id', pg_temp.ann()::text, 'the account is found'
);
select throws_ok(
  $$select find_operation(gen_random_uuid())$$, 'PT404', 'operation_not_found', 'or there is none'
);

select * from finish();
rollback;
