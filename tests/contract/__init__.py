"""What Supabase's own tools say of the migrations: pushed, reset, linted, advised and tested on each Postgres it runs."""
