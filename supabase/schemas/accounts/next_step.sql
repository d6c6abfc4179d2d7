-- What a person can do about credits that run out: take a larger plan, buy credits, or neither.
-- Summaries, denials, mails and pages all ask here.

create function credits.next_step(p_plan_id text, p_credit_type text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if exists (
    select 1 from public.plans p
    where p.rank > (select m.rank from public.plans m where m.id = p_plan_id)) then
    return 'upgrade';
  elsif exists (select 1 from public.credit_packs k where k.credit_type = p_credit_type) then
    return 'buy_credits';
  end if;
  return null;
end
$$;
comment on function credits.next_step(text, text) is
  'What gives more of a credit type than a plan has: upgrade to a larger plan, on the largest one '
  'buy_credits where they are sold; null where nothing does.';
revoke all on function credits.next_step(text, text) from public, anon, authenticated, service_role;

create function credits.upgrade_url(p_workspace_id uuid default null)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_url text := (select s.upgrade_url from credits.settings s);
begin
  return v_url || coalesce(
    case when position('?' in v_url) > 0 then '&' else '?' end || 'workspace=' || p_workspace_id,
    '');
end
$$;
comment on function credits.upgrade_url(uuid) is
  'Where more credits are to be had; of a workspace, it names the workspace.';
revoke all on function credits.upgrade_url(uuid) from public, anon, authenticated, service_role;
