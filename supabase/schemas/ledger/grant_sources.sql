create table credits.grant_sources (
  id text primary key,
  priority integer not null,
  priority_when_expiring integer not null,
  may_be_granted boolean not null,
  description text not null
);
comment on table credits.grant_sources is
  'Where credits come from, and in which order they are burnt: the lowest priority first.';
comment on column credits.grant_sources.priority is
  'Given to a grant that never expires, frozen on the grant when it is issued.';
comment on column credits.grant_sources.priority_when_expiring is
  'Given to a grant that expires, frozen on the grant when it is issued.';
comment on column credits.grant_sources.may_be_granted is
  'Whether grant_credits accepts it; the plan allowance is granted by the calendar alone.';
alter table credits.grant_sources enable row level security;
revoke all on table credits.grant_sources from public, anon, authenticated, service_role;

insert into credits.grant_sources (id, priority, priority_when_expiring, may_be_granted,
  description) values
  ('rollover', 10, 10, true, 'Unspent allowance of the period before'),
  ('trial', 20, 20, true, 'Credits to try a plan'),
  ('promotion', 20, 20, true, 'Credits of a campaign'),
  ('compensation', 20, 20, true, 'Credits that make up for a failure'),
  ('plan', 30, 30, false, 'The allowance of the plan'),
  ('top_up', 50, 50, true, 'Purchased credits'),
  ('goodwill', 60, 20, true, 'A gift of the support team');
