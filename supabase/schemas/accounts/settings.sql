create table credits.settings (
  only_row boolean primary key default true,
  upgrade_url text not null default '/pricing',
  constraint settings_has_one_row check (only_row)
);
comment on table credits.settings is 'What the edge functions need to know about the app around them. One row.';
comment on column credits.settings.upgrade_url is 'Where a denial sends people who want more credits.';
alter table credits.settings enable row level security;
revoke all on table credits.settings from public, anon, authenticated, service_role;
grant select on table credits.settings to authenticated, service_role;
create policy "Signed-in users may read the settings" on credits.settings
  for select to authenticated using (true);
insert into credits.settings default values;
