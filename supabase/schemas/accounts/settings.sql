create table credits.settings (
  only_row boolean primary key default true,
  upgrade_url text not null default '/pricing',
  support_contact text,
  identity_by text not null default 'email',
  anonymous_credits text not null default 'none',
  workspace_credits text not null default 'none',
  stored_body_bytes integer not null default 16384,
  stored_answer_retention interval not null default '24 hours',
  stored_bodies_per_account integer not null default 1000,
  alert_percents integer[] not null default '{50,80,100}',
  message_retention interval not null default '30 days',
  mail_invitations boolean not null default true,
  constraint settings_identity_is_by_email_or_person check (identity_by in ('email', 'person')),
  constraint settings_anonymous_credits_are_none_or_free
    check (anonymous_credits in ('none', 'free')),
  constraint settings_workspace_credits_are_none_or_free
    check (workspace_credits in ('none', 'free')),
  on_cancel text not null default 'keep',
  constraint settings_on_cancel_keeps_or_voids check (on_cancel in ('keep', 'void')),
  pause text not null default 'provisional',
  billing_body_retention interval not null default '90 days',
  constraint settings_pause_is_provisional_or_none check (pause in ('provisional', 'none')),
  constraint settings_billing_bodies_are_kept_for_a_while check (billing_body_retention >= '0'),
  constraint settings_has_one_row check (only_row),
  constraint settings_stored_body_bytes_are_up_to_a_mebibyte
    check (stored_body_bytes between 0 and 1048576),
  constraint settings_stored_answers_are_kept_for_a_while
    check (stored_answer_retention > '0'),
  constraint settings_stored_bodies_per_account_are_some
    check (stored_bodies_per_account between 1 and 1000000),
  constraint settings_alert_percents_are_shares
    check (1 <= all (alert_percents) and 100 >= all (alert_percents)),
  constraint settings_messages_are_kept_for_ten_days_at_least check (message_retention >= '10 days')
);
comment on table credits.settings is
  'What the edge functions need to know about the app around them. One row.';
comment on column credits.settings.upgrade_url is
  'Where a denial sends people who want more credits.';
comment on column credits.settings.stored_body_bytes is
  'The largest body of an HTTP answer that is kept for a repeat under the same Idempotency-Key.';
comment on column credits.settings.stored_answer_retention is
  'How long an HTTP answer is kept for a repeat under the same Idempotency-Key.';
comment on column credits.settings.stored_bodies_per_account is
  'How many answers of one account are kept with their bodies; the older ones count as given.';
comment on column credits.settings.alert_percents is
  'At which shares used people are warned, unless their account says otherwise.';
comment on column credits.settings.message_retention is
  'How long messages are kept that were delivered or given up, and notifications.';
comment on column credits.settings.mail_invitations is
  'Whether a worker mails invitations; off where the project mails the tokens itself.';
comment on column credits.settings.support_contact is
  'Whom people write to about an account that is frozen: an e-mail address or the address of a '
  'page.';
comment on column credits.settings.identity_by is
  'What makes two accounts the same person''s: the e-mail as it is, or (person) without plus-tags '
  'and dots that do not matter.';
comment on column credits.settings.anonymous_credits is
  'Whether anonymous sign-ins have the free plan''s credits. They have its limits, and get its '
  'credits on becoming permanent.';
comment on column credits.settings.workspace_credits is
  'Whether a workspace on the free plan has its credits, beside those of its members. It has its '
  'limits. A change counts at once, in the running period.';
comment on column credits.settings.on_cancel is
  'What a cancellation does to the paid plan credits: keep them to the end that was paid for, or '
  'void them at once.';
comment on column credits.settings.pause is
  'What a subscription gets whose invoices are not collected for a while: the one provisional '
  'period, or none.';
comment on column credits.settings.billing_body_retention is
  'How long a payment provider''s events are kept as they were received.';
alter table credits.settings enable row level security;
revoke all on table credits.settings from public, anon, authenticated, service_role;
grant select on table credits.settings to authenticated, service_role;
create policy "Signed-in users may read the settings" on credits.settings
  for select to authenticated using (true);
insert into credits.settings default values;
