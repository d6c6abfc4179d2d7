begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select throws_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '1 day')$$,
  'PT409', 'not_a_test_account', 'refused at first'
);
select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'marked');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '1 day')$$,
  'accepted then'
);

select * from finish();
rollback;
