"""What to say when an optional dependency is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sonas_supabase.errors import NotConfigured


@contextmanager
def needs_postgres() -> Iterator[None]:
    """Turn a failing import of psycopg into the command that mends it."""
    try:
        yield
    except ImportError as error:
        raise NotConfigured(
            f"Connecting to Postgres directly needs psycopg: {error}.",
            hint='pip install "sonas-supabase[postgres]"',
        ) from error
