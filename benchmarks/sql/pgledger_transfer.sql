\set account random(1, :accounts)
\set sink random(1, 100)
select public.pgledger_create_transfer('pgla_' || upper(left(md5(:account::text), 26)), 'pgla_' || upper(left(md5('sink' || :sink), 26)), 1);
