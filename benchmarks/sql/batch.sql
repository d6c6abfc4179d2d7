\set account random(1, :accounts)
select public.consume_credits_batch(md5(:account::text)::uuid, (select jsonb_agg(jsonb_build_object('credit_type', 'message', 'description', 'bench')) from generate_series(1, 100)));
