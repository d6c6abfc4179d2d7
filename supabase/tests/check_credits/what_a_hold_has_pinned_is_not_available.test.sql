begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select lives_ok($$select reserve_credits(pg_temp.ann(), 'message', 7)$$, 'seven are held');
select is(check_credits(pg_temp.ann(), 'message', 3) -> 'success', 'true', 'three are left');
select is(check_credits(pg_temp.ann(), 'message', 4) -> 'success', 'false', 'four are not');

select * from finish();
rollback;
