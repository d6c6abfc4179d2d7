"""Builds the migration of this release from `supabase/schemas`: `python scripts/build_migration.py`, or `--check`.

The order of the sources is `schema_paths` in `supabase/config.toml`. Until a release is frozen in
`supabase/migrations.sha256`, its migration is rebuilt in place; from then on the file never changes again. The first
release is all sources in a row. A later one leads from the release before it to the sources: its changes of tables are
written by hand in `supabase/upgrades/<release>.sql`, where a line `-- include schemas/<chapter>/<name>.sql` stands for
all functions, views and triggers of a source, made or replaced. A release without such a file changes nothing in SQL.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPABASE = ROOT / "supabase"
MIGRATIONS = SUPABASE / "migrations"
UPGRADES = SUPABASE / "upgrades"
FROZEN = SUPABASE / "migrations.sha256"
SERIES = "sonas_credits"

OPENING = """\
-- sonas-supabase {release}: credits for Supabase. Built from supabase/schemas by
-- scripts/build_migration.py; change the sources, not this file. It is one transaction: applied as
-- a whole or not at all, and it can be run again after a failure.

-- A busy table stops the migration after a moment, so that no request queues up behind it.
set local lock_timeout = '5s';
-- Functions may name what comes later in this file.
set local check_function_bodies = off;
"""

REMEMBER = """\
-- What is there now is what `sonas doctor` expects from here on.
select credits.remember_installation();
"""

_INCLUDE = re.compile(r"^-- include (\S+)$", re.MULTILINE)
_REPLACED = re.compile(r"^create (function|view|trigger) ", re.MULTILINE)
_BY_HAND = re.compile(r"^(create|alter) (table|type|index|unique index|policy|schema)\b.*$", re.MULTILINE)

# The digest is of everything above it. `sonas migrate` knows a database by it whose history was lost. It stands on a
# table, since a restore of single schemas brings no comments of schemas.
CLOSING = """\
comment on table credits.installed_objects is
  'Every object of the credit system as its migrations made it, with the statement that makes it '
  'again. Written by remember_installation. Release {release}, text {digest}.';
"""


def sources() -> list[Path]:
    """The source files, in the order of `schema_paths`, each once."""
    patterns = tomllib.loads((SUPABASE / "config.toml").read_text("utf-8"))["db"]["migrations"]["schema_paths"]
    ordered: dict[Path, None] = {}
    for pattern in patterns:
        found = sorted(SUPABASE.glob(pattern.removeprefix("./")))
        if not found:
            raise SystemExit(f"supabase/config.toml: nothing matches schema_paths {pattern!r}.")
        ordered.update(dict.fromkeys(found))
    left_out = sorted(set(SUPABASE.glob("schemas/**/*.sql")) - set(ordered))
    if left_out:
        names = ", ".join(str(path.relative_to(ROOT)) for path in left_out)
        raise SystemExit(f"supabase/config.toml: schema_paths leaves out {names}.")
    return list(ordered)


def release() -> str:
    """The version of pyproject.toml."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    return version


def target() -> Path:
    """The migration of this release: the file that is there, or a new one named with the time of today."""
    for path in MIGRATIONS.glob(f"*_{SERIES}_{release()}.sql"):
        return path
    return MIGRATIONS / f"{datetime.now(UTC):%Y%m%d%H%M%S}_{SERIES}_{release()}.sql"


def build_sources() -> str:
    """All sources in a row, each under a line that says where it comes from: what a new database is made with."""
    parts = [OPENING.format(release=release())]
    for path in sources():
        parts.append(f"-- {path.relative_to(SUPABASE).as_posix()}\n\n{path.read_text('utf-8').strip()}\n")
    return _closed("\n".join(parts))


def upgrade() -> Path:
    """Where the changes of this release stand, if it is not the first."""
    return UPGRADES / f"{release()}.sql"


def build_upgrade() -> str:
    """What leads from the release before this one to the sources."""
    text = _INCLUDE.sub(_restated, upgrade().read_text("utf-8").strip())
    return _closed(f"{OPENING.format(release=release())}\n{text}\n\n{REMEMBER}")


def _restated(line: re.Match[str]) -> str:
    path = SUPABASE / line[1]
    if not path.exists():
        raise SystemExit(f"{upgrade().relative_to(ROOT)}: there is no {line[1]}.")
    text = path.read_text("utf-8").strip()
    if found := _BY_HAND.search(text):
        raise SystemExit(
            f"{upgrade().relative_to(ROOT)}: {line[1]} cannot be included, since `{found[0]}` cannot be run twice. "
            "Write its change by hand, or move the functions into a file of their own."
        )
    return f"-- {line[1]}\n\n" + _REPLACED.sub(r"create or replace \1 ", text)


def _closed(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return text + "\n" + CLOSING.format(release=release(), digest=digest)


def is_first() -> bool:
    """Whether no other release is frozen."""
    return not set(frozen()) - {target().name}


def build() -> str | None:
    """The text of this release's migration; None when the release has none."""
    if is_first():
        return build_sources()
    return build_upgrade() if upgrade().exists() else None


def frozen() -> dict[str, str]:
    """The released files and their hashes."""
    if not FROZEN.exists():
        return {}
    return {name: digest for digest, name in (line.split() for line in FROZEN.read_text("utf-8").splitlines())}


def changed_releases() -> list[str]:
    """Released files whose text is no longer what was released."""
    return [
        name
        for name, digest in frozen().items()
        if not (MIGRATIONS / name).exists() or hashlib.sha256((MIGRATIONS / name).read_bytes()).hexdigest() != digest
    ]


def main(argv: list[str] | None = None) -> int:
    """Writes the migration, or compares it with the sources."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the migration is out of date")
    arguments = parser.parse_args(argv)
    changed = changed_releases()
    if changed:
        sys.stderr.write(f"Released and changed since: {', '.join(changed)}. Restore them from the release's tag.\n")
        return 1
    path, text = target(), build()
    if path.name in frozen():
        if arguments.check:
            return 0
        sys.stderr.write(f"{path.name} is released. Raise the version in pyproject.toml to begin the next release.\n")
        return 0
    if text is None or (path.exists() and path.read_text("utf-8") == text):
        return 0
    if arguments.check:
        sys.stderr.write(f"{path.name} is out of date: run `python scripts/build_migration.py`.\n")
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
