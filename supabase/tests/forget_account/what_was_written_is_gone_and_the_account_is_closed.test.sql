begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select consume_credits(pg_temp.ann(), 'message', 1, 'a secret') as spent \gset
select forget_account(pg_temp.ann()) as forgotten \gset
select is(
  (select count(*) from public.credit_transactions t
   where t.account_id = pg_temp.ann() and t.description = 'a secret'), 0::bigint, 'the words are gone'
);
select throws_ok(
  $$select consume_credits(pg_temp.ann(), 'message')$$, 'PT404', 'account_not_found',
  'and the account is closed'
);

select * from finish();
rollback;
