begin;
\ir ../people.psql
select plan(2);

select is(list_plans() #>> '{plans,0,id}', 'free', 'the smallest plan first');
select is(
  jsonb_path_query_first(list_plans(), '$.plans[0].limits[*] ? (@.credit_type == "message").allowance'),
  '10'::jsonb, 'with its allowance'
);

select * from finish();
rollback;
