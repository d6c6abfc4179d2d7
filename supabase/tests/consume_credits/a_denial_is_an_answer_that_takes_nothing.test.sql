begin;
create extension if not exists pgtap with schema extensions;
select plan(7);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
create function pg_temp.remaining(p_credit_type text) returns bigint language sql as $$
  select b.remaining from credit_balances b
  where b.user_id = pg_temp.ann() and b.credit_type = p_credit_type
$$;
insert into auth.users (id) values (pg_temp.ann());

create temporary table denied on commit drop as select consume_credits(pg_temp.ann(), 'message', 11) as answer;
select is((select answer -> 'success' from denied), 'false', 'eleven of ten are denied');
select is((select answer ->> 'code' from denied), 'insufficient_credits', 'with a code');
select is((select answer #>> '{details,available}' from denied), '10', 'that says what there is');
select isnt((select answer #>> '{details,upgrade_url}' from denied), null, 'and where to get more');
select is(pg_temp.remaining('message'), 10::bigint, 'and takes nothing');
select is((select status from usage where user_id = pg_temp.ann()), 'denied', 'and is on record');
select is(current_setting('response.status', true), '402', 'and over HTTP it is a 402');

select * from finish();
rollback;
