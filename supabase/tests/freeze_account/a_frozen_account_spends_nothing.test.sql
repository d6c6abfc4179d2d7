begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(freeze_account(pg_temp.ann()) ->> 'status', 'frozen', 'frozen');
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message')$$, 'PT403', 'account_frozen', 'nothing is spent'
);

select * from finish();
rollback;
