begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select throws_ok(
  $$select set_test_clock('00000000-0000-4000-a000-000000000001', clock_timestamp() + interval '1 day')$$,
  'PT409', 'not_a_test_account', 'refused at first'
);
select lives_ok($$select mark_test_account('00000000-0000-4000-a000-000000000001')$$, 'marked');
select lives_ok($$select set_test_clock('00000000-0000-4000-a000-000000000001', clock_timestamp() + interval '1 day')$$, 'accepted then');

select * from finish();
rollback;
