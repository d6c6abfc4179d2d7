begin;
create extension if not exists pgtap with schema extensions;
select plan(2);

create function pg_temp.ann() returns uuid language sql immutable
  as $$ select '00000000-0000-4000-a000-000000000001'::uuid $$;
insert into auth.users (id) values (pg_temp.ann());
select set_price_book('default', p_credits_per_unit => 100) as book \gset
select set_provider_cost('look', 'call', 0.02, p_markup => 2) as price \gset
select consume_operation(pg_temp.ann(), 'look') as spent \gset

select is(
  (metrics_margin() #>> '{rows,0,margin}')::numeric, 0.5, 'half of the charge stays'
);
select is(
  metrics_margin() #>> '{rows,0,credits}', '4', 'and is what was charged'
);

select * from finish();
rollback;
