begin;
\ir ../people.psql
select plan(5);

insert into auth.users (id) values (pg_temp.bob());

select lives_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 10), consume_credits(pg_temp.bob(), 'message', 10)$$,
  'both have spent all'
);
select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'one is marked');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), clock_timestamp() + interval '32 days')$$,
  'a month later for it'
);
select is(pg_temp.remaining('message'), 10::bigint, 'it has ten');
select is(
  (select remaining
    from credit_balances where user_id = pg_temp.bob() and credit_type = 'message'), 0::bigint,
  'the other has none'
);

select * from finish();
rollback;
