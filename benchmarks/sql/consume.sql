\set account random(1, :accounts)
select public.consume_credits(md5(:account::text)::uuid, 'message', 1, 'bench');
