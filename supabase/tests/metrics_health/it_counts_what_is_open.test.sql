begin;
\ir ../people.psql
select plan(2);

select reserve_credits(pg_temp.ann(), 'message') as held \gset
select is((metrics_health() ->> 'open_reservations')::bigint, 1::bigint, 'one hold');
select is((metrics_health() ->> 'overdue_reservations')::bigint, 0::bigint, 'and none too late');

select * from finish();
rollback;
