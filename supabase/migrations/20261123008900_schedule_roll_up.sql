-- Where pg_cron runs, it keeps the sums that metrics read fresh. Nothing depends on it but their speed.
-- Where it is enabled later: select cron.schedule('sonas-roll-up-metrics', '*/5 * * * *', 'select public.roll_up_metrics()');
do $$
begin
  if exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron') then
    execute $cron$select cron.schedule('sonas-roll-up-metrics', '*/5 * * * *', 'select public.roll_up_metrics()')$cron$;
  end if;
end
$$;
