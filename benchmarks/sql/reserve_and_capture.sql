\set account random(1, :accounts)
select public.reserve_credits(md5(:account::text)::uuid, 'message', 1, 'bench') ->> 'reservation_id' as hold \gset
select public.capture_credits(md5(:account::text)::uuid, :hold::uuid);
