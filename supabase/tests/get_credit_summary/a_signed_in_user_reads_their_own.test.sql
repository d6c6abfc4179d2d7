begin;
create extension if not exists pgtap with schema extensions;
select plan(3);

insert into auth.users (id) values ('00000000-0000-4000-a000-000000000001'), ('00000000-0000-4000-a000-000000000002');

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-a000-000000000001", "role": "authenticated"}', true) as claims \gset
select is(get_credit_summary() ->> 'account_id', '00000000-0000-4000-a000-000000000001', 'without naming themselves');
select is(get_credit_summary('00000000-0000-4000-a000-000000000001') ->> 'plan', 'free', 'or naming themselves');
select throws_ok($$select get_credit_summary('00000000-0000-4000-a000-000000000002')$$, 'PT404', 'account_not_found', 'and nobody else');

reset role;
select * from finish();
rollback;
