begin;
create extension if not exists pgtap with schema extensions;
select plan(5);

create function pg_temp.claim() returns jsonb language sql
  as $$ select claim_x402_payment('x402:eip155:1:usdc:0xabc:1', '0xAbC', 'hash of a request',
    'message', 3, 'eip155:1', 'usdc', 20000) $$;
create function pg_temp.left_over() returns bigint language sql
  as $$ select remaining from credit_balances b, credits.x402_payments x
    where b.account_id = x.account_id and b.credit_type = 'message' $$;
select pg_temp.claim() ->> 'claim_id' as claim \gset

select finish_x402_payment('x402:eip155:1:usdc:0xabc:1', :'claim', 'settled', '0x1') as done \gset
select finish_x402_payment('x402:eip155:1:usdc:0xabc:1', :'claim', 'settled', '0x1') as again \gset
select is(pg_temp.left_over(), 3::bigint, 'what was paid for is granted once');
select finish_x402_payment('x402:eip155:1:usdc:0xabc:1', :'claim', 'open') as opened \gset
select is(pg_temp.claim() ->> 'state', 'settled', 'it may be run again');
select pg_temp.claim() ->> 'claim_id' as nothing \gset
select claim_id::text as claim from credits.x402_payments \gset
select finish_x402_payment('x402:eip155:1:usdc:0xabc:1', :'claim', 'served') as served \gset
select is(pg_temp.claim() ->> 'claim_id', null, 'and no more once it was served');
select throws_ok(
  format('select finish_x402_payment(%L, %L, %L)', 'x402:eip155:1:usdc:0xabc:1', :'claim', 'open'),
  'PT422', 'invalid_argument', 'what is over stays over');
select is(pg_temp.left_over(), 3::bigint, 'nothing was granted beside');

select * from finish();
rollback;
