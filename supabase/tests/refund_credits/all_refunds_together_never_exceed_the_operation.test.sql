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

create temporary table spent on commit drop as
  select (consume_credits(pg_temp.ann(), 'message', 7) ->> 'operation_id')::uuid as id;
select lives_ok(
  $$select refund_credits(pg_temp.ann(), (select id from spent), 5)$$,
  'five of seven'
);
select throws_ok(
  $$select refund_credits(pg_temp.ann(), (select id from spent), 3)$$, 'PT422', 'invalid_amount',
  'three more are too many'
);
select is(
  refund_credits(pg_temp.ann(), (select id from spent)) ->> 'amount', '2',
  'what is left are two'
);
select throws_ok(
  $$select refund_credits(pg_temp.ann(), (select id from spent))$$, 'PT422', 'invalid_amount',
  'then nothing is'
);
select is(pg_temp.remaining('message'), 10::bigint, 'ten are there');

select * from finish();
rollback;
