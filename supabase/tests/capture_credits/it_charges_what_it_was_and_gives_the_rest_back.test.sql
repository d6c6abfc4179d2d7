begin;
\ir ../people.psql
select plan(3);

create temporary table hold on commit drop as
  select (reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reservation_id')::uuid as id;
select is(
  capture_credits(pg_temp.ann(), (select id from hold), 4) ->> 'released', '3',
  'four are charged, three go back'
);
select is(pg_temp.remaining('message'), 6::bigint, 'six are left');
select is(
  (select reserved
    from credit_balances where user_id = pg_temp.ann() and credit_type = 'message'), 0::bigint,
  'nothing is held'
);

select * from finish();
rollback;
