begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(consume_credits('00000000-0000-4000-a000-000000000001', 'message', 2, null, 'order 7') -> 'replayed', 'false', 'the first time it spends');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'message', 2, null, 'order 7') -> 'replayed', 'true', 'the second time it replays');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 8::bigint, 'two are gone, not four');
select throws_ok(
  $$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 3, null, 'order 7')$$,
  'PT409', 'idempotency_conflict', 'another request may not have the key'
);

select * from finish();
rollback;
