"""The SQL sources that the migration is built from."""

from __future__ import annotations

from pathlib import Path

SCHEMAS = Path(__file__).resolve().parents[2] / "supabase" / "schemas"


def source(name: str) -> str:
    """The text of the one source file of this name, in whatever chapter it stands."""
    [path] = SCHEMAS.glob(f"*/{name}.sql")
    return path.read_text()
