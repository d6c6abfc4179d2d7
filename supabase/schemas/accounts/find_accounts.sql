-- Who is behind an id, and which id is behind an address: people work with addresses, everything
-- else with ids.

-- edge: result=FoundAccounts callers=service_role repeatable reads=account_ids:ids
--   Accounts by the beginning of an e-mail, a phone number or a workspace's name, by id, or the
--   newest.
--
--   What is exactly ``search`` comes first. ``account_ids`` asks whose these are.
--
--   Raises:
--       InvalidArgument: a ``limit`` that is not 1 to 1000, or a ``search`` of more than 320
--           characters.
create function public.find_accounts(
  p_search text default null, p_account_ids jsonb default null, p_limit integer default 20)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_search text := lower(p_search);
begin
  if length(p_search) > 320 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_search"}',
      'A search has at most 320 characters.');
  end if;
  if jsonb_typeof(p_account_ids) <> 'array' then
    perform credits.raise_error('invalid_argument', '{"argument": "p_account_ids"}',
      'p_account_ids is a JSON array of ids.');
  end if;
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.raise_error(
      'invalid_argument', jsonb_build_object('argument', 'p_limit', 'value', p_limit),
      'A search finds 1 to 1000 accounts.');
  end if;
  return jsonb_build_object('success', true, 'code', 'ok', 'accounts', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'account_id', f.account_id, 'kind', f.kind, 'name', f.name, 'plan', s.plan_id,
      'status', case when a.status = 'active' then s.status else a.status::text end,
      'created_at', f.created_at) order by lower(f.name) = v_search desc nulls last,
        f.created_at desc,
      f.account_id), '[]')
    from (
      select n.* from (
        select u.id as account_id, 'person' as kind,
          coalesce(nullif(u.email, ''), u.phone)::text as name, u.created_at
        from auth.users u
        union all
        select w.account_id, 'workspace', w.name, w.created_at from public.credit_workspaces w
      ) n
      where (p_search is null or starts_with(lower(n.name), v_search)
          or n.account_id::text = v_search)
        and (p_account_ids is null or p_account_ids ? n.account_id::text)
      order by lower(n.name) = v_search desc nulls last, n.created_at desc, n.account_id
      limit p_limit
    ) f
    left join credits.accounts a on a.account_id = f.account_id
    left join public.subscriptions s on s.account_id = f.account_id));
end
$$;
comment on function public.find_accounts(text, jsonb, integer) is
  'Accounts by the beginning of an e-mail, a phone number or a workspace''s name, by id, or the '
  'newest ones; what is exactly p_search comes first.';
revoke all on function public.find_accounts(text, jsonb, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.find_accounts(text, jsonb, integer) to service_role;
