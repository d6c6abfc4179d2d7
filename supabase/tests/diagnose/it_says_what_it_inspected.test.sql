begin;
\ir ../people.psql
select plan(2);

select is(jsonb_typeof(diagnose() -> 'findings'), 'array', 'a list of findings');
select is(jsonb_typeof(diagnose() -> 'functions'), 'number', 'and how much was read');

select * from finish();
rollback;
