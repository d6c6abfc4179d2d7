begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());
select is(consume_credits(pg_temp.ann(), 'project', 2) -> 'success', 'true', 'two of three exist');

select set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-a000-000000000001", "role": "authenticated"}', true) as claims \gset
select is(within_limit('project'), true, 'one more may be made');
select is(consume_credits(pg_temp.ann(), 'project', 1) -> 'success', 'true', 'it is made');
select is(within_limit('project'), false, 'and there is no room for another');

select * from finish();
rollback;
