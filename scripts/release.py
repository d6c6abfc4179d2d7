"""Releases the version of pyproject.toml: freezes its migration. `python scripts/release.py`, or `--check`.

Before: the tests are green, and CHANGELOG.md has a section for the version. It gives the migration the time of the
release, writes its hash into `supabase/migrations.sha256` and the date into the changelog. From then on that file never
changes: the next version gets a migration of its own (CONTRIBUTING.md, Releasing).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import build_migration as build

CHANGELOG = build.ROOT / "CHANGELOG.md"
NOT_YET = "not released"


def heading(version: str) -> re.Pattern[str]:
    """The line in the changelog that begins the section of a version."""
    return re.compile(rf"^## {re.escape(version)} \(({NOT_YET}|\d{{4}}-\d\d-\d\d)\)$", re.MULTILINE)


def problems() -> list[str]:
    """What has to be done before this version can be released; empty when it can."""
    found = []
    version = build.release()
    if changed := build.changed_releases():
        found.append(f"Released and changed since: {', '.join(changed)}. Restore them from the release's tag.")
    path = build.target()
    if path.name in build.frozen():
        return [*found, f"{version} is released already. Raise the version in pyproject.toml."]
    text = build.build()
    if text is not None and (not path.exists() or path.read_text("utf-8") != text):
        found.append("The migration is out of date: run `python scripts/build_migration.py`.")
    section = heading(version).search(CHANGELOG.read_text("utf-8"))
    if section is None:
        found.append(f"CHANGELOG.md has no section `## {version} ({NOT_YET})`.")
    elif not CHANGELOG.read_text("utf-8")[section.end() :].partition("\n## ")[0].strip():
        found.append(f"The section of {version} in CHANGELOG.md is empty.")
    return found


def freeze(now: datetime) -> list[str]:
    """Stamps the migration, writes its hash and the date of the release; answers what was done."""
    version, path = build.release(), build.target()
    done = _freeze_migration(path, version, now) if path.exists() else ["no migration: nothing in SQL has changed"]
    text = heading(version).sub(f"## {version} ({now:%Y-%m-%d})", CHANGELOG.read_text("utf-8"))
    CHANGELOG.write_text(text, "utf-8")
    return [*done, f"CHANGELOG.md: {version} ({now:%Y-%m-%d})"]


def _freeze_migration(path: Path, version: str, now: datetime) -> list[str]:
    stamp = max(now.strftime("%Y%m%d%H%M%S"), _after_releases())
    released = path.with_name(f"{stamp}_{build.SERIES}_{version}.sql")
    path.rename(released)
    lines = [f"{digest}  {name}" for name, digest in build.frozen().items()]
    lines.append(f"{hashlib.sha256(released.read_bytes()).hexdigest()}  {released.name}")
    build.FROZEN.write_text("\n".join(lines) + "\n", "utf-8")
    return [f"{path.name} is now {released.name}", f"its hash is in {build.FROZEN.relative_to(build.ROOT)}"]


def _after_releases() -> str:
    """The first stamp behind every released file."""
    newest = max((int(name.partition("_")[0]) for name in build.frozen()), default=0)
    return str(newest + 1)


def main() -> int:
    """Checks, and releases unless only asked to check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", "--dry-run", action="store_true", help="change nothing; exit 1 when it cannot be")
    arguments = parser.parse_args()
    version = build.release()
    if found := problems():
        sys.stderr.write(f"{version} cannot be released:\n" + "".join(f"  {line}\n" for line in found))
        return 1
    if arguments.check:
        sys.stdout.write(f"{version} can be released: {build.target().name} would be stamped and frozen.\n")
        return 0
    for line in freeze(datetime.now(UTC)):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        f'Next: git commit -am "Release {version}" && git tag v{version}; python -m build; upload dist/; raise the '
        "version in pyproject.toml.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
