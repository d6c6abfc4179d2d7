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

select is(consume_credits(pg_temp.ann(), 'project') -> 'success', 'true', 'project 1');
select is(consume_credits(pg_temp.ann(), 'project') -> 'success', 'true', 'project 2');
select is(consume_credits(pg_temp.ann(), 'project') -> 'success', 'true', 'project 3');
select is(consume_credits(pg_temp.ann(), 'project') ->> 'code', 'limit_reached', 'project 4');
select is(pg_temp.remaining('project'), 0::bigint, 'no place is left');

select * from finish();
rollback;
