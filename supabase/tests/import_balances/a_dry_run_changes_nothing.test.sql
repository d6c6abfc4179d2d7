begin;
\ir ../people.psql
select plan(2);

create table public.old_balances (user_id uuid, credits bigint);
insert into public.old_balances values (pg_temp.ann(), 7);
select is(
  (import_balances('public.old_balances', 'user_id', 'credits', 'message', p_dry_run => true)
    ->> 'total')::bigint, 7::bigint, 'it says what it would take over'
);
select is(
  (select b.remaining from public.credit_balances b
   where b.account_id = pg_temp.ann() and b.credit_type = 'message'), 10::bigint, 'and takes nothing'
);

select * from finish();
rollback;
