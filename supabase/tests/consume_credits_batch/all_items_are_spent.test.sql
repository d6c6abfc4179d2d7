begin;
\ir ../people.psql
select plan(3);

select is(
  consume_credits_batch(pg_temp.ann(), '[{"credit_type": "message", "amount": 2}, {"credit_type": "project"}]') ->> 'amount',
  '3', 'two messages and a project'
);
select is(pg_temp.remaining('message'), 8::bigint, 'the messages are gone');
select is(pg_temp.remaining('project'), 2::bigint, 'and so is the project');

select * from finish();
rollback;
