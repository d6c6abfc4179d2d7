begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select throws_ok(
  $$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 11, p_strict => true)$$,
  'PT402', 'insufficient_credits', 'credits are missing'
);
select throws_ok(
  $$select consume_credits('00000000-0000-4000-a000-000000000001', 'project', 4, p_strict => true)$$,
  'PT402', 'limit_reached', 'the limit is reached'
);
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'nothing is taken');

select * from finish();
rollback;
