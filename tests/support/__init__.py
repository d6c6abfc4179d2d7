"""What the tests stand on: a real Postgres, a database per test module, PostgREST in front of it, users."""
