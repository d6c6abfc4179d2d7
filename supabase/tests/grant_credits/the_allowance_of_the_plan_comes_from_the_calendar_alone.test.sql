begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select throws_ok(
  $$select grant_credits('00000000-0000-4000-a000-000000000001', 'message', 5, 'plan')$$,
  'PT422', 'invalid_argument', 'no allowance by hand'
);
select throws_ok(
  $$select grant_credits('00000000-0000-4000-a000-000000000001', 'message', 5, 'gift')$$,
  'PT422', 'invalid_argument', 'no unknown source'
);

select * from finish();
rollback;
