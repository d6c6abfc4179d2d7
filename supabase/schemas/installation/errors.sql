-- Every error that this system raises is listed here, with its SQLSTATE (PTnnn carries the HTTP
-- status nnn through PostgREST) and a sentence for the person who meets it.
create function credits.raise_error(p_slug text, p_details jsonb default '{}',
  p_hint text default null)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_state text;
  v_hint text;
begin
  select e.state, e.hint into v_state, v_hint
  from (values
    ('insufficient_credits', 'PT402',
      'There are not enough credits. Upgrade the plan, buy a top-up, or wait for the renewal.'),
    ('limit_reached', 'PT402',
      'The plan''s limit is reached. Upgrade the plan or delete something that counts towards it.'),
    ('member_cap_reached', 'PT402',
      'The member''s cap is reached. Ask an owner of the workspace to raise it.'),
    ('forbidden', 'PT403',
      'The role of this member does not allow it. Ask an owner or an admin of the workspace.'),
    ('account_frozen', 'PT403', 'This account is frozen. Nothing can be spent from it.'),
    ('account_not_found', 'PT404',
      'There is no such account. Pass the id of a row in auth.users, and of a workspace that this '
      'user belongs to.'),
    ('unknown_credit_type', 'PT404',
      'There is no such credit type. credits.credit_types lists them.'),
    ('reservation_not_found', 'PT404', 'This account has no such reservation.'),
    ('operation_not_found', 'PT404', 'This account has no such operation.'),
    ('budget_not_found', 'PT404', 'This account has no such budget.'),
    ('key_not_found', 'PT404', 'There is no such key, or it was revoked.'),
    ('member_not_found', 'PT404', 'The workspace has no such member.'),
    ('invitation_not_found', 'PT404', 'There is no such invitation.'),
    ('unknown_operation', 'PT404',
      'The operation has no price. Set one, or name an operation of the price book.'),
    ('ledger_is_append_only', 'PT405',
      'The ledger is never changed. Book a correction with refund_credits, grant_credits or '
      'revoke_grant.'),
    ('endpoint_not_found', 'PT404', 'This account has no such webhook endpoint.'),
    ('message_not_found', 'PT404', 'This account has no such message.'),
    ('idempotency_conflict', 'PT409',
      'This idempotency key belongs to another request. Use a new key for a new request.'),
    ('reservation_closed', 'PT409',
      'The reservation has been captured, released or has expired. Make a new one.'),
    ('last_owner', 'PT409',
      'A workspace always has an owner. Make another member an owner first, or delete it.'),
    ('invitation_used', 'PT409', 'This invitation has been used. Ask for a new one.'),
    ('invitation_expired', 'PT410', 'This invitation is no longer open. Ask for a new one.'),
    ('not_a_test_account', 'PT409',
      'Only a test account has a clock of its own. Mark it first with mark_test_account.'),
    ('invalid_amount', 'PT422',
      'An amount is a whole number of credits from 1 to 9007199254740992.'),
    ('invalid_argument', 'PT422', 'One of the arguments cannot be used; the details name it.')
  ) as e(slug, state, hint)
  where e.slug = p_slug;
  if not found then
    raise exception 'unknown error slug: %', p_slug;
  end if;
  if p_slug = 'account_frozen' then
    v_hint := credits.frozen_words();
  end if;
  raise exception using errcode = v_state, message = p_slug, detail = p_details::text,
    hint = coalesce(p_hint, v_hint);
end
$$;
comment on function credits.raise_error(text, jsonb, text) is
  'Raises one of the closed list of errors: SQLSTATE PTnnn, MESSAGE the slug, DETAIL a JSON '
  'object, HINT a sentence for a person.';
revoke all on function credits.raise_error(text, jsonb, text)
  from public, anon, authenticated, service_role;

create function credits.refuse_computed_rows()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  raise exception '% is computed and takes no rows', tg_table_name
    using errcode = 'object_not_in_prerequisite_state',
    hint = 'Move credits with grant_credits, consume_credits, refund_credits or revoke_grant; '
      'plans with change_plan, prices with set_price.';
end
$$;
comment on function credits.refuse_computed_rows() is
  'Stops writes to a computed view by those whom no privilege stops. That it is there makes '
  'Postgres ask for the privilege first, so everybody else gets a 403; a view that cannot be '
  'written at all is a 500 through PostgREST.';
revoke all on function credits.refuse_computed_rows()
  from public, anon, authenticated, service_role;
