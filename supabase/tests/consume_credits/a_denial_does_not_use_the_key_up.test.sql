begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  consume_credits(pg_temp.ann(), 'message', 11, null, 'order 7') ->> 'code', 'insufficient_credits',
  'denied at first'
);
select lives_ok($$select grant_credits(pg_temp.ann(), 'message', 5)$$, 'then credits come');
select is(
  consume_credits(pg_temp.ann(), 'message', 11, null, 'order 7') -> 'success', 'true',
  'and the same request succeeds'
);

select * from finish();
rollback;
