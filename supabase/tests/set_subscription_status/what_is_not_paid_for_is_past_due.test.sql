begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  set_subscription_status(pg_temp.ann(), 'past_due') ->> 'status', 'past_due', 'the answer says so'
);
select is(
  get_credit_summary(pg_temp.ann()) ->> 'status', 'past_due', 'and so does the summary'
);
select throws_ok(
  $$select set_subscription_status(pg_temp.ann(), 'gone')$$, 'PT422', 'invalid_argument',
  'another status is refused'
);

select * from finish();
rollback;
