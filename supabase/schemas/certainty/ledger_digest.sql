create function credits.digest_ledger(p_account_id uuid, p_after jsonb, p_ends jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- A stretch never changes once it is full, so a history of millions of rows is read in parts, and
  -- so is what it is compared with.
  v_stretch constant integer := 10000;
  v_rows constant integer := 50000;
  v_entries constant integer := 5000;
  v_after_account_id uuid := coalesce((p_after ->> 'account_id')::uuid,
    '00000000-0000-0000-0000-000000000000');
  v_after_credit_type text := coalesce(p_after ->> 'credit_type', '');
  v_after_version bigint := coalesce((p_after ->> 'version')::bigint, 0);
  v_answer jsonb;
begin
  with stretches as (
    (select row_number() over (order by b.account_id, b.credit_type, s.first) as nth, b.account_id,
      b.credit_type, s.first,
      least(s.first + v_stretch - 1, b.version) as last
    from credits.balances b cross join lateral generate_series(1, b.version, v_stretch) as s(first)
    where p_ends is null and (p_account_id is null or b.account_id = p_account_id)
      and (b.account_id, b.credit_type) >= (v_after_account_id, v_after_credit_type)
      and ((b.account_id, b.credit_type) > (v_after_account_id, v_after_credit_type)
        or s.first > v_after_version)
    order by b.account_id, b.credit_type, s.first
    limit v_entries)
    union all
    select e.nth, (e.value ->> 'account_id')::uuid, e.value ->> 'credit_type',
      ((e.value ->> 'version')::bigint - 1) / v_stretch * v_stretch + 1,
      (e.value ->> 'version')::bigint
    from jsonb_array_elements(p_ends) with ordinality e(value, nth)
  ), page as (
    select s.*, sum(s.last - s.first + 1) over (order by s.nth)
      - (s.last - s.first + 1) as rows_before from stretches s
  ), digests as (
    select p.nth, p.account_id, p.credit_type, p.last as version, d.rows, d.sha256
    from page p
    cross join lateral (
      -- The binary form of a record says for each value its type, its length, and whether it is
      -- null: nothing runs together.
      select count(*) as rows, encode(sha256(coalesce(string_agg(pg_catalog.record_send(row(
        t.version, t.operation_id, t.grant_id, t.user_id, t.kind::text, t.amount, t.balance_after,
        t.related_operation_id,
        t.created_at)), '' order by t.version), '')), 'hex') as sha256
      from public.credit_transactions t
      where t.account_id = p.account_id and t.credit_type = p.credit_type
        and t.version between p.first and p.last) d
    where p.rows_before < v_rows
  )
  select jsonb_build_object(
    'entries', coalesce(jsonb_agg(jsonb_build_object('account_id', d.account_id,
      'credit_type', d.credit_type,
      'version', d.version, 'rows', d.rows, 'sha256', d.sha256) order by d.nth), '[]'),
    'is_last', count(*) < v_entries and count(*) = (select count(*) from stretches)) into v_answer
  from digests d;
  return v_answer;
end
$$;
comment on function credits.digest_ledger(uuid, jsonb, jsonb) is
  'One page of digests: of at most 5000 stretches of the ledger, and about 50000 rows.';
revoke all on function credits.digest_ledger(uuid, jsonb, jsonb) from public, anon, authenticated,
  service_role;

-- edge: result=LedgerDigest callers=service_role repeatable reads=after:ledger_end,ends:ledger_ends slow
--   Digests of the ledger, of one account or of all: history whose digest is the same was not
--   changed.
--
--   One page; ask again with its last entry as ``after`` until ``is_last``. With ``ends`` (at most
--   5,000), the digests up to these versions instead, in their order, as many as fit into a page.
--
--   Raises:
--       InvalidArgument: too many ``ends``, or a version below 1.
create function public.ledger_digest(
  p_user_id uuid default null, p_after jsonb default null, p_ends jsonb default null,
  p_workspace_id uuid default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_wrong jsonb;
begin
  -- They come as JSON, so that PostgREST hands them on, and are looked at here, so that a slip is
  -- told in words.
  if jsonb_typeof(p_ends) <> 'array' or jsonb_array_length(p_ends) > 5000 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_ends"}',
      'Pass an array of at most 5000 ends.');
  end if;
  select e.value into v_wrong
  from (select p_after where p_after is not null union all select n.value
    from jsonb_array_elements(p_ends) n) as e(value)
  where not coalesce(e.value ->> 'account_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    and e.value ->> 'credit_type' <> ''
    and jsonb_typeof(e.value -> 'version') = 'number'
      and e.value ->> 'version' ~ '^[1-9][0-9]{0,15}$', false)
  limit 1;
  if found then
    perform credits.raise_error('invalid_argument', jsonb_build_object(
      'argument', case when v_wrong = p_after then 'p_after' else 'p_ends' end, 'value', v_wrong),
      'An end has an account_id (uuid), a credit_type and a version (a whole number from 1 on).');
  end if;
  return credits.digest_ledger(coalesce(p_workspace_id, p_user_id), p_after, p_ends);
end
$$;
comment on function public.ledger_digest(uuid, jsonb, jsonb, uuid) is
  'A SHA-256 over each stretch of 10000 versions of the ledger, per account and credit type, '
  'without what may be forgotten (description, metadata): what is the same later was not changed. '
  'Answers entries with account_id, credit_type, version (the last one covered), rows and sha256, '
  'page by page: repeat with p_after, the last entry, until is_last. With p_ends, entries of '
  'account_id, credit_type and version, it answers the digests up to these versions instead, as '
  'many as fit into a page.';
revoke all on function public.ledger_digest(uuid, jsonb, jsonb, uuid) from public, anon,
  authenticated, service_role;
grant execute on function public.ledger_digest(uuid, jsonb, jsonb, uuid) to service_role;
