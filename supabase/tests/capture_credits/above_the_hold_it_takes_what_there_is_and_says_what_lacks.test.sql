begin;
\ir ../people.psql
select plan(4);

create temporary table hold on commit drop as
  select (reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reservation_id')::uuid as id;
create temporary table captured on commit drop as
  select capture_credits(pg_temp.ann(), (select id from hold), 12) as answer;
select is((select answer ->> 'captured' from captured), '10', 'all ten are charged');
select is((select answer ->> 'shortfall' from captured), '2', 'two are lacking');
select is(
  (select metadata ->> 'shortfall'
    from credit_transactions where account_id = pg_temp.ann() and kind = 'capture'), '2',
  'also in the ledger'
);
select is(pg_temp.remaining('message'), 0::bigint, 'and never less than nothing');

select * from finish();
rollback;
