begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select consume_credits(pg_temp.ann(), 'message', 2) as spent \gset
select is(
  get_credit_history(pg_temp.ann(), 'message') #>> '{rows,0,kind}', 'consume', 'the spend first'
);
select throws_ok(
  $$select get_credit_history(pg_temp.ann(), p_limit => 0)$$, 'PT422', 'invalid_argument',
  'a page has at least one row'
);

select * from finish();
rollback;
