begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(consume_credits('00000000-0000-4000-a000-000000000001', 'message', 11, null, 'order 7') ->> 'code', 'insufficient_credits', 'denied at first');
select lives_ok($$select grant_credits('00000000-0000-4000-a000-000000000001', 'message', 5)$$, 'then credits come');
select is(consume_credits('00000000-0000-4000-a000-000000000001', 'message', 11, null, 'order 7') -> 'success', 'true', 'and the same request succeeds');

select * from finish();
rollback;
