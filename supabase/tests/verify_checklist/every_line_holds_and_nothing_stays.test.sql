begin;
\ir ../people.psql
select plan(2);

select is((verify_checklist() ->> 'success')::boolean, true, 'the checklist of the guide holds');
select is((select count(*) from auth.users), 1::bigint, 'and the probe user is gone');

select * from finish();
rollback;
