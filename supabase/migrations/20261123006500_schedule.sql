-- Where pg_cron runs, it books what falls due every minute. Nothing depends on it: balances are right without it.
-- Where it is enabled later: select cron.schedule('sonas-renew-credits', '* * * * *', 'select public.reset_monthly_credits()');
do $$
begin
  if exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron') then
    execute $cron$select cron.schedule('sonas-renew-credits', '* * * * *', 'select public.reset_monthly_credits()')$cron$;
  end if;
end
$$;
