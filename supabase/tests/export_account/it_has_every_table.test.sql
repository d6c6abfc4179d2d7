begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  export_account(pg_temp.ann()) ->> 'account_id', pg_temp.ann()::text, 'of this account'
);
select ok(
  export_account(pg_temp.ann()) -> 'tables' ? 'public.credit_grants', 'with its grants'
);

select * from finish();
rollback;
