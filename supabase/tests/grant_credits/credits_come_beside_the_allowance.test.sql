begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(grant_credits('00000000-0000-4000-a000-000000000001', 'message', 5) ->> 'remaining', '15', 'five on top of ten');
select results_eq(
  $$select source, priority from credit_grants where account_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message' order by priority$$,
  $$values ('promotion', 20), ('plan', 30)$$, 'a promotion is spent before the allowance'
);

select * from finish();
rollback;
