"""A Supabase-shaped stack on one machine, without Docker and without an account.

`LocalStack` starts an embedded Postgres in a data directory (`_cluster`), gives it the roles and the auth schema of a
hosted project (`_supabase_shape`), applies the migrations through the history table that the Supabase CLI keeps, adds
the demo users, and serves PostgREST (`_postgrest`) behind a gateway (`_gateway`) that takes the same kinds of keys
(`keys`) as a hosted project. What goes wrong on the way is a `LocalProblem`: a sentence and what to do.
"""

from sonas_supabase.local._binaries import embedded_binaries, find_postgrest
from sonas_supabase.local._cluster import PASSWORD, SUPERUSER, Cluster, free_port
from sonas_supabase.local._gateway import gateway
from sonas_supabase.local._npm import NpmFailed, bring
from sonas_supabase.local._postgrest import PostgREST
from sonas_supabase.local._problems import LocalProblem
from sonas_supabase.local._supabase_shape import migrate, seed, shape
from sonas_supabase.local.keys import Keys
from sonas_supabase.local.stack import API_PORT, DB_PORT, LocalStack, Running, default_directory

__all__ = [
    "API_PORT",
    "DB_PORT",
    "PASSWORD",
    "SUPERUSER",
    "Cluster",
    "Keys",
    "LocalProblem",
    "LocalStack",
    "NpmFailed",
    "PostgREST",
    "Running",
    "bring",
    "default_directory",
    "embedded_binaries",
    "find_postgrest",
    "free_port",
    "gateway",
    "migrate",
    "seed",
    "shape",
]
