begin;
create extension if not exists pgtap with schema extensions;
select plan(4);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select lives_ok($$select change_plan('00000000-0000-4000-a000-000000000001', 'elite')$$, 'the largest plan');
select lives_ok($$select consume_credits('00000000-0000-4000-a000-000000000001', 'message', 1200)$$, 'all of it is spent');
select lives_ok(
  $$select change_plan('00000000-0000-4000-a000-000000000001', p) from generate_series(1, 25), unnest(array['starter', 'elite']) as p$$,
  'fifty switches'
);
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 0::bigint, 'nothing has come');

select * from finish();
rollback;
