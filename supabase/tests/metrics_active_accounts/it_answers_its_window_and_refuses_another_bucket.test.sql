begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());

select is(
  metrics_active_accounts(p_bucket => 'month', p_time_zone => 'Europe/Paris') ->> 'bucket', 'month',
  'the window says its buckets'
);
select throws_ok(
  $$select metrics_active_accounts(p_bucket => 'fortnight of sorts')$$, 'PT422', 'invalid_argument',
  'what is no bucket is refused'
);

select * from finish();
rollback;
