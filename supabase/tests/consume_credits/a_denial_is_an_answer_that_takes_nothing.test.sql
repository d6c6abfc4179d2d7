begin;
create extension if not exists pgtap with schema extensions;
select plan(7);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table denied on commit drop as select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 11) as answer;
select is((select answer -> 'success' from denied), 'false', 'eleven of ten are denied');
select is((select answer ->> 'code' from denied), 'insufficient_credits', 'with a code');
select is((select answer #>> '{details,available}' from denied), '10', 'that says what there is');
select isnt((select answer #>> '{details,upgrade_url}' from denied), null, 'and where to get more');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 10::bigint, 'and takes nothing');
select is((select status from usage where user_id = '00000000-0000-4000-a000-000000000001'), 'denied', 'and is on record');
select is(current_setting('response.status', true), '402', 'and over HTTP it is a 402');

select * from finish();
rollback;
