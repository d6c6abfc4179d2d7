begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

create temporary table spent on commit drop as
  select (consume_credits('00000000-0000-4000-a000-000000000001', 'project', 3) ->> 'operation_id')::uuid as id;
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'project') ->> 'code', 'limit_reached', 'no place is left');
select is(refund_credits('00000000-0000-4000-a000-000000000001', (select id from spent), 1) ->> 'remaining', '1', 'one is given back');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'project') -> 'success', 'true', 'and taken again');

select * from finish();
rollback;
