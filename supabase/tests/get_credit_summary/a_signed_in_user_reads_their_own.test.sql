begin;
\ir ../people.psql
select plan(3);

insert into auth.users (id) values (pg_temp.bob());

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-a000-000000000001", "role": "authenticated"}', true) as claims \gset
select is(get_credit_summary() ->> 'account_id', pg_temp.ann()::text, 'without naming themselves');
select is(get_credit_summary(pg_temp.ann()) ->> 'plan', 'free', 'or naming themselves');
select throws_ok(
  $$select get_credit_summary(pg_temp.bob())$$, 'PT404', 'account_not_found',
  'and nobody else'
);

reset role;
select * from finish();
rollback;
