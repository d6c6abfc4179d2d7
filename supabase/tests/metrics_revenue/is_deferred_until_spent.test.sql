begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());
select grant_credits(pg_temp.ann(), 'message', 500, 'top_up', p_paid_amount => 1000,
  p_currency => 'usd') as bought \gset
select consume_credits(pg_temp.ann(), 'message', 10 + 200) as spent \gset

select is(
  metrics_revenue(p_until => now() + interval '1 minute') #> '{rows,-1}' ->> 'deferred', '600',
  'of 500 credits for 1000 the 300 that are left are deferred'
);
select is(
  metrics_revenue(p_until => now() + interval '1 minute') #> '{rows,-1}' ->> 'earned', '400',
  'and the 200 that were spent are earned'
);
select is(
  metrics_revenue(p_until => now() + interval '1 minute') #>> '{purchases,-1,per_credit}', '2',
  'two for a credit'
);

select * from finish();
rollback;
