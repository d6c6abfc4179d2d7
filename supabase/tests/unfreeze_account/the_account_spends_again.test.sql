begin;
\ir ../people.psql
select plan(2);

select freeze_account(pg_temp.ann()) as frozen \gset
select is(unfreeze_account(pg_temp.ann()) ->> 'status', 'active', 'active');
select is(
  (consume_credits(pg_temp.ann(), 'message') ->> 'success')::boolean, true, 'and spends'
);

select * from finish();
rollback;
