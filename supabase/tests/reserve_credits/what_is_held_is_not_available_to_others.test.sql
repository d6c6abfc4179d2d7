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

select is(reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reserved', '7', 'seven are held');
select is(pg_temp.remaining('message'), 3::bigint, 'three are left');
select is(
  consume_credits(pg_temp.ann(), 'message', 4) ->> 'code', 'insufficient_credits',
  'four cannot be spent'
);
select is(
  reserve_credits(pg_temp.ann(), 'message', 4) ->> 'code', 'insufficient_credits',
  'nor held'
);

select * from finish();
rollback;
