create table credits.message_preferences (
  account_id uuid not null,
  user_id uuid not null,
  by_mail boolean not null default true,
  in_app boolean not null default true,
  constraint message_preferences_pkey primary key (account_id, user_id),
  constraint message_preferences_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
comment on table credits.message_preferences is
  'What a person wants to be told about an account, and how. Without a row: everything.';
alter table credits.message_preferences enable row level security;
revoke all on table credits.message_preferences from public, anon, authenticated, service_role;

create function credits.people_of(p_account_id uuid)
returns table (user_id uuid, by_mail boolean, in_app boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select p.user_id, coalesce(f.by_mail, true), coalesce(f.in_app, true)
  from (
    select a.account_id as user_id from credits.accounts a
    where a.account_id = p_account_id and a.kind = 'person'
    union
    select m.user_id from public.credit_workspace_members m
    where m.account_id = p_account_id and m.role in ('owner', 'admin')
  ) p
  left join credits.message_preferences f
    on f.account_id = p_account_id and f.user_id = p.user_id
  order by p.user_id;
end
$$;
comment on function credits.people_of(uuid) is
  'Who is told about an account: the person, or the owners and admins of a workspace.';
revoke all on function credits.people_of(uuid) from public, anon, authenticated, service_role;
