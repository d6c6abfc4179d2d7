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

select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 0)$$, 'PT422', 'invalid_amount',
  'not zero'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', -1)$$, 'PT422', 'invalid_amount',
  'not negative'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', null)$$, 'PT422', 'invalid_amount',
  'not null'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 9007199254740993)$$, 'PT422', 'invalid_amount',
  'not above 2^53'
);
select is(pg_temp.remaining('message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
