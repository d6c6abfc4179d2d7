begin;
\ir ../people.psql
select plan(2);

select is(
  set_time_zone(pg_temp.ann(), 'Europe/Paris') ->> 'time_zone', 'Europe/Paris', 'it is set'
);
select throws_ok(
  $$select set_time_zone(pg_temp.ann(), 'Mars/Olympus')$$, 'PT422', 'invalid_argument',
  'what is no time zone is refused'
);

select * from finish();
rollback;
