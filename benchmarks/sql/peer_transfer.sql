\set account random(1, :accounts)
\set sink random(1, 100)
select peer.transfer(md5(:account::text)::uuid, md5('sink' || :sink)::uuid, 1);
