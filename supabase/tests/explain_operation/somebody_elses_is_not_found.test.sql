begin;
\ir ../people.psql
select plan(1);

insert into auth.users (id) values (pg_temp.bob());

create temporary table spent on commit drop as
  select (consume_credits(pg_temp.ann(), 'message', 5) ->> 'operation_id')::uuid as id;
grant select on spent to authenticated;
set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-a000-000000000002", "role": "authenticated"}', true) as claims \gset
select throws_ok(
  $$select explain_operation(p_operation_id => (select id from spent))$$,
  'PT404', 'operation_not_found', 'not theirs'
);

reset role;
select * from finish();
rollback;
