"""What is read from the environment, and from a ``.env`` file for what the environment does not say."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from dotenv import dotenv_values, find_dotenv

from sonas_supabase.errors import NotConfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the database is. Secrets stay out of the ``repr``.

    Attributes:
        database_url: ``DATABASE_URL``, a Postgres connection string.
        supabase_url: ``SUPABASE_URL``, the project's address.
        supabase_secret_key: ``SUPABASE_SECRET_KEY``, ``sb_secret_...`` or the older service role key.
    """

    database_url: str | None = field(default=None, repr=False)
    supabase_url: str | None = None
    supabase_secret_key: str | None = field(default=None, repr=False)

    @classmethod
    def from_env(cls) -> Settings:
        """Read the environment, then the nearest ``.env`` file above the working directory.

        The environment wins, and is not changed. An empty value counts as none.
        """
        values = {**dotenv_values(find_dotenv(usecwd=True)), **os.environ}
        return cls(
            database_url=values.get("DATABASE_URL") or None,
            supabase_url=values.get("SUPABASE_URL") or None,
            supabase_secret_key=values.get("SUPABASE_SECRET_KEY") or None,
        )

    def require_supabase(self) -> tuple[str, str]:
        """The project's address and secret key. Raises NotConfigured when one is missing."""
        if self.supabase_url and self.supabase_secret_key:
            return self.supabase_url, self.supabase_secret_key
        raise NotConfigured(
            "Neither DATABASE_URL nor SUPABASE_URL with SUPABASE_SECRET_KEY is set.",
            hint="Set them in the environment or in .env; .env.example shows how.",
        )
