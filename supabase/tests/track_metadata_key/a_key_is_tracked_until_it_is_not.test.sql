begin;
\ir ../people.psql
select plan(2);

select is(track_metadata_key('model') -> 'tracked', '["model"]', 'tracked');
select is(track_metadata_key('model', false) -> 'tracked', '[]', 'and no longer');

select * from finish();
rollback;
