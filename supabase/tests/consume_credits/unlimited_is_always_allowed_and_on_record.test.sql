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

select lives_ok(
  $$select change_plan(pg_temp.ann(), 'starter')$$,
  'projects of a paid plan are unlimited'
);
select is(
  consume_credits(pg_temp.ann(), 'project', 1000) -> 'unlimited', 'true',
  'a thousand of them'
);
select is(
  (select used
    from credit_balances where user_id = pg_temp.ann() and credit_type = 'project'), 1000::bigint,
  'are counted'
);
select is(
  (select sum(amount)
    from credit_transactions where account_id = pg_temp.ann() and kind = 'consume'), -1000::numeric,
  'and in the ledger'
);
select is(pg_temp.remaining('project'), null::bigint, 'and nothing runs out');

select * from finish();
rollback;
