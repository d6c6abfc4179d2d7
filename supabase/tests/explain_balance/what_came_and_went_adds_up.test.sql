begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

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
