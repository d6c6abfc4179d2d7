\set account random(1, :accounts)
begin;
update floor.balances set balance = balance - 1, version = version + 1 where account_id = md5(:account::text)::uuid and credit_type = 'message' returning version, balance \gset
insert into floor.ledger (account_id, credit_type, version, operation_id, amount, balance_after, description, created_at) values (md5(:account::text)::uuid, 'message', :version, gen_random_uuid(), -1, :balance, 'bench', now());
commit;
