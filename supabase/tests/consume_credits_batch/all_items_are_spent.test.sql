begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.remaining(p_credit_type text) returns bigint language sql as $$
  select b.remaining from credit_balances b
  where b.user_id = pg_temp.ann() and b.credit_type = p_credit_type
$$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  consume_credits_batch(pg_temp.ann(), '[{"credit_type": "message", "amount": 2}, {"credit_type": "project"}]') ->> 'amount',
  '3', 'two messages and a project'
);
select is(pg_temp.remaining('message'), 8::bigint, 'the messages are gone');
select is(pg_temp.remaining('project'), 2::bigint, 'and so is the project');

select * from finish();
rollback;
