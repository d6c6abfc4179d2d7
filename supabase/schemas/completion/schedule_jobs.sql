-- Where pg_cron runs, it books what falls due every minute, keeps the sums that metrics read fresh,
-- and forgets answers that have expired. Nothing depends on it: balances are right without it, and
-- metrics are slower. Where pg_cron is enabled later, run these statements.
do $schedule$
begin
  if exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron') then
    execute $cron$select cron.schedule('sonas-renew-credits', '* * * * *', $job$do $$
declare
  v_until timestamptz := clock_timestamp() + interval '50 seconds';
begin
  -- Each batch is a transaction of its own, so that it keeps its accounts for a moment only.
  while (public.reset_monthly_credits() ->> 'more')::boolean and clock_timestamp() < v_until loop
    commit;
  end loop;
end
$$$job$)$cron$;
    execute $cron$select cron.schedule('sonas-roll-up-metrics', '*/5 * * * *',
      'select public.roll_up_metrics()')$cron$;
    execute $cron$select cron.schedule('sonas-forget-answers', '13 * * * *',
      'select credits.forget_stored_answers(100000)')$cron$;
  end if;
end
$schedule$;
