create table credits.credit_types (
  id text primary key,
  kind text not null,
  description text not null,
  constraint credit_types_kind_is_credit_or_limit check (kind in ('credit', 'limit')),
  constraint credit_types_id_is_a_slug check (id ~ '^[a-z][a-z0-9_]{0,62}$')
);
comment on table credits.credit_types is
  'What can be metered. Credits are spent and renewed each period; a limit counts what exists.';
comment on column credits.credit_types.kind is
  '`credit`: spent, and renewed each period. `limit`: counts what exists, is never reset, and is '
  'given back on deletion.';
alter table credits.credit_types enable row level security;
revoke all on table credits.credit_types from public, anon, authenticated, service_role;
grant select on table credits.credit_types to anon, authenticated, service_role;
create policy "Everybody may read the credit types" on credits.credit_types
  for select to anon, authenticated using (true);

insert into credits.credit_types (id, kind, description) values
  ('message', 'credit', 'Project generations and chat messages'),
  ('integration', 'credit', 'API integrations and blockchain calls'),
  ('project', 'limit', 'Projects that exist');
