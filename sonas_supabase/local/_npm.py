"""Programs that npm brings: once, whoever asks first, with npm's own words when it cannot."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from sonas_supabase.local._problems import LocalProblem, file_problems

T = TypeVar("T")

ATTEMPTS = 2
# Seconds in which a registry must say something about a package.
PATIENCE = 10


class NpmFailed(LocalProblem):
    """npm could not bring what was asked for. `str()` has its own words."""


def bring(
    folder: Path, words: list[str], find: Callable[[], T | None], *, finish: Callable[[], object] = lambda: None
) -> T:
    """Runs `npm <words>` in `folder` until `find` finds what it was to bring; answers that. `finish` runs after npm.

    Several processes may ask at once: one runs npm, the others wait and find its work done. A registry may be busy for
    a moment, so npm is asked a second time.
    """
    with file_problems(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=900):
            said = ""
            for attempt in range(ATTEMPTS + 1):
                found = find()
                if found is not None:
                    return found
                if attempt < ATTEMPTS:
                    ended, said = _run(folder, words)
                    if ended == 0:
                        finish()
    raise NpmFailed(f"npm could not bring it: {said}", "Look at what npm says, and at its registry and proxy settings.")


def ask_registry(package: str, *, patience: float = PATIENCE) -> None:
    """Asks npm's registry for the package, so that a registry out of reach is told in seconds and not in minutes.

    Raises NpmFailed with npm's own words.
    """
    words = ["view", package, "version", "--fetch-retries=0", f"--fetch-timeout={int(patience * 1000)}"]
    ended, said = _run(Path.cwd(), words, seconds=3 * patience)
    if ended != 0:
        raise NpmFailed(f"npm cannot ask its registry: {said}", "Look at npm's registry and proxy settings.")


def _run(folder: Path, words: list[str], *, seconds: float = 600) -> tuple[int, str]:
    """How npm ends and what it says, on a line."""
    try:
        done = subprocess.run(
            ["npm", *words, "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return done.returncode, " | ".join(lines[:4]) or f"it ended with {done.returncode} and said nothing"
