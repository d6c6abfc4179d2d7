begin;
\ir ../people.psql
select plan(2);

select is(
  metrics_liability(p_bucket => 'month', p_time_zone => 'Europe/Paris') ->> 'bucket', 'month',
  'the window says its buckets'
);
select throws_ok(
  $$select metrics_liability(p_bucket => 'fortnight of sorts')$$, 'PT422', 'invalid_argument',
  'what is no bucket is refused'
);

select * from finish();
rollback;
