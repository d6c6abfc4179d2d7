"""The edge, said once: what stands beside each public function in `supabase/schemas`, and what is made from it."""
