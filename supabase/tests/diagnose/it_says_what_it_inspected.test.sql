begin;
\ir ../people.psql
select plan(2);

select is(jsonb_typeof(diagnose() -> 'findings'), 'array', 'a list of findings');
select is(diagnose() -> 'code', to_jsonb('ok'::text), 'and that it is done');

select * from finish();
rollback;
