begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001');

select is(
  consume_credits_batch('00000000-0000-4000-a000-000000000001', '[{"credit_type": "message", "amount": 2}, {"credit_type": "project"}]') ->> 'amount',
  '3', 'two messages and a project'
);
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'message'), 8::bigint, 'the messages are gone');
select is((select remaining from credit_balances where user_id = '00000000-0000-4000-a000-000000000001' and credit_type = 'project'), 2::bigint, 'and so is the project');

select * from finish();
rollback;
