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

create temporary table given on commit drop as
  select (grant_credits(pg_temp.ann(), 'message', 5) ->> 'grant_id')::uuid as id;
select lives_ok(
  $$select consume_credits(pg_temp.ann(), 'message', 2)$$,
  'two of the five are spent'
);
select is(
  revoke_grant(pg_temp.ann(), (select id from given), 'a mistake') ->> 'amount', '3',
  'three are taken back'
);
select is(pg_temp.remaining('message'), 10::bigint, 'the allowance is untouched');
select is(
  revoke_grant(pg_temp.ann(), (select id from given)) -> 'replayed', 'true',
  'a second time changes nothing'
);

select * from finish();
rollback;
