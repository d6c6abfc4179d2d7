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
  $$select consume_credits_batch(pg_temp.ann(), '[]')$$,
  'PT422', 'invalid_argument', 'no item'
);
select throws_ok(
  $$select consume_credits_batch(pg_temp.ann(), '{}')$$,
  'PT422', 'invalid_argument', 'no array'
);
select throws_ok(
  $$select consume_credits_batch(pg_temp.ann(), '[{"credit_type": "message", "color": "red"}]')$$,
  'PT422', 'invalid_argument', 'an unknown key'
);
select throws_ok(
  $$select consume_credits_batch(pg_temp.ann(), '[{"credit_type": "message", "amount": 1.5}]')$$,
  'PT422', 'invalid_amount', 'a fraction'
);
select is(pg_temp.remaining('message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
