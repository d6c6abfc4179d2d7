begin;
\ir ../people.psql
select plan(1);

select results_eq(
  $$select credit_type, allowance, used, reserved, remaining from credit_balances where user_id = pg_temp.ann() order by credit_type$$,
  $$values ('integration', 100::bigint, 0::bigint, 0::bigint, 100::bigint), ('message', 10, 0, 0, 10), ('project', 3, 0, 0, 3)$$,
  'the free plan'
);

select * from finish();
rollback;
