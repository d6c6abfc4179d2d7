begin;
\ir ../people.psql
select plan(2);

select is((roll_up_metrics() ->> 'finished')::boolean, true, 'everything was read');
select is((roll_up_metrics() ->> 'balances')::bigint, 0::bigint, 'and nothing is left to read');

select * from finish();
rollback;
