begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  ledger_digest(pg_temp.ann()) -> 'entries', ledger_digest(pg_temp.ann()) -> 'entries', 'twice the same'
);
select is((ledger_digest(pg_temp.ann()) ->> 'is_last')::boolean, true, 'and it is all there is');

select * from finish();
rollback;
