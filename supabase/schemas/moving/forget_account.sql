create table credits.forgotten_accounts (
  account_id uuid not null constraint forgotten_accounts_pkey primary key
    constraint forgotten_accounts_account_id_fkey references credits.accounts (account_id),
  forgotten_at timestamptz not null default clock_timestamp()
);
comment on table credits.forgotten_accounts is
  'People whose words were removed. Only for them does the ledger let description and metadata be '
  'blanked; its figures stay for ever.';
alter table credits.forgotten_accounts enable row level security;
revoke all on table credits.forgotten_accounts from public, anon, authenticated, service_role;

create function credits.forget_words(p_account_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_counts jsonb := jsonb '{}';
  v_count bigint;
  -- Their own account, and the workspaces that they may have acted in: by its account a row is
  -- found without reading all.
  v_accounts uuid[] := p_account_id || array(select a.account_id from credits.accounts a
    where a.kind = 'workspace');
  -- A project with a usage table of its own may want a text there.
  v_nothing text := (select case when a.attnotnull then '' end from pg_catalog.pg_attribute a
    where a.attrelid = 'public.usage'::regclass and a.attname = 'description');
begin
  -- What the calendar wrote about a plan's allowance are nobody's words, and the books are checked
  -- by them.
  update public.credit_transactions t set description = null, metadata = '{}'
  where t.account_id = any (v_accounts) and (t.account_id = p_account_id
    or t.user_id = p_account_id)
    and (t.description is not null or t.metadata <> '{}')
    and (t.kind in ('consume', 'capture', 'refund', 'void') or t.kind = 'grant' and not exists (
      select from public.credit_grants g
      where g.account_id = t.account_id and g.id = t.grant_id
        and g.source in ('plan', 'rollover')));
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('credit_transactions', v_count);

  update public.credit_grants g
  set description = null, metadata = '{}', void_reason = case when g.voided_at is not null
    then 'forgotten' end
  where g.account_id = p_account_id
    or g.account_id = any (v_accounts) and g.source not in ('plan', 'rollover') and exists (
      select from public.credit_transactions t
      where t.account_id = g.account_id and t.credit_type = g.credit_type and t.grant_id = g.id
        and t.user_id = p_account_id and t.kind in ('grant', 'void'));
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('credit_grants', v_count);

  update public.credit_reservations r set description = null, metadata = '{}', close_reason = null,
    -- What a workspace holds may be captured once more by somebody else, and is answered alike.
    answer = case when r.account_id <> p_account_id then r.answer end
  where r.account_id = any (v_accounts) and (r.account_id = p_account_id
    or r.user_id = p_account_id);
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('credit_reservations', v_count);

  update public.usage u set description = v_nothing, metadata = '{}'
  where u.account_id = p_account_id or u.user_id = p_account_id;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('usage', v_count);

  -- A closed account answers no request again. A workspace does, so its keys stay.
  update credits.idempotency_keys k
  set idempotency_key = 'forgotten:' || k.operation_id,
    request = case when k.request is not null
      then jsonb_build_object('function', k.request -> 'function') end,
    answer = case when k.request is null then k.answer
      else jsonb_build_object('success', true, 'operation_id', k.operation_id) end
  where k.account_id = p_account_id;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('idempotency_keys', v_count);
  update credits.idempotency_keys k
    set request = k.request - '{description, metadata, reason}'::text[]
  where k.account_id = any (v_accounts) and k.account_id <> p_account_id
    and k.request @> jsonb_build_object('user_id', p_account_id);

  delete from credits.stored_answers s where s.account_id = p_account_id;
  update credits.x402_payments x set payment_key = 'forgotten:' || gen_random_uuid(),
    payer = 'forgotten', request_hash = 'forgotten', identifier = null, presented = null
  where x.user_id = p_account_id;
  update credits.uncollected u
  set description = null, idempotency_key = 'forgotten:' || u.id,
    resolution = case when u.resolved_at is not null then 'forgotten' end
  where u.user_id = p_account_id;

  -- What was announced is told to no one any more.
  delete from public.credit_notifications n
  where n.account_id = p_account_id or n.user_id = p_account_id;
  delete from credits.outbox o where o.account_id = p_account_id;
  delete from credits.deliveries d
  where d.account_id = any (v_accounts)
    and d.channel = credits.channel_name('email', p_account_id);
  delete from credits.channels c
  where c.account_id = p_account_id
    or c.account_id = any (v_accounts) and c.target_id = p_account_id;
  delete from public.credit_webhooks w where w.account_id = p_account_id;
  delete from credits.alert_settings s where s.account_id = p_account_id;
  update credits.outbox o set user_id = null, data = o.data - 'user_id'
  where o.account_id = any (v_accounts) and o.user_id = p_account_id;
  delete from credits.message_preferences f where f.user_id = p_account_id;
  update public.credit_invitations i set email = 'forgotten:' || i.id
  where i.account_id = any (v_accounts) and i.used_by = p_account_id;

  -- What a payment provider said of them. Figures, ids and times of what was paid stay.
  update credits.billing_inbox b set body = null, facts = (
      select jsonb_agg(f - array['url', 'reason'] order by n)
      from jsonb_array_elements(b.facts) with ordinality x (f, n))
  where exists (
    select 1 from jsonb_array_elements(b.facts) f
    join credits.billing_customers c on c.customer_id = f ->> 'customer_id'
    where c.account_id = p_account_id);
  update credits.billing_failures b set reason = null
  where b.customer_id in (
    select c.customer_id from credits.billing_customers c where c.account_id = p_account_id);
  update credits.billing_orders o set note = null where o.account_id = p_account_id;
  update credits.auto_top_ups a set note = null where a.account_id = p_account_id;

  -- The key of a row of the project's may be a name or an address.
  delete from credits.metered_rows m where m.account_id = p_account_id;
  update credits.accounts a set frozen_reason = null where a.account_id = p_account_id;
  perform credits.leave_workspaces(p_account_id);
  delete from credits.api_keys k where k.user_id = p_account_id;
  delete from public.credit_budgets b where b.account_id = p_account_id;
  update credits.balances b set has_budgets = false, common_budgets = null
  where b.account_id = p_account_id and b.has_budgets;
  -- What the ledger says of an agent is blank by now.
  perform credits.forget_budget_uses(a, 'metadata') from unnest(v_accounts) a order by a;
  return v_counts;
end
$$;
comment on function credits.forget_words(uuid) is
  'Blanks every description, metadata, reason, key and request of a forgotten person, and takes '
  'them out of their workspaces.';
revoke all on function credits.forget_words(uuid) from public, anon, authenticated, service_role;

-- edge: result=Forgotten callers=service_role repeatable slow
--   Close a user's account for good and remove their words from the books, whose figures stay.
--
--   What Auth knows of the user is yours to delete.
--
--   Raises:
--       AccountNotFound.
create function public.forget_account(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_new boolean;
  v_at timestamptz;
begin
  if not exists (select from credits.accounts a where a.account_id = p_user_id
    and a.kind = 'person') then
    perform credits.raise_error('account_not_found', jsonb_build_object('user_id', p_user_id));
  end if;
  perform 1 from credits.balances b where b.account_id = p_user_id
    order by b.credit_type for no key update;
  update credits.accounts a set status = 'closed', closed_at = clock_timestamp()
  where a.account_id = p_user_id and a.status <> 'closed';
  update credits.balances b set account_status = 'closed' where b.account_id = p_user_id;
  perform credits.drop_remainders(p_user_id);
  insert into credits.forgotten_accounts (account_id) values (p_user_id)
    on conflict (account_id) do nothing;
  v_new := found;
  select f.forgotten_at into v_at from credits.forgotten_accounts f where f.account_id = p_user_id;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'account_id', p_user_id,
    'forgotten_at', v_at,
    'rows', credits.forget_words(p_user_id), 'replayed', not v_new));
end
$$;
comment on function public.forget_account(uuid) is
  'Closes a user''s account for good and removes their words from the books: descriptions, '
  'metadata, reasons, idempotency keys. Ids, times and figures stay, so the books still balance. '
  'What Auth knows of the user is yours to delete. Raises account_not_found.';
revoke all on function public.forget_account(uuid) from public, anon, authenticated, service_role;
grant execute on function public.forget_account(uuid) to service_role;
