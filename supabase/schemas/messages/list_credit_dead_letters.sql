-- edge: result=DeadLetters callers=service_role repeatable
--   Messages that were given up after the last retry, the newest first.
--
--   Raises:
--       InvalidArgument: ``limit`` is not 1 to 1000.
--       Forbidden, AccountNotFound.
create function public.list_credit_dead_letters(
  p_user_id uuid, p_limit integer default 100, p_workspace_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_account_id uuid := credits.overseen_account(p_user_id, p_workspace_id);
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    perform credits.refuse_argument('p_limit', 'The limit is 1 to 1000.');
  end if;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok',
    'account_id', v_account_id, 'rows', (
      select coalesce(jsonb_agg(to_jsonb(r) order by r.died_at desc, r.message_id), '[]')
      from (
        select d.message_id, o.kind, c.kind as channel,
          case when c.kind = 'webhook' then c.target_id end as endpoint_id,
          case when c.kind = 'email' then c.target_id end as user_id,
          (select w.url from public.credit_webhooks w
            where w.account_id = v_account_id and w.id = c.target_id) as url,
          d.attempts, d.error, o.data, o.created_at, d.settled_at as died_at
        from credits.deliveries d
        join credits.channels c on c.account_id = d.account_id and c.channel = d.channel
        join credits.outbox o on o.account_id = d.account_id and o.id = d.message_id
        where d.account_id = v_account_id and d.state = 'dead'
        order by d.settled_at desc, d.message_id limit p_limit
      ) r)));
end
$$;
comment on function public.list_credit_dead_letters(uuid, integer, uuid) is
  'Messages of an account that were given up after the last retry, the newest first, with what '
  'went wrong. retry_credit_dead_letters sends them again.';
revoke all on function public.list_credit_dead_letters(uuid, integer, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.list_credit_dead_letters(uuid, integer, uuid) to service_role;
