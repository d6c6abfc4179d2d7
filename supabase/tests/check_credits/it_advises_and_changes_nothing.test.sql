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

select is(check_credits(pg_temp.ann(), 'message', 10) -> 'success', 'true', 'ten can be had');
select is(
  check_credits(pg_temp.ann(), 'message', 11) ->> 'code', 'insufficient_credits',
  'eleven cannot'
);
select is(pg_temp.remaining('message'), 10::bigint, 'nothing is taken');
select is_empty($$select 1 from usage where user_id = pg_temp.ann()$$, 'and asking is no attempt');

select * from finish();
rollback;
