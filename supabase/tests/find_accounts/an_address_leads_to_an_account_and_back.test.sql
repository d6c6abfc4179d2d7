begin;
\ir ../people.psql
select plan(6);

insert into auth.users (id, email) values
  ('00000000-0000-4000-a000-000000000011', 'zoe.find@example.com'),
  ('00000000-0000-4000-a000-000000000012', 'zoe.find@example.com.au');
select is(
  find_accounts('Zoe.Find@Example.com') #>> '{accounts,0,account_id}',
  '00000000-0000-4000-a000-000000000011', 'what is exactly the address comes first'
);
select is(
  jsonb_array_length(find_accounts('zoe.find@') -> 'accounts'), 2, 'the beginning of an address'
);
select is(
  find_accounts(p_account_ids => '["00000000-0000-4000-a000-000000000012"]')
    #>> '{accounts,0,name}', 'zoe.find@example.com.au', 'whose an id is'
);
select is(find_accounts('zoe.find@') #>> '{accounts,0,plan}', 'free', 'on which plan');
select is(find_accounts('zoe%') -> 'accounts', '[]'::jsonb, 'no pattern, but the letters');
set local role authenticated;
select throws_ok(
  $$select find_accounts('zoe')$$, '42501', null, 'no user learns who else there is'
);

select * from finish();
rollback;
