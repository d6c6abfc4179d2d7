"""Digests of the ledger in a file: what was saved once proves later that the history is still the same.

The file has a JSON value on each line: a header, `[account, credit type, version, sha256]` for each stretch of 10,000
versions, and a last line that counts them, by which a file that was cut off shows. It is read and written line by line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sonas_supabase import BookCheck, CreditsClient, DigestEntry, LedgerEnd

from ._connect import options
from ._guard import Stop

FORMAT = "sonas ledger digest 1"
STRETCH = 10_000
# As many ends as the database takes at once, and as many differences as anybody reads.
ENDS, SHOWN = 5_000, 100

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written: `sha256` is that of the file itself."""

    file: str
    entries: int
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Line:
    """What a file says of one stretch."""

    end: LedgerEnd
    sha256: str

    @property
    def first(self) -> int:
        return (self.end.version - 1) // STRETCH * STRETCH + 1

    @property
    def rows(self) -> int:
        return self.end.version - self.first + 1


def refuse_to_overwrite(path: Path) -> None:
    """Proof is never written over. Asked before the books are read, not after."""
    if path.exists():
        raise Stop(f"{path} exists already.", "A digest is not written over: choose another name.", code="usage")
    if not path.parent.is_dir():
        raise Stop(f"There is no folder {path.parent}.", "Make it, or choose another place.", code="usage")


def save(client: CreditsClient, path: Path, account: dict[str, Any], advance: Advance) -> Saved:
    """Writes the digest of the ledger as it is; the file is there when it is whole."""
    part = path.with_name(path.name + ".part")
    digest, entries, rows = hashlib.sha256(), 0, 0
    try:
        with part.open("xb") as file:

            def write(value: Any) -> None:
                line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
                digest.update(line)
                file.write(line)

            write({"format": FORMAT, "taken_at": datetime.now(UTC).isoformat(timespec="seconds")})
            for entry in _entries(client, account):
                write([str(entry.account_id), entry.credit_type, entry.version, entry.sha256])
                entries, rows = entries + 1, rows + entry.rows
                advance(entry.rows)
            write({"entries": entries, "rows": rows})
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except FileExistsError:
        raise Stop(
            f"{part} is being written, or was left behind.", "Delete it when nothing writes it.", code="usage"
        ) from None
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise Stop(f"{path} cannot be written: {error.strerror}.", "Choose another place.", code="usage") from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Saved(str(path), entries, rows, digest.hexdigest())


def _entries(client: CreditsClient, account: dict[str, Any]) -> Iterator[DigestEntry]:
    after: DigestEntry | None = None
    while True:
        page = client.ledger_digest(after=after, **account)
        yield from page.entries
        if page.is_last:
            return
        after = page.entries[-1]


def count_rows(path: Path, account: UUID | None) -> int:
    """How many ledger rows the file speaks for. The whole file has been read then, and is well formed."""
    rows = sum(line.rows for line in _lines(path, account))
    if account is not None and not rows:
        raise Stop(f"{path} says nothing about {account}.", "Leave the user out to compare all of it.", code="usage")
    return rows


def compare(client: CreditsClient, path: Path, account: UUID | None, advance: Advance) -> BookCheck:
    """Whether the history up to the versions of the file is the one that the file was made from."""
    violations: list[dict[str, Any]] = []
    checked = 0
    lines = _lines(path, account)
    waiting: list[Line] = []
    while True:
        waiting += islice(lines, ENDS - len(waiting))
        if not waiting:
            break
        answered = client.ledger_digest(ends=[line.end for line in waiting]).entries
        for line, entry in zip(waiting, answered, strict=False):
            checked += line.rows
            advance(line.rows)
            if (entry.rows, entry.sha256) != (line.rows, line.sha256):
                violations += [_violation(line, entry)] if len(violations) < SHOWN else []
        # The database answers as many as it can do in a page, at least one.
        del waiting[: max(1, len(answered))]
    return BookCheck(
        rule=8,
        name=f"the history is what {path.name} says",
        ok=not violations,
        checked=checked,
        violations=tuple(violations),
    )


def _violation(line: Line, entry: DigestEntry) -> dict[str, Any]:
    return {
        "account_id": str(line.end.account_id),
        "credit_type": line.end.credit_type,
        "versions": f"{line.first} to {line.end.version}",
        "problem": f"{line.rows - entry.rows} of {line.rows} rows are missing" if entry.rows < line.rows else "changed",
    }


def _lines(path: Path, account: UUID | None) -> Iterator[Line]:
    """The stretches that the file speaks of, of one account or of all."""
    entries = rows = 0
    footer: dict[str, int] | None = None
    try:
        with path.open("rb") as file:
            header = json.loads(next(file, b"null"))
            if not isinstance(header, dict) or header.get("format") != FORMAT:
                raise ValueError
            for text in file:
                if footer is not None:
                    raise ValueError
                value = json.loads(text)
                if isinstance(value, dict):
                    footer = value
                    continue
                owner, credit_type, version, sha256 = value
                line = Line(LedgerEnd(account_id=UUID(owner), credit_type=credit_type, version=int(version)), sha256)
                entries, rows = entries + 1, rows + line.rows
                if account is None or account == line.end.account_id:
                    yield line
    except OSError as error:
        raise Stop(f"{path} cannot be read: {error.strerror}.", "Pass a file of --save-digest.", code="usage") from None
    except (ValueError, TypeError, AttributeError):
        raise Stop(f"{path} is not a whole digest.", "Pass a file of --save-digest.", code="usage") from None
    if footer != {"entries": entries, "rows": rows}:
        raise Stop(f"{path} is not a whole digest.", "It was cut off or changed; take another copy.", code="usage")


def account_of(user: str | None, workspace: str | None) -> UUID | None:
    """The one account that is meant, as the file names it."""
    named = workspace or user
    try:
        return UUID(named) if named else None
    except ValueError:
        raise Stop(f"{named} is no id.", "Pass the id of a user.", code="usage") from None


def named(user: str | None, workspace: str | None) -> dict[str, Any]:
    return options(user_id=user, workspace_id=workspace)
