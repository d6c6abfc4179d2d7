begin;
\ir ../people.psql
select plan(3);

select lives_ok($$select grant_credits(pg_temp.ann(), 'message', 3)$$, 'a promotion of three');
create temporary table spent on commit drop as
  select (consume_credits(pg_temp.ann(), 'message', 5) ->> 'operation_id')::uuid as id;
create temporary table explained on commit drop as
  select explain_operation(pg_temp.ann(), (select id from spent)) as answer;
select is((select answer ->> 'amount' from explained), '5', 'five were spent');
select results_eq(
  $$select e ->> 'source', e ->> 'amount', e ->> 'balance_before', e ->> 'balance_after' from explained, jsonb_array_elements(answer -> 'entries') e$$,
  $$values ('promotion', '-3', '13', '10'), ('plan', '-2', '10', '8')$$, 'of these grants'
);

select * from finish();
rollback;
