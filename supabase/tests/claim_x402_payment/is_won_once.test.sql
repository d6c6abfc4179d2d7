begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

create function pg_temp.claim(p_hash text default 'hash of a request') returns jsonb language sql
  as $$ select claim_x402_payment('x402:eip155:1:usdc:0xabc:1', '0xAbC', p_hash, 'message', 3,
    'eip155:1', 'usdc', 20000) $$;
select pg_temp.claim() ->> 'claim_id' as claim \gset

select isnt(:'claim'::text, ''::text, 'the first has it');
select is(pg_temp.claim() ->> 'claim_id', null::text, 'the second has to leave it to the first');
select is(pg_temp.claim('hash of another request') ->> 'same_request', 'false', 'another request is told so');
select is((select kind from credits.accounts a, credits.x402_payments x
  where a.account_id = x.account_id), 'payer', 'a payer without a token has an account of its own');
select is((select remaining from credit_balances b, credits.x402_payments x
  where b.account_id = x.account_id and b.credit_type = 'message'), 0::bigint,
  'which has nothing for free');

select * from finish();
rollback;
