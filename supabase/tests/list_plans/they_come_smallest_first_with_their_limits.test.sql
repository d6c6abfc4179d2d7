begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(list_plans() #>> '{plans,0,id}', 'free', 'the smallest plan first');
select is(
  jsonb_path_query_first(list_plans(), '$.plans[0].limits[*] ? (@.credit_type == "message").allowance'),
  '10'::jsonb, 'with its allowance'
);

select * from finish();
rollback;
