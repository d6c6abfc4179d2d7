-- What a web application answered under an Idempotency-Key. One request at a time has the key: it
-- claims it for a while and renews that as long as it lives. A server that dies leaves a claim that
-- lapses; the next one continues the same run, so that what was charged is not charged again.
create table credits.stored_answers (
  account_id uuid not null,
  request_key text not null,
  fingerprint text not null,
  run_id uuid not null default gen_random_uuid(),
  claim_id uuid,
  claimed_until timestamptz,
  status integer,
  headers jsonb,
  body bytea,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  constraint stored_answers_pkey primary key (account_id, request_key),
  constraint stored_answers_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id),
  constraint stored_answers_are_claimed_until_they_are_answered
    check ((claim_id is null) = (status is not null)),
  constraint stored_answers_are_claimed_for_a_while
    check ((claim_id is null) = (claimed_until is null)),
  constraint stored_answers_have_headers_with_a_body check (body is null or headers is not null)
);
create index stored_answers_account_id_expires_at_idx
  on credits.stored_answers (account_id, expires_at);
create index stored_answers_account_id_created_at_idx
  on credits.stored_answers (account_id, created_at) where body is not null;
comment on table credits.stored_answers is
  'Answers to HTTP requests under an Idempotency-Key, and who is at work on one. Kept for a '
  'while; nothing of the books depends on them.';
comment on column credits.stored_answers.request_key is
  'A hash of method, path and key, made by the web application.';
comment on column credits.stored_answers.fingerprint is
  'A hash of the whole request: the same key with another one is another request.';
comment on column credits.stored_answers.run_id is
  'Names the run in the keys of what it spends; a server that takes over a lapsed claim '
  'continues it.';
comment on column credits.stored_answers.body is
  'Null when the answer was too big or broke off, or too many newer ones are kept: it was given '
  'once, and cannot be given again.';
alter table credits.stored_answers enable row level security;
revoke all on table credits.stored_answers from public, anon, authenticated, service_role;

create function credits.forget_stored_answers(p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_count bigint;
begin
  delete from credits.stored_answers s
  where (s.account_id, s.request_key) in (
    select e.account_id, e.request_key
    from credits.stored_answers e
    where e.expires_at <= v_now and (e.claimed_until is null or e.claimed_until <= v_now)
    limit p_limit
    for update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function credits.forget_stored_answers(integer) is
  'Deletes stored answers whose time has passed, at most so many, and says how many. For the '
  'scheduled job.';
revoke all on function credits.forget_stored_answers(integer)
  from public, anon, authenticated, service_role;

create function credits.drop_oldest_bodies(p_account_id uuid, p_kept integer)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- The row stays, so that the request is not worked on a second time.
  update credits.stored_answers s set body = null
  where s.account_id = p_account_id and s.body is not null and s.request_key in (
    select o.request_key from credits.stored_answers o
    where o.account_id = p_account_id and o.body is not null
    order by o.created_at desc
    offset p_kept limit 10);
end
$$;
comment on function credits.drop_oldest_bodies(uuid, integer) is
  'Drops the bodies of an account''s oldest answers above p_kept, ten at most: each new answer '
  'comes by here.';
revoke all on function credits.drop_oldest_bodies(uuid, integer)
  from public, anon, authenticated, service_role;
