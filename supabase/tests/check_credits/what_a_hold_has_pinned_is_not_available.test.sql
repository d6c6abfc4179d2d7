begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select reserve_credits('00000000-0000-4000-a000-000000000001', 'message', 7)$$, 'seven are held');
select is(check_credits('00000000-0000-4000-a000-000000000001', 'message', 3) -> 'success', 'true', 'three are left');
select is(check_credits('00000000-0000-4000-a000-000000000001', 'message', 4) -> 'success', 'false', 'four are not');

select * from finish();
rollback;
