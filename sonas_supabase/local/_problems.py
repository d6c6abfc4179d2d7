"""What can go wrong on a developer's machine, as sentences."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LocalProblem(Exception):
    """The local stack cannot go on. `str()` says why, `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


# Phrases that Postgres and its tools print, and what they mean to somebody who has never seen them.
_PHRASES = (
    (
        "No space left on device",
        "The disk is full.",
        "Free some space, or choose another disk with --data-dir.",
    ),
    (
        "Address already in use",
        "The database port is in use by another program.",
        "Choose another with --db-port, or stop that program.",
    ),
    (
        "Read-only file system",
        "The data directory is on a read-only file system.",
        "Choose another with --data-dir.",
    ),
    (
        "Permission denied",
        "The data directory may not be written.",
        "Give yourself write permission, or choose another with --data-dir.",
    ),
    (
        "incompatible with server",
        "The data directory was made by another major version of Postgres.",
        "Move it away (its data stays in it), or choose another with --data-dir.",
    ),
)


def explain_output(output: str, doing: str, log: Path | None = None) -> LocalProblem:
    """The problem behind what a tool of Postgres printed."""
    for phrase, message, hint in _PHRASES:
        if phrase.lower() in output.lower():
            return LocalProblem(message, hint)
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "it said nothing")
    return LocalProblem(
        f"Could not {doing}: {last.strip()}",
        f"The whole story is in {log}." if log else "Choose another place with --data-dir, or look at what is there.",
    )


@contextmanager
def file_problems(path: Path) -> Iterator[None]:
    """Turns what the operating system says about files into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise explain_output("No space left on device", "write") from error
        if error.errno == errno.EROFS:
            raise explain_output("Read-only file system", "write") from error
        if isinstance(error, PermissionError):
            raise LocalProblem(
                f"{error.filename or path} may not be written.",
                "Give yourself write permission, or choose another place with --data-dir.",
            ) from error
        if isinstance(error, NotADirectoryError | FileExistsError):
            raise LocalProblem(f"{path} is not a directory.", "Choose another with --data-dir.") from error
        raise LocalProblem(
            f"{error.filename or path} cannot be used: {error.strerror or error}.",
            "Choose another place with --data-dir.",
        ) from error
