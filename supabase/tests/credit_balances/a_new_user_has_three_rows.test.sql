begin;
create extension if not exists pgtap with schema extensions;
select plan(1);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select results_eq(
  $$select credit_type, allowance, used, reserved, remaining from credit_balances where user_id = pg_temp.ann() order by credit_type$$,
  $$values ('integration', 100::bigint, 0::bigint, 0::bigint, 100::bigint), ('message', 10, 0, 0, 10), ('project', 3, 0, 0, 3)$$,
  'the free plan'
);

select * from finish();
rollback;
