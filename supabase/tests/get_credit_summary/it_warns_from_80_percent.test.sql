begin;
create extension if not exists pgtap with schema extensions;
select plan(6);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create function pg_temp.warning() returns text language sql as $$
  select b ->> 'warning' from jsonb_array_elements(get_credit_summary('00000000-0000-4000-a000-000000000001') -> 'balances') b where b ->> 'credit_type' = 'message'
$$;
select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 7)$$, 'at 70 percent');
select is(pg_temp.warning(), null, 'no warning');
select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 1)$$, 'at 80 percent');
select is(pg_temp.warning(), 'low', 'low');
select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 2)$$, 'at 100 percent');
select is(pg_temp.warning(), 'exhausted', 'exhausted');

select * from finish();
rollback;
