begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is((verify_books(pg_temp.ann()) ->> 'success')::boolean, true, 'all rules hold');
select throws_ok(
  $$select verify_books(gen_random_uuid())$$, 'PT404', 'account_not_found', 'of nobody there are none'
);

select * from finish();
rollback;
