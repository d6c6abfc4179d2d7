begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select throws_ok(
  $$select grant_credits(pg_temp.ann(), 'message', 5, 'plan')$$,
  'PT422', 'invalid_argument', 'no allowance by hand'
);
select throws_ok(
  $$select grant_credits(pg_temp.ann(), 'message', 5, 'gift')$$,
  'PT422', 'invalid_argument', 'no unknown source'
);

select * from finish();
rollback;
