begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select freeze_account(pg_temp.ann()) as frozen \gset
select is(unfreeze_account(pg_temp.ann()) ->> 'status', 'active', 'active');
select is(
  (consume_credits(pg_temp.ann(), 'message') ->> 'success')::boolean, true, 'and spends'
);

select * from finish();
rollback;
