begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.remaining(p_credit_type text) returns bigint language sql as $$
  select b.remaining from credit_balances b
  where b.user_id = pg_temp.ann() and b.credit_type = p_credit_type
$$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  consume_credits(pg_temp.ann(), 'message', 2, null, 'order 7') -> 'replayed', 'false',
  'the first time it spends'
);
select is(
  consume_credits(pg_temp.ann(), 'message', 2, null, 'order 7') -> 'replayed', 'true',
  'the second time it replays'
);
select is(pg_temp.remaining('message'), 8::bigint, 'two are gone, not four');
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 3, null, 'order 7')$$,
  'PT409', 'idempotency_conflict', 'another request may not have the key'
);

select * from finish();
rollback;
