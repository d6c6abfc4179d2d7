create function credits.public_relations()
returns setof name
language sql
immutable
security invoker
set search_path = ''
as $$
  select unnest('{plans, plan_limits, subscriptions, credit_balances, credit_grants, credit_transactions,
    credit_reservations, credit_workspaces, credit_workspace_members}'::name[])
$$;
comment on function credits.public_relations() is
  'The tables and views in schema public that are this system''s alone. usage is not among them: it may be the project''s.';
revoke all on function credits.public_relations() from public, anon, authenticated, service_role;

create function credits.public_functions()
returns setof name
language sql
immutable
security invoker
set search_path = ''
as $$
  select unnest('{
    consume_credits, consume_credits_batch, check_credits, reserve_credits, capture_credits, release_credits, refund_credits,
    grant_credits, revoke_grant, reset_monthly_credits, change_plan, get_credit_summary, explain_operation,
    mark_test_account, set_test_clock, set_subscription_status, set_time_zone, freeze_account, unfreeze_account, list_plans,
    get_credit_history, system_status, verify_books, ledger_digest, verify_checklist, diagnose, explain_balance, find_operation,
    import_balances, export_account, forget_account, metrics_consumption, metrics_conversion, metrics_usage,
    metrics_exhaustion, metrics_breakage, metrics_active_accounts, metrics_liability, metrics_health, roll_up_metrics,
    track_metadata_key}'::name[])
$$;
comment on function credits.public_functions() is 'The functions in schema public that are this system''s.';
revoke all on function credits.public_functions() from public, anon, authenticated, service_role;
