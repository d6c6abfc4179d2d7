begin;
\ir ../people.psql
select plan(2);

select consume_credits(pg_temp.ann(), 'message', 4) as spent \gset
create temp table story as
  select s.* from jsonb_to_record(explain_balance(pg_temp.ann(), 'message')) as s(
    opening bigint, granted bigint, refunded bigint, spent bigint, expired bigint, voided bigint,
    closing bigint);
select is((select s.spent from story s), 4::bigint, 'what was spent');
select is(
  (select s.opening + s.granted + s.refunded - s.spent - s.expired - s.voided from story s),
  (select s.closing from story s), 'and all of it adds up'
);

select * from finish();
rollback;
