"""What Supabase's own tools say of the migrations: pushed, reset, linted and tested on each Postgres."""
