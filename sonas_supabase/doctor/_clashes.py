"""What stands in the way of the installation: the migration's own look at the database, asked without applying it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

_LAST_LINE = "select pg_temp.stop_at_what_is_in_the_way();"


@dataclass(frozen=True, slots=True)
class Clash:
    """Something that the installation cannot live with, and the statements that cure it.

    ``named_by`` are functions of the project that name it in their text: after a rename they would reach the credit
    system's. ``run_as`` is the role that has to run the cure, where it is another one.
    """

    object: str
    problem: str
    cure: tuple[str, ...]
    named_by: tuple[str, ...]
    run_as: str | None


def in_the_way(connection: Connection[Any], migration: str) -> tuple[Clash, ...]:
    """All clashes with ``migration``, the text of the first migration. Leaves nothing behind.

    Its look is the beginning of the migration, so what is said here is what would stop it. A usage table of the
    project's own is tried with rows that are taken back.

    Raises psycopg.errors.RaiseException where this is no Supabase database, or where the credit system is here.
    """
    look, found, _ = migration.partition(_LAST_LINE)
    if not found:
        raise ValueError("the migration has no preflight")
    # What the migration does before its look is for the transaction that it runs in, as this is.
    with connection.transaction(force_rollback=True):
        connection.execute(look.encode())
        rows = connection.execute(
            "select object, problem, cure, named_by, run_as from pg_temp.what_is_in_the_way()"
        ).fetchall()
    return tuple(Clash(what, problem, tuple(cure), tuple(named), run_as) for what, problem, cure, named, run_as in rows)
