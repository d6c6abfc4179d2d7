begin;
\ir ../people.psql
select plan(2);

insert into auth.users (id) values (pg_temp.bob());

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-a000-000000000001", "role": "authenticated"}', true) as claims \gset
select is((select count(distinct user_id) from credit_balances), 1::bigint, 'one user alone');
select is(
  (select count(*) from credit_balances where user_id = pg_temp.bob()), 0::bigint,
  'not the other'
);

reset role;
select * from finish();
rollback;
