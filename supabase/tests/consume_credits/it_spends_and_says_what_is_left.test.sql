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
  consume_credits(pg_temp.ann(), 'message', 4, 'Test consumption') ->> 'remaining', '6',
  'four of ten leave six'
);
select is(pg_temp.remaining('message'), 6::bigint, 'and so says the balance');
select results_eq(
  $$select kind::text, amount, balance_after from credit_transactions where account_id = pg_temp.ann() and credit_type = 'message' order by version$$,
  $$values ('grant', 10::bigint, 10::bigint), ('consume', -4, 6)$$,
  'and the ledger has a row for it'
);
select results_eq(
  $$select status, credits_used, description from usage where user_id = pg_temp.ann()$$,
  $$values ('allowed', 4::bigint, 'Test consumption')$$,
  'and it is on record in usage'
);

select * from finish();
rollback;
