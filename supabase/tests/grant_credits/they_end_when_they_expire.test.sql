begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.remaining(p_credit_type text) returns bigint language sql as $$
  select b.remaining from credit_balances b
  where b.user_id = pg_temp.ann() and b.credit_type = p_credit_type
$$;
insert into auth.users (id) values (pg_temp.ann());

select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'a clock of its own');
select lives_ok(
  $$select grant_credits(pg_temp.ann(), 'message', 5, p_expires_at => clock_timestamp() + interval '1 hour')$$,
  'five for an hour'
);
select is(pg_temp.remaining('message'), 15::bigint, 'fifteen now');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '2 hours')$$,
  'two hours later'
);
select is(pg_temp.remaining('message'), 10::bigint, 'ten');

select * from finish();
rollback;
