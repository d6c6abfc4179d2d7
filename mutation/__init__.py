"""Do the tests notice? Small faults go into the SQL and the Python, one at a time, and the tests are run on each."""
