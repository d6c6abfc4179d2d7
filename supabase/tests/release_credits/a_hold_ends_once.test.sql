begin;
\ir ../people.psql
select plan(3);

create temporary table hold on commit drop as
  select (reserve_credits(pg_temp.ann(), 'message', 7) ->> 'reservation_id')::uuid as id;
select lives_ok($$select release_credits(pg_temp.ann(), (select id from hold))$$, 'released');
select throws_ok(
  $$select release_credits(pg_temp.ann(), (select id from hold))$$, 'PT409', 'reservation_closed',
  'not twice'
);
select throws_ok(
  $$select capture_credits(pg_temp.ann(), (select id from hold))$$, 'PT409', 'reservation_closed',
  'nor captured'
);

select * from finish();
rollback;
