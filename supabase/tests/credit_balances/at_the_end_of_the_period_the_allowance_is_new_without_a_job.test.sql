begin;
create extension if not exists pgtap with schema extensions;
select plan(6);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.remaining(p_credit_type text) returns bigint language sql as $$
  select b.remaining from credit_balances b
  where b.user_id = pg_temp.ann() and b.credit_type = p_credit_type
$$;
insert into auth.users (id) values (pg_temp.ann());

select lives_ok($$select consume_credits(pg_temp.ann(), 'message', 10)$$, 'all is spent');
select lives_ok($$select mark_test_account(pg_temp.ann())$$, 'a clock of its own');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), (select max(period_end)
    from credit_balances where user_id = pg_temp.ann()) - interval '1 microsecond')$$,
  'just before'
);
select is(pg_temp.remaining('message'), 0::bigint, 'nothing');
select lives_ok(
  $$select set_test_clock(pg_temp.ann(), (select max(period_end)
    from credit_balances where user_id = pg_temp.ann()))$$,
  'at the end'
);
select is(pg_temp.remaining('message'), 10::bigint, 'ten');

select * from finish();
rollback;
