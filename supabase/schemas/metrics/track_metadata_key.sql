-- edge: result=TrackedKeys callers=service_role repeatable slow
--   Roll a key of metadata up, so that usage by it is fast, or no longer.
create function public.track_metadata_key(p_metadata_key text, p_tracked boolean default true)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  if p_metadata_key is null or p_tracked is null
    or length(p_metadata_key) not between 1 and 200 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_metadata_key"}',
      'A key has 1 to 200 characters.');
  end if;
  perform 1 from credits.rollup_state s for update;
  if not p_tracked then
    delete from credits.tracked_keys k where k.metadata_key = p_metadata_key;
    delete from credits.daily_segments d where d.segment = 'metadata:' || p_metadata_key;
  else
    insert into credits.tracked_keys (metadata_key) values (p_metadata_key) on conflict do nothing;
    if found then
      insert into credits.daily_segments (day, segment, value, credit_type, plan_id, spent,
        operations)
      select (f.created_at at time zone 'UTC')::date, 'metadata:' || p_metadata_key,
        f.metadata ->> p_metadata_key,
        f.credit_type, f.plan_id, -sum(f.amount), sum(f.operations)
      from credits.rolled_up r
      join credits.ledger_facts f on f.account_id = r.account_id and f.credit_type = r.credit_type
        and f.version <= r.version
      where f.flow = 'spent' and f.metadata ->> p_metadata_key is not null
      group by 1, 3, 4, 5;
    end if;
  end if;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'tracked', (
    select coalesce(jsonb_agg(k.metadata_key order by k.metadata_key), '[]')
      from credits.tracked_keys k)));
end
$$;
comment on function public.track_metadata_key(text, boolean) is
  'Rolls a key of metadata up from now on and for the past, so that usage by its values is fast, '
  'or no longer. For keys with few values, such as model or feature; any other key can be asked '
  'for too, and is read from the ledger.';
revoke all on function public.track_metadata_key(text, boolean) from public, anon, authenticated,
  service_role;
grant execute on function public.track_metadata_key(text, boolean) to service_role;

create function credits.forget_metadata()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform 1 from credits.rollup_state s for update;
  update credits.daily_segments d set spent = d.spent - f.spent,
    operations = d.operations - f.operations
  from (
    select (f.created_at at time zone 'UTC')::date as day, k.metadata_key,
    f.metadata ->> k.metadata_key as value,
      f.credit_type, f.plan_id, -sum(f.amount) as spent, sum(f.operations) as operations
    from credits.tracked_keys k
    join credits.ledger_facts f on (f.account_id = new.account_id or f.user_id = new.account_id)
      and f.flow = 'spent' and f.metadata ->> k.metadata_key is not null
    join credits.rolled_up r on r.account_id = f.account_id and r.credit_type = f.credit_type
      and f.version <= r.version
    group by 1, 2, 3, 4, 5
  ) f
  where d.segment = 'metadata:' || f.metadata_key and d.day = f.day and d.value = f.value
    and d.credit_type = f.credit_type and d.plan_id = f.plan_id;
  delete from credits.daily_segments d where d.spent = 0;
  return null;
end
$$;
comment on function credits.forget_metadata() is
  'Takes the metadata of a person who is about to be forgotten out of the rollups, as it is taken '
  'out of the ledger.';
revoke all on function credits.forget_metadata() from public, anon, authenticated, service_role;
create trigger forgotten_accounts_leave_the_rollups after insert on credits.forgotten_accounts
  for each row execute function credits.forget_metadata();
