"""Copies of our migrations in a project's own supabase folder, behind everything that the project has."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sonas_supabase.migrations._history import Migration, migrations, read_folder

_STAMP = "%Y%m%d%H%M%S"


class CannotCopy(Exception):
    """A project's folder has something that stands in the way. `hint` says what to do; nothing was copied."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Copy:
    """A migration and the file of the project that holds, or will hold, its text."""

    migration: Migration
    path: Path
    is_new: bool

    @property
    def is_renamed(self) -> bool:
        """Whether it stands under another stamp than in this library, to come after what the project has."""
        return self.path.name != self.migration.path.name


def plan_copies(folder: Path) -> list[Copy]:
    """Where each of our migrations is, or goes, in `folder`/migrations; changes nothing.

    A copy is known by its name, whatever its stamp. What is missing goes behind everything that is there: `supabase db
    push` refuses a file that is older than what it has applied, and `supabase db reset` applies all in order. Raises
    CannotCopy when a copy has another text.
    """
    target = folder / "migrations"
    there = read_folder(target)
    named = {file.name: file for file in there}
    newest = max((file.version for file in there), default="")
    copies = []
    for migration in migrations():
        found = named.get(migration.name)
        if found is not None:
            if found.sql != migration.sql:
                raise CannotCopy(
                    f"{found.path} exists already, with another text.",
                    "It was edited, or is from another build. If no database has it yet, delete it and run this "
                    "again; if one has, `sonas status` says what to do. Nothing has been copied.",
                )
            copies.append(Copy(migration, found.path, is_new=False))
            continue
        stamp = migration.version if migration.version > newest else _after(newest)
        newest = stamp
        copies.append(Copy(migration, target / f"{stamp}_{migration.name}.sql", is_new=True))
    return copies


def copy_into(folder: Path) -> list[Copy]:
    """Copies what is missing into `folder`/migrations; answers the new copies. See plan_copies."""
    new = [copy for copy in plan_copies(folder) if copy.is_new]
    (folder / "migrations").mkdir(parents=True, exist_ok=True)
    for copy in new:
        # A copy that was cut off would be taken for an edited one.
        partial = copy.path.with_suffix(".partial")
        shutil.copyfile(copy.migration.path, partial)
        partial.replace(copy.path)
    return new


def _after(stamp: str) -> str:
    """The next stamp, of the same length, so that names and numbers sort alike."""
    try:
        return (datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC) + timedelta(seconds=1)).strftime(_STAMP)
    except (ValueError, OverflowError):
        following = str(int(stamp) + 1).zfill(len(stamp))
    if len(following) > len(stamp):
        raise CannotCopy(
            f"No stamp comes after {stamp}, the newest of your migrations.",
            "Rename that file to a time (YYYYMMDDHHMMSS) and run this again. Nothing has been copied.",
        )
    return following
