begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select grant_credits('00000000-0000-4000-a000-000000000001', 'message', 5, 'top_up')$$, 'a top-up, which is spent last');
create temporary table spent on commit drop as
  select (consume_credits('00000000-0000-4000-a000-000000000001', 'message', 12) ->> 'operation_id')::uuid as id;
select is(refund_credits('00000000-0000-4000-a000-000000000001', (select id from spent), 3) ->> 'remaining', '6', 'three of twelve come back');
select results_eq(
  $$select source, remaining from credit_grants where account_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message' order by source$$,
  $$values ('plan', 1::bigint), ('top_up', 5)$$, 'two into the top-up, the rest into the allowance'
);

select * from finish();
rollback;
